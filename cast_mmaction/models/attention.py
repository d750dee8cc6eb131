"""One attention for every model of the package.

Shape legend, used in all model files:

    B clips, T time steps, P tokens of a step (N patches and, where a model
    has one, a class token in front), D width, H heads, d = D / H.

Tokens are ``(B, T, P, D)`` everywhere. Which tokens see each other is the
*window*, and a window is the only place where axes are moved.
"""
from contextlib import contextmanager
from functools import lru_cache
from typing import (Callable, Iterator, List, NamedTuple, Optional, Tuple,
                    Union)

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WINDOWS = ('space', 'time', 'space_time')
GRID_WINDOWS = ('clip', 'row', 'column', 'local', 'dilated')


class GridWindow(NamedTuple):
    """A window among the patches of a clip that has one class token.

    The tokens are ``(B, T, 1+N, D)`` as everywhere; the class tokens of all
    steps are copies of one and stay so. It is a key of every patch and
    itself reads the whole clip, whatever the patches see:

    - 'clip': all patches,
    - 'row', 'column': those of the same step and row, or column,
    - 'local': in every step, a neighbourhood of half the height and half the
      width (rounded up), the query in its middle (or, of an even size, just
      after it). At a border the neighbourhood is moved inside, so that every
      query sees equally many patches,
    - 'dilated': every second patch along time, rows and columns, counted
      from the query: it sees itself, and every patch is seen by some.

    Attributes:
        kind: One of ``GRID_WINDOWS``.
        grid: Rows and columns of patches.
    """
    kind: str
    grid: Tuple[int, int]


Window = Union[str, GridWindow]
Kernel = Callable[[Tensor, Tensor, Tensor], Tensor]


def check_heads(embed_dims: int, num_heads: int) -> None:
    """Refuses a width that the heads cannot share evenly.

    Raises:
        ValueError: if ``embed_dims`` is not a multiple of ``num_heads``.
    """
    if embed_dims % num_heads:
        raise ValueError(f'a width of {embed_dims} cannot be divided among '
                         f'{num_heads} heads; choose a multiple')


def check_window(window: Window) -> None:
    """Refuses an unknown window.

    Raises:
        ValueError: naming the windows there are.
    """
    if isinstance(window, GridWindow):
        if window.kind not in GRID_WINDOWS:
            raise ValueError(f'unknown window {window.kind!r} on a grid; use '
                             f'one of {GRID_WINDOWS}')
    elif window not in WINDOWS:
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


# CUDA's fused kernels put a sequence on an axis of the launch grid that ends
# here; 335 clips (or views) of 14 x 14 patches pass it in the window 'time'.
MAX_SEQUENCES = 65535


def sdpa_kernel(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """PyTorch's fused attention; ``(S, H, L, d)`` in and out. More sequences
    than a kernel takes are given to it in parts."""
    if len(q) <= MAX_SEQUENCES:
        return F.scaled_dot_product_attention(q, k, v)
    parts = zip(*(x.split(MAX_SEQUENCES) for x in (q, k, v)))
    return torch.cat(
        [F.scaled_dot_product_attention(*part) for part in parts])


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
              window: Window) -> Tensor:
    """Multi-head attention inside a window.

    Args:
        q: Queries ``(B, T, P, D)``.
        k: Keys ``(B, T', P', D)``; ``T' = T`` for the window 'space',
            ``P' = P`` for 'time', both free for 'space_time'.
        v: Values, as ``k``.
        num_heads: Heads H; divides D.
        window: Which tokens see each other: 'space' (those of one step),
            'time' (those of one location), 'space_time' (all of a clip), or
            a :class:`GridWindow`.

    Returns:
        ``(B, T, P, D)``.
    """
    if isinstance(window, GridWindow):
        return _grid_attention(q, k, v, num_heads, window)

    def heads(x: Tensor) -> Tensor:  # (B, T, P, D) -> (S, H, L, d)
        x = split_window(x, window)
        return x.unflatten(-1, (num_heads, -1)).transpose(1, 2)

    out = _kernel(heads(q), heads(k), heads(v))
    return merge_window(out.transpose(1, 2).flatten(-2), window, q.shape)


