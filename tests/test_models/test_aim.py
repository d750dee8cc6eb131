import pytest
import torch
from mmaction.registry import MODELS
from timm.layers import DropPath

from tests.golden import GoldenCase, relative_error
from tests.test_models.peers import TINY, build, counted, fill, golden, step


def tiny(**options):
    cfg = dict(type='AIM', arch=TINY, img_size=32, num_frames=4)
    return dict(cfg, **options)


TWO = dict(num_temporal_adapters=2, ffn_adapter_scale=1.)


@pytest.mark.parametrize('name, options', [('aim_small', {}),
                                           ('aim_two_adapters_small', TWO)])
def test_golden_output(shared, name, options):
    case = GoldenCase(shared / 'golden', 'peer_cases', name)
    model = golden(case, 'aim', dict(type='AIM', **options))
    feature = model.backbone(case.clip())
    assert relative_error(feature, case.outputs['output']) < 1e-4


def test_trainable_parameters():
    trained, _ = counted(dict(type='AIM'))
    assert trained == pytest.approx(11, abs=.05)
    trained, _ = counted(dict(type='AIM', **TWO), num_classes=174)
    assert trained == pytest.approx(14, abs=.4)  # published: 14


def test_other_numbers_of_adapters_are_refused():
    with pytest.raises(ValueError, match='num_temporal_adapters=3.*1 or 2'):
        MODELS.build(tiny(num_temporal_adapters=3))


@pytest.mark.parametrize('options', [{}, TWO])
def test_starts_as_clip(options):
    backbone = MODELS.build(tiny(**options)).eval()
    clip = torch.randn(2, 3, 4, 32, 32)
    tokens = backbone.expert.embed(clip)
    for block in backbone.expert.blocks:
        tokens = block(tokens)
    torch.testing.assert_close(backbone.encode(clip), tokens)


@pytest.mark.parametrize('options', [{}, TWO])
def test_a_step_moves_what_is_trained(options):
    model = build(tiny(drop_path_rate=.2, **options), 5, in_channels=16)
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


@pytest.mark.parametrize('compile', [False, dict(backend='aot_eager')])
@pytest.mark.parametrize('kind, draws', [('AIM', 2), ('AdaptedExpert', 2),
                                         ('trained', 2), ('SpaceTimeViT', 3)])
def test_an_expert_keeps_its_drop_path_inside_cast(kind, draws, compile,
                                                   monkeypatch):
    """The same draws give the same features, compiled or not. The last block
    draws for each half, one of two attentions for both."""
    expert = dict(
        type='VideoMAEExpert', arch=TINY, img_size=32, num_frames=4)
    spatial = tiny(frame_stride=2, drop_path_rate=.9)
    if kind == 'AdaptedExpert':
        spatial = dict(type=kind, expert=expert, drop_path_rate=.9)
    if kind == 'trained':
        spatial = dict(expert, drop_path_rate=.9)
    if kind == 'SpaceTimeViT':
        spatial = dict(
            expert, type=kind, scheme='divided', frame_stride=2,
            drop_path_rate=.9)
    adapted = kind in ('AIM', 'AdaptedExpert')
    backbone = build(
        dict(
            type='CAST',
            spatial=spatial,
            temporal=expert,
            compile=compile,
            freeze_experts=adapted),
        num_classes=0).backbone.train()
    fill(backbone)
    clip = torch.randn(8, 3, 4, 32, 32)
    if adapted:
        frozen = backbone.spatial.expert.modules()
        assert not any(x.training for x in frozen)

    def features():
        torch.manual_seed(0)
        return backbone(clip)[0]

    drawn, of_expert = [], {*backbone.spatial.modules()}
    draw = DropPath.forward

    def counted(self, x):
        if self in of_expert and self.drop_prob:
            drawn.append(self)
        return draw(self, x)

    monkeypatch.setattr(DropPath, 'forward', counted)
    dropped = features()
    assert len(drawn) == draws
    backbone.compile_options = None
    torch.testing.assert_close(dropped, features())
    for module in backbone.spatial.modules():
        if hasattr(module, 'drop_prob'):
            module.drop_prob = 0.
    kept = features()
    assert (dropped - kept).abs().max() > 1e-3
    backbone.eval()
    torch.testing.assert_close(features(), kept)
