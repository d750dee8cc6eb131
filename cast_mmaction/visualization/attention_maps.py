"""Who looks where: the attention of any block, by name and direction.

The shape legend is in ``models/attention.py``.
"""
from contextlib import contextmanager
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import torch
from torch import Tensor, nn

from ..models import attention as kernels
from ..models.attention import CrossAttention, SelfAttention
from ..models.cast import CAST
from ..models.evl import EVL
from ..models.exchange import Exchange, direction_names
from ..models.expert import Expert, TokenSpec

Name = Tuple[int, str]  # block, counted from 0, and direction


class AttentionMap(NamedTuple):
    """The attention of one block in one direction.

    Attributes:
        weights: ``(S, H, Lq, Lk)``, rows sum to 1; ``(S, 1, Lq, Lk)`` if
            averaged over the heads. ``S`` counts the windows of all clips.
        window: 'space', 'time' or 'space_time'.
        asking: ``(B, T, P)`` of the tokens that ask.
        asked: ``(B, T', P')`` of those that are read.
        reader: The stream that asks: a name in :func:`streams`.
        source: The stream that is read.
        prefix: Tokens before the patches of a step, in ``P`` and ``P'``.
    """
    weights: Tensor
    window: str
    asking: Tuple[int, int, int]
    asked: Tuple[int, int, int]
    reader: str
    source: str
    prefix: int

    def read_by(self, step: int, token: int,
                head: Optional[int] = None) -> Tensor:
        """What one token reads.

        Args:
            step: Its time step.
            token: Its place in the step, prefix tokens first where
                ``prefix`` is not 0.
            head: One head; None for their mean.

        Returns:
            Weights ``(B, T', P')``; zero outside the window.

        Raises:
            IndexError: If there is no such token or head.
        """
        batch, steps, tokens = self.asking
        heads = self.weights.shape[1]
        if step not in range(steps) or token not in range(tokens):
            raise IndexError(f'there is no token {token} in step {step}: '
                             f'{steps} steps of {tokens} tokens ask')
        if head is not None and head not in range(heads):
            raise IndexError(f'there is no head {head}: {heads} are recorded')
        weights = self.weights
        weights = weights.mean(dim=1) if head is None else weights[:, head]
        weights = weights.unflatten(0, (batch, -1))  # (B, S/B, Lq, Lk)
        out = weights.new_zeros(self.asked)
        if self.window == 'space':
            out[:, step] = weights[:, step, token]
        elif self.window == 'time':
            out[:, :, token] = weights[:, token, step]
        else:
            row = weights[:, 0, step * tokens + token]
            out[:] = row.unflatten(1, self.asked[1:])
        return out


Maps = Dict[Name, AttentionMap]


def streams(backbone: nn.Module) -> Dict[str, nn.Module]:
    """The experts of a backbone by name; a backbone that is an expert itself
    is called 'self'.

    Raises:
        ValueError: If the backbone has no tokens to look at.
    """
    if isinstance(backbone, CAST):
        return backbone.named_experts()
    if isinstance(backbone, EVL):
        return {'self': backbone.expert}
    if isinstance(backbone, Expert):
        return {'self': backbone}
    raise ValueError(f'{type(backbone).__name__} is no model of this package '
                     'whose attention can be recorded')


class _Place(NamedTuple):
    module: nn.Module
    reader: str
    source: str
    prefix: int


def _places(backbone: nn.Module) -> Dict[Name, _Place]:
    """Every attention of a backbone."""
    found: Dict[Name, _Place] = {}
    specs = {name: expert.spec for name, expert in streams(backbone).items()}

    def add_self(i: int, name: str, block: nn.Module) -> None:
        attn = getattr(getattr(block, 'block', block), 'attn', None)
        if isinstance(attn, SelfAttention) and isinstance(attn.window, str):
            prefix = specs[name].num_prefix_tokens
            found[i, name] = _Place(attn, name, name, prefix)

    if isinstance(backbone, CAST):
        for i, (layer, blocks) in enumerate(
                zip(backbone.layers, backbone._stages())):
            for name in specs:
                add_self(i, name, blocks[name][-1])
            for exchange in layer.children():
                if isinstance(exchange, Exchange):
                    found.update(_directions(i, exchange))
    elif isinstance(backbone, EVL):
        first = len(backbone.expert.blocks) - len(backbone.layers)
        for i, layer in enumerate(backbone.layers, first):
            found[i, 'query'] = _Place(layer.attn, 'query', 'self',
                                       specs['self'].num_prefix_tokens)
    else:
        for i, block in enumerate(backbone.blocks):
            add_self(i, 'self', block)
    return found


