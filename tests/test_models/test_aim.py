import pytest
import torch
from mmaction.registry import MODELS

from tests.golden import GoldenCase, relative_error
from tests.test_models.peers import TINY, build, counted, fill, golden, step


def tiny(**options):
    cfg = dict(type='AIM', arch=TINY, img_size=32, num_frames=4)
    return dict(cfg, **options)


def test_golden_output(shared):
    case = GoldenCase(shared / 'golden', 'peer_cases', 'aim_small')
    model = golden(case, 'aim', dict(type='AIM'))
    feature = model.backbone(case.clip())
    assert relative_error(feature, case.outputs['output']) < 1e-4


def test_trainable_parameters():
    trained, _ = counted(dict(type='AIM'))
    assert trained == pytest.approx(11, abs=.05)


def test_starts_as_clip():
    backbone = MODELS.build(tiny()).eval()
    clip = torch.randn(2, 3, 4, 32, 32)
    tokens = backbone.expert.embed(clip)
    for block in backbone.expert.blocks:
        tokens = block(tokens)
    torch.testing.assert_close(backbone.encode(clip), tokens)


def test_a_step_moves_what_is_trained():
    model = build(tiny(drop_path_rate=.2), 5, in_channels=16)
    fill(model)
    moved = step(model, 4)
    frozen = {
        k for k in model.state_dict()
        if '.expert.' in k and '.expert.norm.' not in k
    }
    assert moved == model.state_dict().keys() - frozen
    assert model.backbone.layers.training
    assert not any(m.training for m in model.backbone.expert.modules())


def test_drop_path_grows():
    layers = MODELS.build(tiny(drop_path_rate=.2)).layers
    assert [layer.drop_path.drop_prob for layer in layers] == [0, .2]


def test_is_a_spatial_expert_of_cast():
    backbone = build(
        dict(
            type='CAST',
            spatial=tiny(frame_stride=2),
            temporal=dict(
                type='VideoMAEExpert', arch=TINY, img_size=32, num_frames=4)),
        num_classes=0).backbone
    clip = torch.randn(2, 3, 4, 32, 32)
    spatial, _ = backbone.eval()(clip)
    torch.testing.assert_close(
        spatial,
        backbone.spatial(clip).mean(dim=(2, 3, 4)))
    # In CAST, too, AIM's adapters are trained and CLIP is not.
    trained = {n for n, p in backbone.spatial.named_parameters()
               if p.requires_grad}
    assert trained == {
        n for n, _ in backbone.spatial.named_parameters()
        if not n.startswith('expert.') or n.startswith('expert.norm.')
    }
