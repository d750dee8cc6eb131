import pytest
import torch
from mmaction.registry import MODELS
from torch import nn

import cast_mmaction  # noqa: F401
from cast_mmaction.models.attention import CrossAttention
from cast_mmaction.models.exchange import Resample
from cast_mmaction.models.expert import TokenSpec
from tests.test_models.test_cast import tiny

SPATIAL = TokenSpec(16, 2, 3, (2, 4), num_prefix_tokens=1)
TEMPORAL = TokenSpec(16, 2, 3, (2, 4))
EXCHANGES = [
    dict(type='BCAST'),
    dict(type='BCAST', ratio=1., positions=False),
    dict(type='BCAST', t2s_window='space_time', s2t_window='time'),
    dict(type='CrossAttentionExchange'),
    dict(type='CrossAttentionExchange', adapter_ratio=.25),
    dict(type='Lateral'),
]
DIRECTIONS = [('t2s', 's2t'), ('t2s', ), ('s2t', )]


def build(cfg, spatial=SPATIAL, temporal=TEMPORAL, noise=.2, **kwargs):
    torch.manual_seed(0)
    exchange = MODELS.build(
        dict(cfg, spatial=spatial, temporal=temporal, **kwargs))
    if noise:
        for parameter in exchange.parameters():
            nn.init.normal_(parameter, std=noise)
    return exchange


@pytest.mark.parametrize('direction', ['t2s_window', 's2t_window'])
def test_unknown_window_is_named(direction):
    with pytest.raises(ValueError, match="unknown window 'colour'; use one"):
        build(dict(type='BCAST', **{direction: 'colour'}))
    with pytest.raises(ValueError, match="unknown window 'colour'; use one"):
        CrossAttention(16, 2, 'colour')


def tokens(spec, batch=2):
    return torch.randn(batch, spec.num_steps,
                       spec.num_prefix_tokens + spec.num_patches,
                       spec.embed_dims)


@pytest.mark.parametrize('cfg', EXCHANGES)
@pytest.mark.parametrize('directions', DIRECTIONS)
def test_a_new_exchange_adds_nothing(cfg, directions):
    exchange = build(cfg, noise=0, directions=directions)
    for residual in exchange.residuals(tokens(SPATIAL), tokens(TEMPORAL)):
        assert residual is None or not residual.any()


@pytest.mark.parametrize('cfg', EXCHANGES)
@pytest.mark.parametrize('directions', DIRECTIONS)
def test_only_the_receiver_hears(cfg, directions):
    exchange = build(cfg, directions=directions)
    s, t = tokens(SPATIAL), tokens(TEMPORAL)
    before = exchange.residuals(s, t)
    assert [r is not None for r in before] == [
        d in directions for d in ('t2s', 's2t')
    ]
    hear_t = exchange.residuals(s, t + 1.5 * torch.randn_like(t))[0]
    hear_s = exchange.residuals(s + 1.5 * torch.randn_like(s), t)[1]
    for was, now in zip(before, (hear_t, hear_s)):
        assert was is None or not torch.allclose(was, now)
    trained = sum(r.sum() for r in before if r is not None)
    trained.backward()
    assert all(p.grad is not None for p in exchange.parameters())


@pytest.mark.parametrize('directions', [(), ('both', ), 't2s'])
def test_unknown_directions_are_refused(directions):
    with pytest.raises(ValueError, match="'t2s'.*'s2t'"):
        build(EXCHANGES[0], directions=directions)


@pytest.mark.parametrize('cfg', EXCHANGES[:5])
def test_windows_bound_what_is_read(cfg):
    windows = dict(t2s_window='time', s2t_window='space')
    exchange = build(dict(cfg, **windows))
    s, t = tokens(SPATIAL), tokens(TEMPORAL)
    to_s, to_t = exchange.residuals(s, t)
    t[:, :, 0] += torch.randn(16)  # one location, all times
    moved = (exchange.residuals(s, t)[0] != to_s).any(dim=(0, 1, 3))
    assert moved.tolist() == [False, True] + 7 * [False]
    s[:, 1, 1:] += torch.randn(16)  # one time, all locations
    t = tokens(TEMPORAL)
    before = build(dict(cfg, **windows))
    s_old = s.clone()
    s_old[:, 1, 1:] -= torch.randn(16)
    a, b = (before.residuals(x, t)[1] for x in (s, s_old))
    assert (a != b).any(dim=(0, 2, 3)).tolist() == [False, True, False]


@pytest.mark.parametrize('cfg', EXCHANGES[3:])
def test_class_tokens_take_no_part(cfg):
    exchange = build(cfg)
    s, t = tokens(SPATIAL), tokens(TEMPORAL)
    to_s, to_t = exchange.residuals(s, t)
    assert not to_s[:, :, 0].any() and to_s[:, :, 1:].any()
    s[:, :, 0] += 1
    assert torch.equal(exchange.residuals(s, t)[1], to_t)


