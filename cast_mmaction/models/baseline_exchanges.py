"""The exchanges that B-CAST is compared with in the paper's table 1.

Where the paper leaves a detail open, the docstrings say what is chosen here.
The shape legend is in ``attention.py``.
"""
from typing import Optional, Sequence, Tuple, Union

import torch.nn.functional as F
from mmaction.registry import MODELS
from torch import Tensor, nn

from .adapters import Adapter, init_linear
from .exchange import (CrossRead, Exchange, Resample, Residuals,
                       split_prefix)
from .expert import TokenSpec


def _beside_prefix(patches: Tensor, spec: TokenSpec) -> Tensor:
    """Residuals of patches, with zeros for the tokens before them."""
    return F.pad(patches, (0, 0, spec.num_prefix_tokens, 0))


@MODELS.register_module()
class CrossAttentionExchange(Exchange):
    """Cross-attention at full width, without a bottleneck (table 1c).

    Chosen here: each stream is normalised (LayerNorm, as in B-CAST), windows
    and positions are B-CAST's, and class tokens, which have no bottleneck to
    go through, get nothing. With an adapter it follows the attention,
    ``ADAP(CrossAttention(...))``, and its zero start lets the model begin as
    its experts; without one the output projection starts at zero instead.

    Args:
        t2s_window, s2t_window, positions: See :class:`BCAST`.
        adapter_ratio: Bottleneck of the adapter behind the attention as a
            share of the width; None for no adapter.
        num_heads: Heads of both attentions; None for those of the stream
            that reads.
        spatial, temporal, directions, init_cfg: See :class:`Exchange`.

    Raises:
        ValueError: if a width is not divisible by the heads, or a window or
            a direction is unknown.
    """

    def __init__(self,
                 spatial: Union[TokenSpec, dict],
                 temporal: Union[TokenSpec, dict],
                 t2s_window: str = 'time',
                 s2t_window: str = 'space',
                 positions: bool = True,
                 adapter_ratio: Optional[float] = None,
                 num_heads: Optional[int] = None,
                 directions: Optional[Sequence[str]] = None,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(spatial, temporal, directions, init_cfg)
        self.spatial_norm = nn.LayerNorm(self.spatial.embed_dims, eps=1e-6)
        self.temporal_norm = nn.LayerNorm(self.temporal.embed_dims, eps=1e-6)

        def reads(window: str, reader: TokenSpec,
                  source: TokenSpec) -> Tuple[CrossRead, nn.Module]:
            read = CrossRead(reader.embed_dims, num_heads or reader.num_heads,
                             window, reader, source, positions,
                             source.embed_dims)
            if adapter_ratio is None:
                init_linear(read.attn.proj, zero=True)
                return read, nn.Identity()
            return read, Adapter(reader.embed_dims, adapter_ratio)

        self.t2s = self.s2t = None
        if 't2s' in self.directions:
            self.t2s, self.spatial_adapter = reads(t2s_window, self.spatial,
                                                   self.temporal)
        if 's2t' in self.directions:
            self.s2t, self.temporal_adapter = reads(s2t_window, self.temporal,
                                                    self.spatial)

    def residuals(self, spatial: Tensor, temporal: Tensor) -> Residuals:
        _, patches_s = split_prefix(self.spatial_norm(spatial), self.spatial)
        _, patches_t = split_prefix(
            self.temporal_norm(temporal), self.temporal)
        to_s = to_t = None
        if self.t2s is not None:
            read = self.spatial_adapter(self.t2s(patches_s, patches_t))
            to_s = _beside_prefix(read, self.spatial)
        if self.s2t is not None:
            read = self.temporal_adapter(self.s2t(patches_t, patches_s))
            to_t = _beside_prefix(read, self.temporal)
        return to_s, to_t


@MODELS.register_module()
class Lateral(Exchange):
    """Layer-wise lateral connection: a Linear, added (table 1b).

    Chosen here: a patch hears the patch of the same place and time of the
    other stream, brought there by :class:`Resample` where the streams
    differ; class tokens take no part; the Linear starts at zero.

    Args:
        spatial, temporal, directions, init_cfg: See :class:`Exchange`.
    """

    def __init__(self,
                 spatial: Union[TokenSpec, dict],
                 temporal: Union[TokenSpec, dict],
                 directions: Optional[Sequence[str]] = None,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(spatial, temporal, directions, init_cfg)
        self.t2s = self.s2t = None
        if 't2s' in self.directions:
            self.t2s = self._connection(self.spatial, self.temporal)
        if 's2t' in self.directions:
            self.s2t = self._connection(self.temporal, self.spatial)

    @staticmethod
    def _connection(reader: TokenSpec, source: TokenSpec) -> nn.Sequential:
        linear = nn.Linear(source.embed_dims, reader.embed_dims)
        init_linear(linear, zero=True)
        return nn.Sequential(
            Resample(source, reader, time=True, space=True), linear)

    def residuals(self, spatial: Tensor, temporal: Tensor) -> Residuals:
        _, patches_s = split_prefix(spatial, self.spatial)
        _, patches_t = split_prefix(temporal, self.temporal)
        to_s = to_t = None
        if self.t2s is not None:
            to_s = _beside_prefix(self.t2s(patches_t), self.spatial)
        if self.s2t is not None:
            to_t = _beside_prefix(self.s2t(patches_s), self.temporal)
        return to_s, to_t
