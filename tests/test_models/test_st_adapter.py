import pytest
import torch
from mmaction.registry import MODELS

from cast_mmaction.models.adapters import TemporalConv
from tests.golden import GoldenCase, relative_error
from tests.test_models.peers import TINY, build, counted, fill, golden, step


def tiny(**options):
    cfg = dict(
        type='STAdapter', arch=TINY, img_size=32, num_frames=4, adapter_dims=8)
    return dict(cfg, **options)


def test_golden_output(shared):
    case = GoldenCase(shared / 'golden', 'peer_cases', 'st_adapter_small')
    model = golden(case, 'st_adapter', dict(type='STAdapter', adapter_dims=24))
    logits = model.cls_head(model.backbone(case.clip()))
    assert relative_error(logits, case.outputs['output']) < 1e-4


@pytest.mark.parametrize('places, millions', [(('ffn', ), 7.1),
                                              (('attn', 'ffn'), 14.2)])
def test_trainable_parameters(places, millions):
    trained, _ = counted(dict(type='STAdapter', places=places), num_classes=0)
    assert trained == pytest.approx(millions, abs=.05)


def test_temporal_conv_is_torch_s():
    torch.manual_seed(0)
    conv = TemporalConv(5)
    x = torch.randn(2, 4, 3, 5)
    expected = super(TemporalConv, conv).forward(
        x.permute(0, 2, 3, 1).flatten(0, 1))  # (B*P, C, T)
    torch.testing.assert_close(
        conv(x),
        expected.unflatten(0, (2, 3)).permute(0, 3, 1, 2))


@pytest.mark.parametrize('places', [('attn', ), ('ffn', ), ('attn', 'ffn')])
def test_starts_as_clip_and_a_step_moves_the_adapters(places):
    model = build(tiny(places=places), 5, in_channels=16)
    clip = torch.randn(2, 3, 4, 32, 32)
    backbone = model.backbone.eval()
    torch.testing.assert_close(backbone(clip), backbone.expert(clip))
    fill(model)
    moved = step(model, 4)
    # The last changes patches alone, after the class token has read them.
    assert moved == {
        k
        for k in model.state_dict()
        if '.expert.' not in k and '.layers.1.ffn.' not in k
    }
    assert {k.split('.')[3] for k in moved if 'layers' in k} == set(places)
    assert not any(m.training for m in backbone.expert.modules())


def test_is_a_spatial_expert_of_cast():
    backbone = build(
        dict(
            type='CAST',
            spatial=tiny(frame_stride=2),
            temporal=dict(
                type='VideoMAEExpert', arch=TINY, img_size=32, num_frames=4)),
        num_classes=0).backbone
    clip = torch.randn(2, 3, 4, 32, 32)
    alone = backbone.spatial(clip)
    torch.testing.assert_close(backbone.eval()(clip)[0], alone)
    # While training only class tokens reach the last MLP: no patches there.
    torch.testing.assert_close(backbone.train()(clip)[0], alone)


def test_unknown_place_is_refused():
    with pytest.raises(ValueError, match="'attn', 'ffn'"):
        MODELS.build(tiny(places=('mlp', )))
