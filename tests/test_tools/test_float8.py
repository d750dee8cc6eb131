"""Frozen products in float8, of which a GPU decides whether they pay."""
import argparse
import json
import sys

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from tests.test_checkpoints.layouts import (ARCH, clip_layouts,
                                            videomae_layouts)
from tests.toy import ROOT

sys.path.append(str(ROOT / 'tools/benchmarks'))
import benchmark  # noqa: E402
import benchmark_float8  # noqa: E402
import benchmark_model  # noqa: E402
import float8  # noqa: E402

REFUSED = float8.why_not(torch.device('cpu'), 'row')
products = pytest.mark.skipif(
    REFUSED is not None, reason=f'no float8 products here: {REFUSED}')
all_kinds = pytest.mark.parametrize(
    'scales, backward',
    [(x, y) for x in float8.SCALES for y in float8.BACKWARDS])


def drawn(*shape, spread=4.):
    """Rows of very different size."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(*shape, generator=generator)
    exponents = torch.randn(*shape[:-1], 1, generator=generator)
    return x * spread**exponents


def linear(bias=True):
    torch.manual_seed(0)
    return nn.Linear(96, 64, bias).requires_grad_(False)


def far(actual, expected):
    return ((actual.float() - expected).norm() / expected.norm()).item()


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
@pytest.mark.parametrize('by_row', [False, True])
def test_scales_put_the_largest_at_the_end_of_float8(by_row, dtype):
    x = drawn(50, 96).to(dtype)
    cast, scale = float8.to_float8(x, by_row)
    assert (cast.dtype, scale.dtype) == (float8.FLOAT8, torch.float32)
    assert scale.shape == ((50, 1) if by_row else ())
    largest = cast.float().abs().amax(1 if by_row else (0, 1))
    assert (largest == 448).all()
    back = cast.float() * scale
    # Half of the last bit, of 3 behind the first, or of what is small beside
    # the largest 2 ** -9; and what bfloat16 rounds before.
    size = x.float().abs()
    bound = (2**-4 * size).maximum(2**-10 * scale) + 2**-8 * size
    assert ((back - x.float()).abs() <= bound).all()


@pytest.mark.parametrize('by_row', [False, True])
def test_what_is_zero_stays_so(by_row):
    cast, scale = float8.to_float8(torch.zeros(4, 32), by_row)
    assert (cast.float() == 0).all() and (scale > 0).all()


def test_rows_lie_one_behind_the_other():
    cast, _ = float8.to_float8(drawn(96, 32).t(), True)
    assert cast.is_contiguous()


@products
@all_kinds
def test_the_product_is_near_the_exact_one(scales, backward):
    exact = linear()
    x = drawn(5, 7, 96, spread=1.5)
    y = float8.Float8Linear(exact, scales, backward)(x)
    assert (y.shape, y.dtype) == ((5, 7, 64), torch.bfloat16)
    assert .01 < far(y, exact(x)) < .05  # it is one in float8
    if scales == 'row':  # also of small rows beside large ones
        error = y.float() - exact(x)
        assert (error.norm(dim=-1) < .06 * exact(x).norm(dim=-1)).all()


@products
@pytest.mark.parametrize('scales', float8.SCALES)
def test_the_product_is_that_of_what_was_cast(scales):
    """Scales and bias in their places: nothing is lost beyond the casts."""
    by_row = scales == 'row'
    exact, x = linear(), drawn(35, 96)
    x8, x_scale = float8.to_float8(x, by_row)
    w8, w_scale = float8.to_float8(exact.weight, by_row)
    expected = (x8.float() * x_scale) @ (w8.float() * w_scale).t() + exact.bias
    assert far(float8.Float8Linear(exact, scales)(x), expected) < 5e-3
    without = linear(bias=False)
    without.weight = exact.weight
    assert far(
        float8.Float8Linear(without, scales)(x),
        expected - exact.bias) < 5e-3


@products
@all_kinds
def test_the_gradient_of_the_input(scales, backward):
    exact, layer = linear(), float8.Float8Linear(linear(), scales, backward)
    x = drawn(5, 7, 96).requires_grad_()
    grad = drawn(5, 7, 64, spread=1.5)
    expected, = torch.autograd.grad(exact(x), x, grad)
    actual, = torch.autograd.grad(layer(x), x, grad.bfloat16())
    assert actual.dtype == x.dtype
    error = far(actual, expected)
    assert error < .006 if backward == 'bfloat16' else .01 < error < .05
    assert not [*layer.parameters()]  # nothing is trained


@products
@all_kinds
def test_nothing_waits_for_the_device(scales, backward):
    """A tensor without values cannot be asked for any."""
    with FakeTensorMode():
        layer = float8.Float8Linear(linear(), scales, backward)
        x = torch.randn(6, 96, requires_grad=True)
        layer(x).sum().backward()
        assert x.grad.shape == x.shape
        with pytest.raises(RuntimeError, match='_local_scalar'):
            layer.scale.max().item()


@pytest.mark.skipif(
    not torch.cuda.is_available(), reason='needs a GPU')
@all_kinds
def test_a_gpu_computes_it_without_waiting(scales, backward):
    device = torch.device('cuda')
    reason = float8.why_not(device, scales)
    if reason is not None:
        pytest.skip(reason)
    exact = linear().to(device)
    layer = float8.Float8Linear(exact, scales, backward)
    x = drawn(5, 7, 96, spread=1.5).to(device).requires_grad_()
    grad = torch.randn(5, 7, 64, device=device)
    torch.cuda.set_sync_debug_mode('error')
    try:
        y = layer(x)
        actual, = torch.autograd.grad(y, x, grad.bfloat16())
    finally:
        torch.cuda.set_sync_debug_mode('default')
    assert .01 < far(y, exact(x)) < .05
    expected, = torch.autograd.grad(exact(x), x, grad)
    assert far(actual, expected) < .05


@products
def test_a_compiler_takes_it_whole():
    layer = float8.Float8Linear(linear(), 'row', 'float8')
    x = drawn(6, 96).requires_grad_()
    results = []
    for call in (layer, torch.compile(
            layer, backend='aot_eager', fullgraph=True)):
        y = call(x)
        results.append((y, *torch.autograd.grad(y.sum(), x)))
    for actual, expected in zip(*results):
        torch.testing.assert_close(actual, expected, rtol=0, atol=0)


def test_frozen_linears_are_replaced_and_no_others():
    model = nn.Sequential(
        linear(), nn.Sequential(nn.Linear(64, 32)), nn.LayerNorm(32))
    assert float8.hold_in_float8(model, 'tensor', 'bfloat16') == 1
    assert isinstance(model[0], float8.Float8Linear)
    assert isinstance(model[1][0], nn.Linear)


def test_a_gpu_that_is_too_old(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda _: (8, 6))
    assert float8.why_not(torch.device('cuda'), 'row') == (
        'compute capability 8.6, float8 needs 8.9')


@pytest.mark.parametrize('time, features, expected', [
    (.85, .02, 'keep: step in 0.85 of the time (0.85 asked), features differ '
     'by 2.0 % (2 allowed)'),
    (.86, .01, 'do not keep: step in 0.86'),
    (.7, .021, 'do not keep: step in 0.70'),
    (.7, float('nan'), 'do not keep'),
])
def test_the_verdict(time, features, expected):
    assert benchmark_float8.verdict(time, features).startswith(expected)


# 16 pixels: a product of a CPU may be slow beyond use.
TINY = ('--arch', 'tiny', '--frames', '4', '--size', '16', '--rounds', '1',
        '--device', 'cpu')


@pytest.fixture
def tables(tmp_path, monkeypatch):
    """Runs the benchmark; gives its tables."""
    # No compiler is asked to compile for a CPU.
    monkeypatch.setattr(torch, 'compile', lambda function, **_: function)

    def run(*args):
        benchmark.main(['float8', *TINY, *args, '--json', f'{tmp_path}/table'])
        return {
            path.name.split('.')[1]: json.loads(path.read_text())
            for path in tmp_path.glob('table.*.json')
        }

    return run


@pytest.mark.slow
@products
def test_the_table(tables, monkeypatch):
    # The other kind takes a CPU half a minute.
    monkeypatch.setattr(benchmark_float8, 'SCALES', ['row'])
    found = tables()
    assert found.keys() == {'casts_by_PyTorch', 'casts_compiled'}
    for table in found.values():
        assert table['title'].endswith('random weights')
        bfloat16, *others = table['rows']
        assert bfloat16['frozen products'] == 'bfloat16'
        assert len(others) == 2
        for row in others:
            # Not nothing: it is computed in float8.
            assert .002 < float(row['features differ by']) < .1
            assert float(row['gradients differ by']) < .1
            assert row['verdict'] == 'only a GPU can tell'


def test_without_such_products_it_says_so(tables, monkeypatch):
    monkeypatch.setattr(benchmark_float8, 'why_not', lambda *_: 'too old')
    table, = tables().values()
    assert [row['verdict'] for row in table['rows'][1:]] == [
        'not here: too old'] * 4


@pytest.mark.parametrize('from_files', [False, True])
def test_models_of_the_same_weights(from_files, tmp_path, monkeypatch):
    """All contenders start alike, also from files."""
    args = argparse.Namespace(
        arch='tiny', frames=4, size=32, batch=1, device='cpu', pretrained=None)
    if from_files:
        monkeypatch.setattr(benchmark_model, 'TINY', ARCH)
        args.pretrained = [str(tmp_path / x) for x in ('clip', 'videomae')]
        states = clip_layouts()['openai'], videomae_layouts()['pre-training']
        for path, state in zip(args.pretrained, states):
            torch.save(state, path)
    first, second = (benchmark_float8._contender(args) for _ in range(2))
    if from_files:
        block = first.model[0].spatial.blocks[0]
        name = 'visual.transformer.resblocks.0.attn.out_proj.weight'
        assert torch.equal(block.attn.proj.weight, states[0][name].bfloat16())
    for a, b in zip(first.model.parameters(), second.model.parameters()):
        assert torch.equal(a, b)
    result = benchmark_float8._result(first)
    assert benchmark_float8.differences(
        result, benchmark_float8._result(second)) == (0, 0)
    assert result.gradients.norm() > 0