def _grid_attention(q: Tensor, k: Tensor, v: Tensor, num_heads: int,
                    window: GridWindow) -> Tensor:
    """:func:`attention` for a :class:`GridWindow`: gathers, no masks."""
    steps, tokens = q.shape[1:3]

    def line_up(x: Tensor) -> Tensor:  # (B, T, 1+N, D) -> (B, 1+T*N, D)
        return torch.cat([x[:, :1, 0], x[:, :, 1:].flatten(1, 2)], dim=1)

    def heads(x: Tensor, index: Tensor) -> Tensor:  # -> (B*S, H, L, d)
        x = x[:, index].flatten(0, 1)
        return x.unflatten(-1, (num_heads, -1)).transpose(1, 2)

    q, k, v = line_up(q), line_up(k), line_up(v)
    groups, inverse = _sequences(window, steps, q.device)
    out = [
        _kernel(heads(q, queries), heads(k, keys), heads(v, keys)).transpose(
            1, 2).flatten(-2).unflatten(0, (q.shape[0], -1)).flatten(1, 2)
        for queries, keys in groups
    ]  # each (B, S*Lq, D)
    out = torch.cat(out, dim=1)[:, inverse]  # (B, 1+T*N, D)
    class_token = out[:, None, :1].expand(-1, steps, -1, -1)
    patches = out[:, 1:].unflatten(1, (steps, tokens - 1))
    return torch.cat([class_token, patches], dim=2)


@lru_cache(maxsize=32)
@torch.inference_mode(False)  # else training could not use what it caches
def _sequences(
        window: GridWindow, steps: int, device: torch.device
) -> Tuple[List[Tuple[Tensor, Tensor]], Tensor]:
    """Who sees whom, as places in (class token, patches of step 0, ...).

    Returns:
        Pairs of queries ``(S, Lq)`` and their keys ``(S, Lk)``, which hold
        every query once; and the places of tokens 0, 1, ... in all queries
        one after the other.
    """
    rows, cols = window.grid
    count = 1 + steps * rows * cols
    everything = torch.arange(count, device=device)
    patches = everything[1:].view(steps, rows, cols)
    if window.kind == 'clip':
        pairs = [(everything[None], everything[None])]
    else:
        if window.kind == 'row':
            lines = patches.flatten(0, 1)
            pairs = [(lines, lines)]
        elif window.kind == 'column':
            lines = patches.transpose(1, 2).flatten(0, 1)
            pairs = [(lines, lines)]
        elif window.kind == 'dilated':
            lines = [
                patches[t::2, r::2, c::2].reshape(1, -1) for t in range(2)
                for r in range(2) for c in range(2)
            ]
            pairs = [(line, line) for line in lines if line.numel()]
        else:
            pairs = [(patches[:, r][:, :, c].reshape(1, -1),
                      patches[:, seen_r][:, :, seen_c].reshape(1, -1))
                     for r, seen_r in _neighbourhoods(rows)
                     for c, seen_c in _neighbourhoods(cols)]
        pairs = [(queries, F.pad(keys, (1, 0))) for queries, keys in pairs]
        pairs.append((everything[None, :1], everything[None]))
    order = torch.cat([queries.flatten() for queries, _ in pairs])
    return pairs, order.argsort()


