"""One attention for every model of the package.

Shape legend, used in all model files:

    B clips, T time steps, P tokens of a step (N patches and, where a model
    has one, a class token in front), D width, H heads, d = D / H.

Tokens are ``(B, T, P, D)`` everywhere. Which tokens see each other is the
*window*, and a window is the only place where axes are moved.
"""
from contextlib import contextmanager
from typing import Callable, Iterator, Tuple

import torch.nn.functional as F
from torch import Tensor, nn

WINDOWS = ('space', 'time', 'space_time')

Kernel = Callable[[Tensor, Tensor, Tensor], Tensor]


def check_heads(embed_dims: int, num_heads: int) -> None:
    """Refuses a width that the heads cannot share evenly.

    Raises:
        ValueError: if ``embed_dims`` is not a multiple of ``num_heads``.
    """
    if embed_dims % num_heads:
        raise ValueError(f'a width of {embed_dims} cannot be divided among '
                         f'{num_heads} heads; choose a multiple')


def check_window(window: str) -> None:
    """Refuses an unknown window.

    Raises:
        ValueError: naming the windows there are.
    """
    if window not in WINDOWS:
        raise ValueError(f'unknown window {window!r}; use one of {WINDOWS}')


def split_window(x: Tensor, window: str) -> Tensor:
    """``(B, T, P, D) -> (sequences, length, D)``; tokens of one sequence see
    each other."""
    if window == 'space':
        return x.flatten(0, 1)  # (B*T, P, D)
    if window == 'time':
        return x.transpose(1, 2).flatten(0, 1)  # (B*P, T, D)
    return x.flatten(1, 2)  # (B, T*P, D)


def merge_window(x: Tensor, window: str, shape: Tuple[int, ...]) -> Tensor:
    """Inverse of :func:`split_window`; ``shape`` is ``(B, T, P, D)``."""
    batch, steps, tokens, _ = shape
    if window == 'space':
        return x.unflatten(0, (batch, steps))
    if window == 'time':
        return x.unflatten(0, (batch, tokens)).transpose(1, 2)
    return x.unflatten(1, (steps, tokens))


def sdpa_kernel(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """PyTorch's fused attention; ``(S, H, L, d)`` in and out."""
    return F.scaled_dot_product_attention(q, k, v)


def eager_kernel(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """The same attention written out: the twin that proves the fused one."""
    return attention_weights(q, k) @ v


def attention_weights(q: Tensor, k: Tensor) -> Tensor:
    """Softmax of the scaled scores, ``(S, H, Lq, Lk)``."""
    scores = (q * q.shape[-1]**-0.5) @ k.transpose(-2, -1)
    return scores.softmax(dim=-1)


_kernel: Kernel = sdpa_kernel


@contextmanager
def use_kernel(kernel: Kernel) -> Iterator[None]:
    """Runs every attention inside the block with another kernel.

    Args:
        kernel: ``(q, k, v) -> out``, each ``(S, H, L, d)``; for instance
            :func:`eager_kernel`, or one that keeps the weights to draw.
    """
    global _kernel
    before, _kernel = _kernel, kernel
    try:
        yield
    finally:
        _kernel = before


def attention(q: Tensor, k: Tensor, v: Tensor, num_heads: int,
              window: str) -> Tensor:
    """Multi-head attention inside a window.

    Args:
        q: Queries ``(B, T, P, D)``.
        k: Keys ``(B, T', P', D)``; ``T' = T`` for the window 'space',
            ``P' = P`` for 'time', both free for 'space_time'.
        v: Values, as ``k``.
        num_heads: Heads H; divides D.
        window: Which tokens see each other: 'space' (those of one step),
            'time' (those of one location) or 'space_time' (all of a clip).

    Returns:
        ``(B, T, P, D)``.
    """
    def heads(x: Tensor) -> Tensor:  # (B, T, P, D) -> (S, H, L, d)
        x = split_window(x, window)
        return x.unflatten(-1, (num_heads, -1)).transpose(1, 2)

    out = _kernel(heads(q), heads(k), heads(v))
    return merge_window(out.transpose(1, 2).flatten(-2), window, q.shape)


class SelfAttention(nn.Module):
    """Projections around :func:`attention`.

    Args:
        embed_dims: Width D.
        num_heads: Heads H.
        window: The window used when :meth:`forward` is not told another.
    """

    def __init__(self, embed_dims: int, num_heads: int, window: str) -> None:
        super().__init__()
        check_heads(embed_dims, num_heads)
        check_window(window)
        self.num_heads = num_heads
        self.window = window
        self.qkv = nn.Linear(embed_dims, 3 * embed_dims)
        self.proj = nn.Linear(embed_dims, embed_dims)

    def forward(self, x: Tensor, window: str = None) -> Tensor:
        """``(B, T, P, D) -> (B, T, P, D)``; one set of weights serves every
        window."""
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        return self.proj(
            attention(q, k, v, self.num_heads, window or self.window))


class CrossAttention(nn.Module):
    """Queries of one stream read another stream of the same width.

    Args:
        embed_dims: Width D of both streams.
        num_heads: Heads H.
        window: See :func:`attention`.
    """

    def __init__(self, embed_dims: int, num_heads: int, window: str) -> None:
        super().__init__()
        check_heads(embed_dims, num_heads)
        check_window(window)
        self.num_heads = num_heads
        self.window = window
        self.q = nn.Linear(embed_dims, embed_dims)
        self.kv = nn.Linear(embed_dims, 2 * embed_dims)
        self.proj = nn.Linear(embed_dims, embed_dims)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """``x (B, T, P, D)`` reads ``context (B, T', P', D)``."""
        k, v = self.kv(context).chunk(2, dim=-1)
        return self.proj(
            attention(self.q(x), k, v, self.num_heads, self.window))