def test_lateral_adds_the_same_place_and_time():
    lateral = build(dict(type='Lateral'))
    s, t = tokens(SPATIAL), tokens(TEMPORAL)
    to_s, to_t = lateral.residuals(s, t)
    torch.testing.assert_close(to_s[:, :, 1:], lateral.t2s(t))
    torch.testing.assert_close(to_t, lateral.s2t(s[:, :, 1:]))


def test_widths_that_the_heads_cannot_share():
    with pytest.raises(ValueError, match='12 cannot be divided among 5'):
        build(dict(type='BCAST', ratio=.75, num_heads=5))


@pytest.mark.parametrize('cfg', EXCHANGES)
@pytest.mark.parametrize('directions', DIRECTIONS)
def test_a_model_with_it_trains(cfg, directions):
    cfg = dict(cfg, directions=directions)
    model = tiny(exchange=cfg, drop_path_rate=.1).train()
    for parameter in model.parameters():
        if parameter.requires_grad:
            nn.init.normal_(parameter, std=.1)
    loss = model.cls_head(model.backbone(torch.randn(2, 3, 4, 32, 32)))
    loss.square().mean().backward()
    # Distributed training needs a gradient for whatever is trained.
    assert not [
        n for n, p in model.named_parameters()
        if p.requires_grad and p.grad is None
    ]


# A pair of pathways as SlowFast gives them: few steps and many channels,
# many steps and few channels.
SLOW = dict(embed_dims=16, num_heads=2, num_steps=2, grid=(3, 3))
FAST = dict(embed_dims=8, num_heads=2, num_steps=8, grid=(3, 3))


def maps(spec, batch=2):
    return torch.randn(batch, spec['embed_dims'], spec['num_steps'],
                       *spec['grid'])


@pytest.mark.parametrize('cfg', EXCHANGES)
def test_an_ordinary_neck(cfg):
    neck = build(cfg, SLOW, FAST)
    streams = (maps(SLOW), maps(FAST))
    (slow, fast), losses = neck(streams, data_samples=[])
    assert losses == {}
    assert (slow.shape, fast.shape) == tuple(x.shape for x in streams)
    assert not torch.equal(slow, streams[0])
    assert not torch.equal(fast, streams[1])
    new = build(cfg, SLOW, FAST, noise=0)
    for a, b in zip(new(streams)[0], streams):
        assert torch.equal(a, b)


def test_a_neck_keeps_places():
    neck = build(dict(type='Lateral', directions=['t2s']), SLOW,
                 dict(FAST, num_steps=2))
    slow, fast = maps(SLOW), maps(dict(FAST, num_steps=2))
    other = fast.clone()
    other[:, :, 1, 2, 0] += 1
    a, b = (neck((slow, x))[0][0] for x in (fast, other))
    assert (a != b).any(dim=(0, 1)).nonzero().tolist() == [[1, 2, 0]]


def test_a_neck_refuses_maps_of_other_sizes():
    neck = build(dict(type='BCAST'), SLOW, FAST)
    with pytest.raises(ValueError, match=r'temporal.*\(8, 8, 3, 3\)'):
        neck((maps(SLOW), maps(dict(FAST, num_steps=4))))


@pytest.mark.parametrize('old, new', [(4, 8), (8, 4), (6, 4), (1, 3)])
def test_resampling_keeps_constants_and_ramps(old, new):
    spec = dict(embed_dims=1, num_heads=1, grid=(1, 1))
    resample = Resample(
        TokenSpec(num_steps=old, **spec), TokenSpec(num_steps=new, **spec),
        time=True)
    ones = torch.ones(1, old, 1, 1)
    torch.testing.assert_close(resample(ones), torch.ones(1, new, 1, 1))
    centres = (torch.arange(old) + .5) / old
    ramp = resample(centres.view(1, old, 1, 1)).flatten()
    expected = (torch.arange(new) + .5) / new
    if old > 1:  # ends are held
        torch.testing.assert_close(
            ramp[1:-1], expected[1:-1], rtol=0, atol=.005)


def test_resampling_of_coinciding_positions_is_nothing():
    resample = Resample(SPATIAL, TEMPORAL, time=True, space=True)
    x = torch.randn(2, 3, 8, 16)
    assert resample(x) is x
    assert not resample.state_dict() and not list(resample.buffers())


def test_resampling_keeps_rows_and_columns():
    a, b = TokenSpec(1, 1, 1, (2, 4)), TokenSpec(1, 1, 1, (2, 2))
    x = torch.arange(8.).view(1, 1, 2, 4, 1)
    torch.testing.assert_close(
        Resample(a, b, space=True)(x.flatten(2, 3)).view(2, 2)[1] -
        Resample(a, b, space=True)(x.flatten(2, 3)).view(2, 2)[0],
        torch.full((2, ), 4.))