def _directions(i: int, exchange: Exchange) -> Dict[Name, _Place]:
    """The readings of an exchange; patches alone take part in them."""
    first, second = exchange.between
    found = {}
    for direction, reader, source in zip(
            direction_names(exchange.between), (first, second),
            (second, first)):
        attn = getattr(getattr(exchange, direction, None), 'attn', None)
        if isinstance(attn, CrossAttention):
            found[i, direction] = _Place(attn, reader, source, 0)
    return found


def directions(model: nn.Module) -> List[str]:
    """Names that :func:`record_attention` knows for a model: those of
    exchanges ('t2s', 's2t') and those of experts ('spatial', 'temporal'; of a
    single one 'self'; of EVL's reader 'query')."""
    backbone = getattr(model, 'backbone', model)
    return list(dict.fromkeys(name for _, name in _places(backbone)))


@contextmanager
def record_attention(model: nn.Module,
                     layers: Optional[Sequence[int]] = None,
                     directions: Optional[Sequence[str]] = None,
                     average_heads: bool = False) -> Iterator[Maps]:
    """Keeps the attention of a model that runs inside the block.

    The model computes what it always computes; the weights are made beside
    it, so that all layers of a large model take much memory.

    Args:
        model: A recognizer or a backbone of this package.
        layers: Blocks, counted from 0, negative from the last; None for all.
        directions: See :func:`directions`; None for all.
        average_heads: Keep the mean over the heads.

    Yields:
        A dict ``(layer, direction) -> AttentionMap`` that is filled as the
        model runs; a second run replaces the first.

    Raises:
        ValueError: If there is no such layer or direction, or the model is
            compiled.

    Example:
        >>> with record_attention(model, [-1], ['t2s']) as maps:
        ...     model.backbone(clip)
        >>> maps[11, 't2s'].read_by(step=3, token=90).shape
        torch.Size([1, 8, 196])
    """
    backbone = getattr(model, 'backbone', model)
    if getattr(backbone, 'compile_options', None) is not None:
        raise ValueError('a compiled model hides its attention: build it '
                         'with compile=False')
    chosen = _choose(_places(backbone), layers, directions)
    maps: Maps = {}
    current: List[Tuple[Name, tuple]] = []
    former = kernels._kernel

    def recording(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        if current:
            name, shapes = current[-1]
            weights = kernels.attention_weights(q.detach(), k.detach())
            if average_heads:
                weights = weights.mean(dim=1, keepdim=True)
            place = chosen[name]
            maps[name] = AttentionMap(weights, place.module.window, *shapes,
                                      place.reader, place.source,
                                      place.prefix)
        return former(q, k, v)

    def before(name: Name):

        def hook(module, args) -> None:
            x, context = args[0], args[-1] if torch.is_tensor(
                args[-1]) else args[0]
            current.append((name, (tuple(x.shape[:3]),
                                   tuple(context.shape[:3]))))

        return hook

    def after(module, args, output) -> None:
        current.pop()

    handles = [
        handle for name, place in chosen.items()
        for handle in (place.module.register_forward_pre_hook(before(name)),
                       place.module.register_forward_hook(
                           after, always_call=True))
    ]
    try:
        with kernels.use_kernel(recording):
            yield maps
    finally:
        for handle in handles:
            handle.remove()


def _choose(places: Dict[Name, _Place], layers: Optional[Sequence[int]],
            wanted: Optional[Sequence[str]]) -> Dict[Name, _Place]:
    last = max((i for i, _ in places), default=-1)
    known = list(dict.fromkeys(name for _, name in places))
    unknown = [x for x in wanted or () if x not in known]
    if unknown:
        raise ValueError(f'no attention of the model is called {unknown[0]!r};'
                         f' it has {", ".join(map(repr, known))}')
    if layers is not None:
        wrong = [i for i in layers if not -last - 1 <= i <= last]
        if wrong:
            raise ValueError(f'there is no layer {wrong[0]}: the model has 0 '
                             f'to {last}')
        layers = {i % (last + 1) for i in layers}
    return {
        (i, name): place
        for (i, name), place in places.items()
        if (layers is None or i in layers) and (
            wanted is None or name in wanted)
    }


def grid_of_source(spec: TokenSpec, patches: int) -> Tuple[int, int]:
    """The grid that a map of ``patches`` is laid out on."""
    rows, columns = spec.grid
    if rows * columns == patches:
        return rows, columns
    side = round(patches**.5)
    return side, patches // side
