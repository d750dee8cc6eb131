"""How two streams of tokens talk; the shape legend is in ``attention.py``.

An exchange is built from the two streams' :class:`TokenSpec` and gives, for a
pair of token tensors, the pair of residuals to add to them. The streams are
called spatial and temporal here, as in the paper; CAST puts any two experts
in their places.
"""
from typing import Collection, Optional, Sequence, Tuple, Union

import torch
import torch.nn.functional as F
from mmaction.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

from .adapters import gelu_linear, init_linear
from .attention import CrossAttention
from .expert import TokenSpec

STREAMS = ('spatial', 'temporal')

Residuals = Tuple[Optional[Tensor], Optional[Tensor]]


class Exchange(BaseModule):
    """Base of the exchanges; by itself an ordinary neck of the host.

    Args:
        spatial: Facts about the first stream.
        temporal: Facts about the second stream.
        directions: Who hears whom: 't2s' (the spatial stream hears the
            temporal one), 's2t', or both; None for both. Between other
            streams see :func:`direction_names`.
        init_cfg: As in mmengine.
        between: Names of the first and the second stream.

    Raises:
        ValueError: if a direction is unknown, or there is none.
    """
    takes_times = False  # whether `residuals` takes positions in seconds
    can_cut = False  # whether `residuals` takes `cut`

    def __init__(self,
                 spatial: Union[TokenSpec, dict],
                 temporal: Union[TokenSpec, dict],
                 directions: Optional[Sequence[str]] = None,
                 init_cfg: Optional[dict] = None,
                 between: Sequence[str] = STREAMS) -> None:
        super().__init__(init_cfg=init_cfg)
        self.spatial, self.temporal = (
            TokenSpec(**spec) if isinstance(spec, dict) else spec
            for spec in (spatial, temporal))
        self.between = tuple(between)
        names = direction_names(self.between)
        directions = names if directions is None else directions
        if isinstance(directions, str) or not directions or any(
                x not in names for x in directions):
            raise ValueError(f'directions={directions!r}; give a list of one '
                             f'or both of {names}')
        self.directions = tuple(directions)

    def residuals(self, spatial: Tensor, temporal: Tensor) -> Residuals:
        """``(B, T, P, D)`` of both streams to what is added to each; None for
        a stream that hears nothing."""
        raise NotImplementedError

    def forward(self,
                streams: Sequence[Tensor],
                data_samples: Optional[list] = None
                ) -> Tuple[Tuple[Tensor, Tensor], dict]:
        """Works as a neck behind a backbone of two pathways.

        Args:
            streams: The maps of the pathways, ``(B, C, T, H, W)`` each, of
                the sizes that ``spatial`` and ``temporal`` state.
            data_samples: Not used.

        Returns:
            The maps with the residuals added, in the shapes that came in, and
            the losses of the neck: none.

        Raises:
            ValueError: if a map has other sizes than stated.
        """
        specs = zip(self.between, (self.spatial, self.temporal))
        for maps, (name, spec) in zip(streams, specs):
            expected = (spec.embed_dims, spec.num_steps, *spec.grid)
            if tuple(maps.shape[1:]) != expected:
                raise ValueError(
                    f'{type(self).__name__}: the {name} stream has (channels, '
                    f'steps, rows, columns) = {tuple(maps.shape[1:])}, its '
                    f'config states {expected}')
        # (B, C, T, H, W) -> (B, T, N, C)
        tokens = (x.flatten(3).permute(0, 2, 3, 1) for x in streams)
        heard = (
            x if residual is None else x +
            residual.permute(0, 3, 1, 2).reshape(x.shape)
            for x, residual in zip(streams, self.residuals(*tokens)))
        return tuple(heard), dict()


def direction_names(between: Tuple[str, str]) -> Tuple[str, str]:
    """Names of the two directions between two streams: who is heard, '2', who
    hears. By first letters ('t2s', 's2t'), by whole names where these are the
    same."""
    first, second = between
    if first[0] != second[0]:
        first, second = first[0], second[0]
    return f'{second}2{first}', f'{first}2{second}'


