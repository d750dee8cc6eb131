import pytest
import torch
from mmaction.registry import MODELS
from torch.utils.flop_counter import FlopCounterMode

from cast_mmaction.models.attention import attention_weights
from cast_mmaction.models.evl import CrossFrame
from tests.golden import GoldenCase, relative_error
from tests.test_models.peers import (TINY, build, counted, fill, golden,
                                     multiply_adds, step)


def tiny(**options):
    cfg = dict(
        type='EVL',
        arch=TINY,
        img_size=32,
        num_frames=4,
        num_decoder_layers=1,
        cross_frame=True)
    return dict(cfg, **options)


def test_golden_output(shared):
    case = GoldenCase(shared / 'golden', 'peer_cases', 'evl_small')
    model = golden(
        case, 'evl', dict(type='EVL', num_decoder_layers=3, cross_frame=True))
    logits = model.cls_head(model.backbone(case.clip()))
    assert relative_error(logits, case.outputs['output']) < 1e-4


@pytest.mark.parametrize('cross_frame, millions', [(False, 28.7),
                                                   (True, 33.2)])
def test_trainable_parameters(cross_frame, millions):
    trained, _ = counted(dict(type='EVL', cross_frame=cross_frame))
    assert trained == pytest.approx(millions, rel=.01)


def test_multiply_adds_of_three_views():
    views = 3 * multiply_adds(dict(type='EVL'), 8)
    assert views == pytest.approx(444, rel=.01)


@pytest.mark.parametrize('grid, arch, layers, published, within', [
    (16, 'large', 4, 8088, .002),
    # Its 182 M parameters are 1.5 % less than ours, too.
    (14, 'base', 12, 2050, .02),
])
def test_multiply_adds_with_the_cross_frame_code(grid, arch, layers, published,
                                                 within):
    ours = multiply_adds(
        dict(
            type='EVL',
            arch=arch,
            patch_size=224 // grid,
            num_frames=32,
            num_decoder_layers=layers,
            cross_frame=True), 32)
    # The weights of a query go over a table of all offsets; published is one
    # row for each key, which takes a tensor of the size (N, N, D).
    width, patches = dict(base=768, large=1024)[arch], grid**2
    products = layers * 2 * 31 * patches * width / 1e9
    as_published = ours + products * (patches - (2 * grid - 1)**2)
    assert 3 * as_published == pytest.approx(published, rel=within)


def test_cross_frame_code_by_its_definition():
    torch.manual_seed(0)
    grid, steps, dims = (2, 3), 3, 8
    module = CrossFrame(dims, 2, grid)
    fill(module)
    q, k = torch.randn(2, 1, steps, 6, dims)
    code = module(q, k)

    def heads(x):
        return x.unflatten(-1, (2, -1)).transpose(0, 1)

    for t in range(steps):
        expected = torch.zeros(6, dims)
        for other, table in ((t - 1, module.previous), (t + 1, module.next)):
            if not 0 <= other < steps:
                continue
            weights = attention_weights(heads(q[0, t]),
                                        heads(k[0, other])).mean(0)
            for a in range(6):
                for b in range(6):
                    row = (a // 3 - b // 3 + 1) * 5 + a % 3 - b % 3 + 2
                    expected[a] = expected[a] + weights[a, b] * table[row]
        torch.testing.assert_close(code[0, t], expected)


def test_training_computes_what_evaluation_does():
    # Training spares the keys and values of the single query.
    model = MODELS.build(tiny(dropout=0.)).double()
    fill(model)
    clip = torch.randn(2, 3, 4, 32, 32, dtype=torch.double)
    results = []
    for mode in (True, False):
        model.train(mode).zero_grad()
        out = model(clip)
        out.square().sum().backward()
        grads = {k: p.grad for k, p in model.named_parameters()
                 if p.requires_grad}
        results.append((out.detach(), grads))
    torch.testing.assert_close(*results)


def test_training_makes_no_keys_and_values():
    model = MODELS.build(tiny(arch=dict(TINY, embed_dims=64)))
    clip = torch.randn(1, 3, 4, 32, 32)
    flops = {}
    for mode in (True, False):
        with FlopCounterMode(display=False) as counter:
            model.train(mode)(clip)
        flops[mode] = counter.get_total_flops()
    tokens, dims, heads = 4 * 5, 64, TINY['num_heads']
    spared = 2 * tokens * 2 * dims * (dims - heads)
    assert flops[False] - flops[True] > .9 * spared


def test_nothing_of_the_encoder_is_kept():
    # Bytes kept for the backward pass do not grow with the encoder's depth.
    def kept(depth):
        backbone = MODELS.build(tiny(arch=dict(TINY, num_layers=depth)))
        sizes = {}

        def pack(x):
            sizes[x.data_ptr()] = x.numel()
            return x

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
            backbone(torch.randn(1, 3, 4, 32, 32)).sum()
        return sum(sizes.values())

    assert kept(1) == kept(4)


@pytest.mark.parametrize('frozen', [True, False])
def test_a_step_moves_what_is_trained(frozen):
    model = build(tiny(frozen=frozen), 5, in_channels=16)
    fill(model)
    moved = step(model, 4)
    expert = {k for k in model.state_dict() if '.expert.' in k}
    norm = {k for k in expert if '.expert.norm.' in k}
    assert moved >= model.state_dict().keys() - expert
    assert moved & expert == (set() if frozen else expert - norm)
    assert model.backbone.expert.training is not frozen


@pytest.mark.parametrize(
    'switch', ['temporal_conv', 'temporal_positions', 'cross_frame'])
def test_switches(switch):
    with_it, without = (
        MODELS.build(tiny(**{switch: on})) for on in (True, False))
    gone = with_it.state_dict().keys() - without.state_dict().keys()
    part = dict(
        temporal_conv='conv',
        temporal_positions='time_positions',
        cross_frame='cross_frame')[switch]
    assert gone and all(k.startswith(f'layers.0.{part}') for k in gone)


def test_too_deep_a_decoder_is_refused():
    with pytest.raises(ValueError, match='has 2 blocks'):
        MODELS.build(tiny(num_decoder_layers=3))


def test_the_decoder_starts_from_xavier_uniform():
    layer = MODELS.build(dict(type='EVL', num_decoder_layers=1)).layers[0]
    dims = 768
    keys, values = layer.attn.kv.weight.chunk(2)
    for weight, fans in ((layer.attn.q.weight, 2 * dims), (keys, 2 * dims),
                         (values, 2 * dims), (layer.mlp.fc1.weight, 5 * dims)):
        bound = (6 / fans)**.5
        assert .99 * bound < weight.abs().max() <= bound
