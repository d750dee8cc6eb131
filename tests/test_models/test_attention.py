import pytest
import torch

import cast_mmaction.models.attention as module
from cast_mmaction.models.attention import (CrossAttention, SelfAttention,
                                            attention, eager_kernel,
                                            use_kernel)

SHAPE = (2, 3, 5, 8)  # B, T, P, D
HEADS = 2


def qkv(key_shape=SHAPE):
    torch.manual_seed(0)
    return (torch.randn(SHAPE), torch.randn(key_shape), torch.randn(key_shape))


def by_hand(q, k, v, window):
    """Every query alone, over the keys that its window lets it see."""
    out = torch.zeros_like(q)
    batch, steps, tokens, dims = q.shape
    d = dims // HEADS
    for b in range(batch):
        for t in range(steps):
            for p in range(tokens):
                keys = dict(
                    space=(t, slice(None)),
                    time=(slice(None), p),
                    space_time=(slice(None), slice(None)))[window]
                seen_k = k[b][keys].reshape(-1, dims)
                seen_v = v[b][keys].reshape(-1, dims)
                for h in range(HEADS):
                    part = slice(h * d, (h + 1) * d)
                    weights = (seen_k[:, part] @ q[b, t, p, part] /
                               d**.5).softmax(0)
                    out[b, t, p, part] = weights @ seen_v[:, part]
    return out


@pytest.mark.parametrize('window, key_shape', [
    ('space', (2, 3, 7, 8)),
    ('time', (2, 4, 5, 8)),
    ('space_time', (2, 4, 7, 8)),
    ('space_time', SHAPE),
])
def test_a_query_sees_its_window(window, key_shape):
    q, k, v = qkv(key_shape)
    expected = by_hand(q, k, v, window)
    torch.testing.assert_close(attention(q, k, v, HEADS, window), expected)
    with use_kernel(eager_kernel):
        torch.testing.assert_close(
            attention(q, k, v, HEADS, window), expected)


@pytest.mark.parametrize('window', ['space', 'time', 'space_time'])
def test_the_eager_twin_has_the_same_gradients(window):
    torch.manual_seed(0)
    module = SelfAttention(8, HEADS, window)
    x = torch.randn(SHAPE, requires_grad=True)
    weight = torch.randn(SHAPE)
    (module(x) * weight).sum().backward()
    expected, x.grad = x.grad, None
    with use_kernel(eager_kernel):
        (module(x) * weight).sum().backward()
    torch.testing.assert_close(x.grad, expected)


def test_the_kernel_is_given_back_after_an_error():
    q, k, v = qkv()
    expected = attention(q, k, v, HEADS, 'space')

    def broken(q, k, v):
        raise RuntimeError('broken')

    with pytest.raises(RuntimeError, match='broken'):
        with use_kernel(broken):
            attention(q, k, v, HEADS, 'space')
    assert torch.equal(attention(q, k, v, HEADS, 'space'), expected)


def test_bad_sizes_are_named():
    with pytest.raises(ValueError, match='10 cannot be divided among 3'):
        SelfAttention(10, 3, 'space')
    with pytest.raises(ValueError, match="'diagonal'; use one of"):
        CrossAttention(8, 2, 'diagonal')


@pytest.mark.parametrize('window', ['space', 'time', 'space_time'])
def test_more_sequences_than_a_kernel_takes(monkeypatch, window):
    torch.manual_seed(0)
    attend = SelfAttention(8, HEADS, window)
    x = torch.randn(SHAPE, requires_grad=True)

    def step():
        x.grad = None
        y = attend(x)
        y.square().sum().backward()
        return y, x.grad

    expected, sizes = step(), []
    fused = torch.nn.functional.scaled_dot_product_attention

    def count(q, k, v):
        sizes.append(len(q))
        return fused(q, k, v)

    monkeypatch.setattr(module.F, 'scaled_dot_product_attention', count)
    monkeypatch.setattr(module, 'MAX_SEQUENCES', 4)
    torch.testing.assert_close(step(), expected)
    sequences = dict(space=6, time=10, space_time=2)[window]
    assert max(sizes) <= 4 and sum(sizes) == sequences


def test_the_kernel_takes_odd_sizes():
    """Windows of any length and heads of any width, as B-CAST's 8 x 32."""
    for length, width in ((8, 32), (1, 32), (7, 5), (197, 3)):
        q, k, v = torch.randn(3, 2, 2, length, width)
        torch.testing.assert_close(
            module.sdpa_kernel(q, k, v), eager_kernel(q, k, v))