class Resample(nn.Module):
    """Brings patches of one stream to the places of another.

    Along every axis where the two differ: linear interpolation between the
    centres of the cells, ends held; towards a coarser axis the kernel widens
    so that every cell has its share (antialiasing).

    Args:
        source: Facts about the patches that come in.
        reader: Facts about the places to bring them to.
        time: Match the time steps.
        space: Match the grid.
    """

    def __init__(self,
                 source: TokenSpec,
                 reader: TokenSpec,
                 time: bool = False,
                 space: bool = False) -> None:
        super().__init__()
        self.grid = source.grid
        (rows, columns), (to_rows, to_columns) = source.grid, reader.grid
        self._register('steps', source.num_steps, reader.num_steps, time)
        self._register('rows', rows, to_rows, space)
        self._register('columns', columns, to_columns, space)

    def _register(self, name: str, old: int, new: int, wanted: bool) -> None:
        matrix = None
        if wanted and old != new:
            # What the interpolation does to each unit vector: (new, old).
            matrix = F.interpolate(
                torch.eye(old)[None, None], (new, old),
                mode='bilinear',
                antialias=True)[0, 0]
        self.register_buffer(name, matrix, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, T, N, D)`` of the source to the ``T``, ``N`` of the reader.
        """
        if self.steps is not None:
            x = torch.einsum('ts,bsnd->btnd', self.steps, x)
        if self.rows is not None or self.columns is not None:
            x = x.unflatten(2, self.grid)  # (B, T, h, w, D)
            if self.rows is not None:
                x = torch.einsum('hr,btrwd->bthwd', self.rows, x)
            if self.columns is not None:
                x = torch.einsum('wc,bthcd->bthwd', self.columns, x)
            x = x.flatten(2, 3)
        return x


class Positions(nn.Module):
    """Learned positions added to tokens inside a window.

    Along each axis that the attention reads: N(0, 1) / sqrt(head dims).

    Args:
        window: Axes that get positions: 'time', 'space' or 'space_time'.
        spec: Facts about the tokens.
        embed_dims: Width of the tokens.
        num_heads: Heads of the attention that reads them.
    """
    no_weight_decay = ('time', 'space')

    def __init__(self, window: str, spec: TokenSpec, embed_dims: int,
                 num_heads: int) -> None:
        super().__init__()

        def table(length: int) -> nn.Parameter:
            scale = (embed_dims // num_heads)**-0.5
            return nn.Parameter(scale * torch.randn(length, embed_dims))

        self.time = table(spec.num_steps) if 'time' in window else None
        self.space = table(spec.num_patches) if 'space' in window else None

    def forward(self, x: Tensor) -> Tensor:
        """``(B, T, N, D) -> (B, T, N, D)``."""
        if self.time is not None:
            x = x + self.time[:, None]
        if self.space is not None:
            x = x + self.space
        return x


class CrossRead(nn.Module):
    """One direction: the patches of one stream read those of the other.

    The window 'time' pairs locations, 'space' pairs time steps; where these
    do not coincide, the source is brought to the reader's (:class:`Resample`)
    first. The window 'space_time' pairs nothing.

    Args:
        embed_dims: Width of the reader's tokens.
        num_heads: Heads of the attention.
        window: Which tokens of the source a token reads.
        reader: Facts about the stream that reads.
        source: Facts about the stream that is read.
        positions: Whether queries and keys get learned positions.
        source_dims: Width of the source's tokens; None for ``embed_dims``.
    """

    def __init__(self,
                 embed_dims: int,
                 num_heads: int,
                 window: str,
                 reader: TokenSpec,
                 source: TokenSpec,
                 positions: bool,
                 source_dims: Optional[int] = None) -> None:
        super().__init__()
        self.resample = Resample(
            source, reader, time=window == 'space', space=window == 'time')
        self.attn = CrossAttention(embed_dims, num_heads, window, source_dims)
        for module in (self.attn.q, self.attn.kv, self.attn.proj):
            init_linear(module)
        self.query_positions = self.key_positions = None
        if positions:
            self.query_positions = Positions(window, reader, embed_dims,
                                             num_heads)
            self.key_positions = Positions(window, source, source_dims
                                           or embed_dims, num_heads)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """``x (B, T, N, D)`` reads ``context (B, T', N', D')``."""
        context = self.resample(context)
        if self.query_positions is not None:
            x = self.query_positions(x)
            context = self.key_positions(context)
        return self.attn(x, context)


@MODELS.register_module()
class BCAST(Exchange):
    """Bottleneck cross-attention in space and time (CAST, eq. 4 and 5).

    Both streams are projected down to ``D' = ratio * D`` and normalised.
    T2S: every spatial patch reads the temporal tokens; S2T: every temporal
    token reads the spatial patches. GELU and a projection up (zero at the
    start) give the residuals. Class tokens and registers take no part in the
    attention and go through the bottleneck alone. Where only these are read,
    after the last exchange, the attention of their stream is left out.

    The streams may differ in width, grid and time steps. What a window pairs
    (locations for 'time', time steps for 'space') is matched by linear
    interpolation of the stream that is read; see :class:`CrossRead`. Frames
    and sound have nothing to pair: there the window is 'all'.

    Args:
        ratio: Width D' as a share of the spatial stream's width.
        t2s_window: Window in which the spatial stream, the first one, reads:
            'time', 'space' or 'all' ('space_time' is another name of it).
            None for the paper's: 'time', and 'all' where sound takes part.
        s2t_window: Window in which the temporal stream, the second one,
            reads. None for 'space', and 'all' where sound takes part.
        positions: Whether queries and keys get learned positions (table 8);
            'time' for positions in seconds, which CAST makes and hands in.
        num_heads: Heads of both attentions; None for the spatial stream's.
        spatial, temporal, directions, init_cfg, between: See
            :class:`Exchange`. CAST fills in the streams and their names.

    Raises:
        ValueError: if D' is not divisible by the heads, or a window, a kind
            of positions or a direction is unknown or not for these streams.
    """

    can_cut = True

    def __init__(self,
                 spatial: Union[TokenSpec, dict],
                 temporal: Union[TokenSpec, dict],
                 ratio: float = 0.5,
                 t2s_window: Optional[str] = None,
                 s2t_window: Optional[str] = None,
                 positions: Union[bool, str] = True,
                 num_heads: Optional[int] = None,
                 directions: Optional[Sequence[str]] = None,
                 init_cfg: Optional[dict] = None,
                 between: Sequence[str] = STREAMS) -> None:
        super().__init__(spatial, temporal, directions, init_cfg, between)
        if positions not in (True, False, 'time'):
            raise ValueError(f'positions={positions!r}; use True (learned), '
                             "False or 'time'")
        self.takes_times = positions == 'time'
        first, second = self.between
        self.dims = dims = int(self.spatial.embed_dims * ratio)
        heads = num_heads or self.spatial.num_heads
        windows = (self._window(t2s_window, 'time'),
                   self._window(s2t_window, 'space'))
        self.add_module(f'{first}_down',
                        nn.Linear(self.spatial.embed_dims, dims))
        self.add_module(f'{second}_down',
                        nn.Linear(self.temporal.embed_dims, dims))
        for name in self.between:
            self.add_module(f'{name}_norm', nn.LayerNorm(dims, eps=1e-6))
        for name in self.between:
            init_linear(getattr(self, f'{name}_down'))
        # Who reads whom: the name of the direction, the reader, the source.
        roles = list(
            zip(
                direction_names(self.between), self.between,
                (self.spatial, self.temporal), (self.temporal, self.spatial)))
        for (direction, _, reader, source), window in zip(roles, windows):
            self.add_module(
                direction,
                CrossRead(dims, heads, window, reader, source,
                          positions is True)
                if direction in self.directions else None)
        for direction, name, reader, _ in roles:
            self.add_module(
                f'{name}_up',
                _new_up(dims, reader)
                if direction in self.directions else None)

    def _window(self, window: Optional[str], usual: str) -> str:
        alike = self.spatial.modality == self.temporal.modality
        if window is None:
            window = usual if alike else 'all'
        elif not alike and window in ('time', 'space'):
            raise ValueError(
                f'the window {window!r} pairs the frames of the streams '
                f'{self.between}: {self.spatial.modality!r} and '
                f"{self.temporal.modality!r} have none in common; use 'all'")
        return 'space_time' if window == 'all' else window

    def borrow(self, name: str, owner: 'BCAST') -> None:
        """Uses the projections of a stream that another exchange has.

        Args:
            name: The stream.
            owner: The other exchange. It alone holds, saves and moves them.

        Raises:
            ValueError: if the widths of the two bottlenecks differ.
        """
        for part in (f'{name}_down', f'{name}_up'):
            own, other = getattr(self, part), getattr(owner, part)
            if own is None or other is None:
                continue
            if own.weight.shape != other.weight.shape:
                raise ValueError(
                    f'{self.between} cannot share the projections of {name} '
                    f'with {owner.between}: their bottlenecks are '
                    f'{min(own.weight.shape)} and {min(other.weight.shape)} '
                    'wide; choose equal ones by `ratio`')
            delattr(self, part)
            self.__dict__[part] = other  # seen here, registered there

    def residuals(self,
                  spatial: Tensor,
                  temporal: Tensor,
                  times: Sequence[Tensor] = (),
                  cut: Collection[str] = ()) -> Residuals:
        """See :class:`Exchange`.

        Args:
            spatial, temporal: ``(B, T, P, D)``.
            times: Where ``takes_times``: positions of both streams, of shapes
                that can be added to their patches ``(B, T, N, D')``.
            cut: Streams that get residuals for the tokens before their
                patches alone, ``(B, T, P - N, D)``. What they would have
                heard with gets gradients of zero, as it would have.
        """
        first, second = self.between
        prefix_s, patches_s = self._squeeze(first, spatial, self.spatial)
        prefix_t, patches_t = self._squeeze(second, temporal, self.temporal)
        if self.takes_times:
            time_s, time_t = times
            patches_s, patches_t = patches_s + time_s, patches_t + time_t
        t2s, s2t = (
            getattr(self, name) for name in direction_names(self.between))
        to_s = to_t = None
        if t2s is not None:
            read = torch.cat([prefix_s, t2s(patches_s, patches_t)], 2) \
                if first not in cut else self._unheard(prefix_s, t2s, second)
            to_s = gelu_linear(read, getattr(self, f'{first}_up'))
        if s2t is not None:
            read = torch.cat([prefix_t, s2t(patches_t, patches_s)], 2) \
                if second not in cut else self._unheard(prefix_t, s2t, first)
            to_t = gelu_linear(read, getattr(self, f'{second}_up'))
        return to_s, to_t

    def _unheard(self, prefix: Tensor, read: CrossRead, name: str) -> Tensor:
        """The prefix as it is, with gradients of zero for the attention that
        is left out and for the source, if that is for nothing else."""
        modules = [read]
        if getattr(self, f'{name}_up') is None:
            modules += [getattr(self, f'{name}_{x}') for x in ('down', 'norm')]
        nothing = sum(0 * parameter.sum() for module in modules
                      for parameter in module.parameters())
        return prefix + nothing.to(prefix.dtype)

    def _squeeze(self, name: str, x: Tensor,
                 spec: TokenSpec) -> Tuple[Tensor, Tensor]:
        # (B, T, P, D) -> (B, T, P - N, D') and (B, T, N, D')
        x = getattr(self, f'{name}_down')(x)
        return split_prefix(getattr(self, f'{name}_norm')(x), spec)


def _new_up(dims: int, spec: TokenSpec) -> nn.Linear:
    up = nn.Linear(dims, spec.embed_dims)
    init_linear(up, zero=True)
    return up


def split_prefix(x: Tensor, spec: TokenSpec) -> Tuple[Tensor, Tensor]:
    """Class token and registers, possibly none, and patches."""
    return (x[:, :, :spec.num_prefix_tokens],
            x[:, :, spec.num_prefix_tokens:])