def _neighbourhoods(length: int) -> Iterator[Tuple[slice, slice]]:
    """Neighbours on a line that see the same half of it, and that half."""
    half = (length + 1) // 2
    last = length - half
    starts = [min(max(i - half // 2, 0), last) for i in range(length)]
    for start in range(last + 1):
        first = starts.index(start)
        yield (slice(first, first + starts.count(start)),
               slice(start, start + half))


class SelfAttention(nn.Module):
    """Projections around :func:`attention`.

    Args:
        embed_dims: Width D.
        num_heads: Heads H.
        window: The window used when :meth:`forward` is not told another.
        rotary: Turns queries and keys ``(B, T, P, D)`` by their places; one
            module may serve many attentions. None for none.
    """

    def __init__(self,
                 embed_dims: int,
                 num_heads: int,
                 window: Window,
                 rotary: Optional[nn.Module] = None) -> None:
        super().__init__()
        check_heads(embed_dims, num_heads)
        check_window(window)
        self.num_heads = num_heads
        self.window = window
        self.rotary = rotary
        self.qkv = nn.Linear(embed_dims, 3 * embed_dims)
        self.proj = nn.Linear(embed_dims, embed_dims)

    def forward(self, x: Tensor, window: Window = None) -> Tensor:
        """``(B, T, P, D) -> (B, T, P, D)``; one set of weights serves every
        window."""
        return self.mix(*self.project(x), window)

    def project(self, x: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each ``(B, T, P, D)``."""
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        if self.rotary is not None:
            q, k = self.rotary(q), self.rotary(k)
        return q, k, v

    def mix(self, q: Tensor, k: Tensor, v: Tensor,
            window: Window = None) -> Tensor:
        """What :meth:`forward` makes of :meth:`project`'s tensors."""
        return self.proj(
            attention(q, k, v, self.num_heads, window or self.window))


class CrossAttention(nn.Module):
    """Queries of one stream read another stream.

    Args:
        embed_dims: Width D of the queries.
        num_heads: Heads H.
        window: See :func:`attention`.
        context_dims: Width D' of the stream that is read; None for D.
    """

    def __init__(self,
                 embed_dims: int,
                 num_heads: int,
                 window: str,
                 context_dims: Optional[int] = None) -> None:
        super().__init__()
        check_heads(embed_dims, num_heads)
        check_window(window)
        self.num_heads = num_heads
        self.window = window
        self.q = nn.Linear(embed_dims, embed_dims)
        self.kv = nn.Linear(context_dims or embed_dims, 2 * embed_dims)
        self.proj = nn.Linear(embed_dims, embed_dims)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """``x (B, T, P, D)`` reads ``context (B, T', P', D')``."""
        k, v = self.kv(context).chunk(2, dim=-1)
        return self.proj(
            attention(self.q(x), k, v, self.num_heads, self.window))

    def read_with_one(self, x: Tensor, context: Tensor) -> Tensor:
        """:meth:`forward` of one query a clip, without keys and values.

        The projections move to the other side of the sums, ``q (W_k c) =
        (W_k' q) c`` and ``sum a (W_v c) = W_v (sum a c)``, so that H queries
        of width D' read the context itself: ``d = D / H`` times fewer
        multiply-adds a token. The bias of the keys raises all scores of a
        head alike, which the softmax cannot see.

        Args:
            x: ``(B, 1, 1, D)``.
            context: ``(B, T', P', D')``, read whatever the window.

        Returns:
            ``(B, 1, 1, D)``.
        """
        weight_k, weight_v = (
            weight.unflatten(0, (self.num_heads, -1))  # (H, d, D')
            for weight in self.kv.weight.chunk(2))
        bias_v = self.kv.bias.chunk(2)[1]
        q = self.q(x).flatten(1).unflatten(1, (self.num_heads, -1))
        q = torch.einsum('bhd,hdc->bhc', q, weight_k)
        # The kernel divides by sqrt(D'), these scores want sqrt(d).
        q = q * (weight_k.shape[2] / weight_k.shape[1])**0.5
        tokens = context.flatten(1, 2)[:, None]  # (B, 1, T'*P', D')
        read = _kernel(q[:, None], tokens, tokens)[:, 0]  # (B, H, D')
        out = torch.einsum('bhc,hdc->bhd', read, weight_v).flatten(1)
        return self.proj(out + bias_v)[:, None, None]
