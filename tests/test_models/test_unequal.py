import pytest
import torch
from mmaction.registry import MODELS

import cast_mmaction  # noqa: F401

FRAMES = dict(num_frames=8)
WIDE = dict(
    type='CLIPExpert',
    arch=dict(embed_dims=24, num_layers=3, num_heads=3),
    img_size=32,
    patch_size=8,
    **FRAMES)
NARROW = dict(
    type='VideoMAEExpert',
    arch=dict(embed_dims=16, num_layers=2, num_heads=2),
    img_size=32,
    patch_size=16,
    tubelet_size=4,
    **FRAMES)
REGISTERS = dict(
    type='TimmExpert',
    model_name='vit_small_patch14_reg4_dinov2',
    img_size=32,
    model_kwargs=dict(embed_dim=24, depth=2, num_heads=3, patch_size=8),
    **FRAMES)
EXCHANGES = [
    dict(type='BCAST'),
    dict(type='CrossAttentionExchange', adapter_ratio=.25),
    dict(type='Lateral'), None
]


def cast(spatial=WIDE, temporal=NARROW, **kwargs):
    return MODELS.build(
        dict(type='CAST', spatial=spatial, temporal=temporal, **kwargs))


def step(backbone):
    torch.manual_seed(0)
    for parameter in backbone.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=.1)
    frozen = {
        n: p.clone()
        for n, p in backbone.named_parameters() if not p.requires_grad
    }
    optimizer = torch.optim.SGD(backbone.parameters(), lr=1.)
    backbone.train()
    sum(x.square().sum()
        for x in backbone(torch.randn(2, 3, 8, 32, 32))).backward()
    optimizer.step()
    for name, parameter in backbone.named_parameters():
        if name in frozen:
            assert torch.equal(parameter, frozen[name]), name


@pytest.mark.parametrize('exchange', EXCHANGES)
@pytest.mark.parametrize('experts', [(WIDE, NARROW), (NARROW, WIDE),
                                     (WIDE, WIDE), (NARROW, NARROW),
                                     (REGISTERS, NARROW), (NARROW, REGISTERS)])
def test_any_two_experts_train_and_start_alone(experts, exchange):
    backbone = cast(*experts, exchange=exchange)
    clip = torch.randn(2, 3, 8, 32, 32)
    backbone.eval()
    for feature, expert in zip(backbone(clip), backbone.experts()):
        torch.testing.assert_close(feature, expert(clip))
    step(backbone)


@pytest.mark.parametrize('windows', [('space_time', 'space_time'),
                                     ('space', 'time'), ('time', 'space')])
def test_every_window_matches_positions(windows):
    t2s, s2t = windows
    step(cast(exchange=dict(type='BCAST', t2s_window=t2s, s2t_window=s2t)))


def test_the_papers_size_beside_a_narrow_short_one():
    with torch.device('meta'):
        backbone = cast(
            dict(type='CLIPExpert'),
            dict(
                type='VideoMAEExpert',
                arch=dict(embed_dims=384, num_layers=8, num_heads=6),
                patch_size=14))
        spatial, temporal = backbone(torch.zeros(1, 3, 16, 224, 224))
    assert backbone.temporal.grid == (16, 16)
    assert (spatial.shape, temporal.shape) == ((1, 768), (1, 384))
    assert len(backbone.layers) == 8


def test_every_block_runs_and_has_its_adapters():
    backbone = cast()
    assert [len(layer.spatial_leads) for layer in backbone.layers] == [0, 1]
    calls = []
    for stream, expert in zip('st', backbone.experts()):
        for i, block in enumerate(expert.blocks):
            block.norm1.register_forward_hook(
                lambda *_, key=(stream, i): calls.append(key))
    backbone(torch.randn(1, 3, 8, 32, 32))
    assert sorted(calls) == [('s', 0), ('s', 1), ('s', 2), ('t', 0),
                             ('t', 1)]


def test_pairs_are_evenly_spaced():
    from cast_mmaction.models.cast import pair_blocks
    assert pair_blocks(4, 4) == [(0, 0), (1, 1), (2, 2), (3, 3)]
    assert [s for s, _ in pair_blocks(12, 8)] == [0, 2, 3, 5, 6, 8, 9, 11]
    assert pair_blocks(2, 6) == [(0, 2), (1, 5)]


def test_a_pairing_of_ones_own():
    backbone = cast(pairing=[(0, 0), (2, 1)])
    assert len(backbone.layers) == 2
    step(backbone)


@pytest.mark.parametrize('pairing', [[(0, 0)], [(0, 0), (3, 1)],
                                     [(2, 0), (2, 1)], [], [(2, 0), (0, 1)]])
def test_a_mismatched_pairing_says_what_is_allowed(pairing):
    with pytest.raises(ValueError, match=r'pairing=.*end with \(2, 1\)'):
        cast(pairing=pairing)


def test_exchange_layers_count_pairs():
    layers = cast(exchange_layers=[1]).layers
    assert [layer.exchange is not None for layer in layers] == [False, True]
    with pytest.raises(ValueError, match='0 to 1'):
        cast(exchange_layers=[2])


def test_layer_groups_hold_everything_once():
    backbone = cast()
    groups = backbone.layer_groups()
    assert len(groups) == 3
    seen = [
        id(p) for group in groups for module in group
        for p in module.parameters()
    ]
    assert len(seen) == len(set(seen))
    rest = {
        n for n, p in backbone.named_parameters() if id(p) not in set(seen)
    }
    assert rest == {
        f'{role}.norm.{kind}'
        for role in ('spatial', 'temporal') for kind in ('weight', 'bias')
    }


def test_a_temporal_expert_needs_time():
    still = dict(WIDE, num_frames=8, frame_stride=8)
    with pytest.raises(ValueError, match='time axis'):
        cast(temporal=still)
    cast(spatial=still)  # one key frame is fine in space


def test_an_unknown_expert_names_the_known():
    with pytest.raises(ValueError, match='CLIPExpert'):
        cast(spatial=dict(type='NoExpert'))


def test_fully_fine_tuned_without_adapters():
    backbone = cast(exchange=None, adapter_ratio=None, freeze_experts=False)
    assert all(p.requires_grad for p in backbone.parameters())
    names = [n for n, _ in backbone.named_parameters()]
    assert all(n.startswith(('spatial.', 'temporal.')) for n in names)
    backbone.train()
    assert all(m.training for m in backbone.modules())
    step(backbone)
    assert all(p.grad is not None for p in backbone.parameters())
