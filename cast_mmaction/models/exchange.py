"""How two streams of tokens talk; the shape legend is in ``attention.py``.

An exchange is built from the two streams' :class:`TokenSpec` and gives, for a
pair of token tensors, the pair of residuals to add to them.
"""
from typing import Optional, Tuple, Union

import torch
from mmengine.model import BaseModule
from mmaction.registry import MODELS
from torch import Tensor, nn

from .adapters import init_linear
from .attention import CrossAttention, check_window
from .expert import TokenSpec


class Exchange(BaseModule):
    """Base of the exchanges; by itself an ordinary neck of the host.

    Args:
        spatial: Facts about the first stream.
        temporal: Facts about the second stream.
        init_cfg: As in mmengine.
    """

    def __init__(self,
                 spatial: Union[TokenSpec, dict],
                 temporal: Union[TokenSpec, dict],
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg=init_cfg)
        self.spatial, self.temporal = (
            TokenSpec(**spec) if isinstance(spec, dict) else spec
            for spec in (spatial, temporal))

    def residuals(self, spatial: Tensor,
                  temporal: Tensor) -> Tuple[Tensor, Tensor]:
        """``(B, T, P, D)`` of both streams to what is added to each."""
        raise NotImplementedError


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
    """One direction: the patches of one stream read those of the other."""

    def __init__(self, embed_dims: int, num_heads: int, window: str,
                 reader: TokenSpec, source: TokenSpec,
                 positions: bool) -> None:
        super().__init__()
        if window == 'space' and reader.num_steps != source.num_steps:
            raise ValueError(
                "the window 'space' pairs time steps: the streams have "
                f'{reader.num_steps} and {source.num_steps}')
        if window == 'time' and reader.grid != source.grid:
            raise ValueError("the window 'time' pairs locations: the streams "
                             f'have grids {reader.grid} and {source.grid}')
        self.attn = CrossAttention(embed_dims, num_heads, window)
        for module in (self.attn.q, self.attn.kv, self.attn.proj):
            init_linear(module)
        spec = (window, reader, embed_dims, num_heads)
        self.query_positions = Positions(*spec) if positions else None
        spec = (window, source, embed_dims, num_heads)
        self.key_positions = Positions(*spec) if positions else None

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """``x (B, T, N, D')`` reads ``context (B, T, N, D')``."""
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
    start) give the residuals. Class tokens take no part in the attention and
    go through the bottleneck alone.

    Args:
        ratio: Width D' as a share of the spatial stream's width.
        t2s_window: Window in which the spatial stream reads: the paper's is
            'time'.
        s2t_window: Window in which the temporal stream reads: 'space'.
        positions: Whether queries and keys get learned positions (table 8).
        num_heads: Heads of both attentions; None for the spatial stream's.
        spatial, temporal, init_cfg: See :class:`Exchange`. CAST fills the
            first two in.

    Raises:
        ValueError: if D' is not divisible by the heads, a window is unknown,
            or the streams do not coincide on the axis that a window pairs.
    """

    def __init__(self,
                 spatial: Union[TokenSpec, dict],
                 temporal: Union[TokenSpec, dict],
                 ratio: float = 0.5,
                 t2s_window: str = 'time',
                 s2t_window: str = 'space',
                 positions: bool = True,
                 num_heads: Optional[int] = None,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(spatial, temporal, init_cfg)
        check_window(t2s_window)
        check_window(s2t_window)
        dims = int(self.spatial.embed_dims * ratio)
        heads = num_heads or self.spatial.num_heads
        self.act = nn.GELU()
        self.spatial_down = nn.Linear(self.spatial.embed_dims, dims)
        self.temporal_down = nn.Linear(self.temporal.embed_dims, dims)
        self.spatial_norm = nn.LayerNorm(dims, eps=1e-6)
        self.temporal_norm = nn.LayerNorm(dims, eps=1e-6)
        self.t2s = CrossRead(dims, heads, t2s_window, self.spatial,
                             self.temporal, positions)
        self.s2t = CrossRead(dims, heads, s2t_window, self.temporal,
                             self.spatial, positions)
        self.spatial_up = nn.Linear(dims, self.spatial.embed_dims)
        self.temporal_up = nn.Linear(dims, self.temporal.embed_dims)
        init_linear(self.spatial_down)
        init_linear(self.temporal_down)
        init_linear(self.spatial_up, zero=True)
        init_linear(self.temporal_up, zero=True)

    def residuals(self, spatial: Tensor,
                  temporal: Tensor) -> Tuple[Tensor, Tensor]:
        class_s, patches_s = _split(
            self.spatial_norm(self.spatial_down(spatial)), self.spatial)
        class_t, patches_t = _split(
            self.temporal_norm(self.temporal_down(temporal)), self.temporal)
        read_s = torch.cat([class_s, self.t2s(patches_s, patches_t)], dim=2)
        read_t = torch.cat([class_t, self.s2t(patches_t, patches_s)], dim=2)
        return (self.spatial_up(self.act(read_s)),
                self.temporal_up(self.act(read_t)))


def _split(x: Tensor, spec: TokenSpec) -> Tuple[Tensor, Tensor]:
    """Class token, possibly none, and patches."""
    count = spec.num_prefix_tokens
    return x[:, :, :count], x[:, :, count:]
