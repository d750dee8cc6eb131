"""CAST: two frozen experts and an exchange (NeurIPS 2023, arXiv 2311.18825).

The shape legend is in ``attention.py``.
"""
from typing import List, Optional, Sequence, Tuple, Union

import torch
from mmengine.model import BaseModule
from mmaction.registry import MODELS
from timm.layers import DropPath
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .adapters import BlockAdapters
from .exchange import Exchange
from .vit import Block, VisionTransformer


class CASTLayer(nn.Module):
    """What is trained at one depth: adapters of both blocks, the exchange.

    Args:
        spatial: Adapters of the spatial block.
        temporal: Adapters of the temporal block.
        exchange: The exchange at this depth, or None.
        drop_path_rate: Probability that a sample skips the exchange.
    """

    def __init__(self,
                 spatial: BlockAdapters,
                 temporal: BlockAdapters,
                 exchange: Optional[Exchange] = None,
                 drop_path_rate: float = 0.) -> None:
        super().__init__()
        self.spatial = spatial
        self.temporal = temporal
        self.exchange = exchange
        self.drop_path = DropPath(drop_path_rate)

    def attend(self, block_s: Block, block_t: Block, s: Tensor,
               t: Tensor) -> Tuple[Tensor, Tensor]:
        """Attention with adapters, then the exchange (eq. 3 to 5)."""
        s = self.spatial.attend(block_s, s)
        t = self.temporal.attend(block_t, t)
        if self.exchange is None:
            return s, t
        to_s, to_t = self.exchange.residuals(s, t)
        return s + self.drop_path(to_s), t + self.drop_path(to_t)

    def feed_forward(self, block_s: Block, block_t: Block, s: Tensor,
                     t: Tensor) -> Tuple[Tensor, Tensor]:
        """Feed-forward with adapters (eq. 6)."""
        return (self.spatial.feed_forward(block_s, s),
                self.temporal.feed_forward(block_t, t))

    def forward(self, block_s: Block, block_t: Block, s: Tensor,
                t: Tensor) -> Tuple[Tensor, Tensor]:
        """Tokens ``(B, T, P, D)`` of both streams, one depth further."""
        s, t = self.attend(block_s, block_t, s, t)
        return self.feed_forward(block_s, block_t, s, t)


class _FrozenExperts(BaseModule):
    """Keeps frozen experts in evaluation mode whatever the model is told."""

    def experts(self) -> Tuple[VisionTransformer, ...]:
        raise NotImplementedError

    def train(self, mode: bool = True) -> 'BaseModule':
        super().train(mode)
        for expert in self.experts():
            expert.eval()
        return self


@MODELS.register_module()
class CAST(_FrozenExperts):
    """Cross-attention in space and time.

    Args:
        spatial: Config of the spatial expert.
        temporal: Config of the temporal expert; as deep as the spatial one.
        exchange: Config of the exchange; None for independent experts with
            adapters. CAST adds the facts about the streams.
        exchange_layers: Blocks, counted from 0, that exchange; None for all.
        adapter_ratio: Bottleneck of the adapters as a share of the width.
        ffn_adapter_scale: Factor on the feed-forward adapters.
        drop_path_rate: Drop path on the exchange at the last block, growing
            linearly from 0 at the first; whole samples are dropped.
        with_cp: Recompute each depth in the backward pass instead of keeping
            its activations.
        init_cfg: As in mmengine.

    Raises:
        ValueError: if the experts differ in depth, or a block of
            ``exchange_layers`` does not exist.
    """

    def __init__(self,
                 spatial: dict,
                 temporal: dict,
                 exchange: Optional[dict] = dict(type='BCAST'),
                 exchange_layers: Optional[Sequence[int]] = None,
                 adapter_ratio: float = 0.25,
                 ffn_adapter_scale: float = 0.5,
                 drop_path_rate: float = 0.,
                 with_cp: bool = False,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg=init_cfg)
        self.spatial = MODELS.build(spatial)
        self.temporal = MODELS.build(temporal)
        self.with_cp = with_cp
        depth = len(self.spatial.blocks)
        if len(self.temporal.blocks) != depth:
            raise ValueError(
                f'the spatial expert has {depth} blocks, the temporal one '
                f'{len(self.temporal.blocks)}; they must be equally deep')
        exchanging = _check_layers(exchange_layers, depth)
        rates = [drop_path_rate * i / max(depth - 1, 1) for i in range(depth)]

        def adapters(expert: VisionTransformer) -> BlockAdapters:
            return BlockAdapters(expert.embed_dims, adapter_ratio,
                                 ffn_adapter_scale)

        self.layers = nn.ModuleList()
        for i, rate in enumerate(rates):
            module = None
            if exchange is not None and i in exchanging:
                module = MODELS.build(
                    dict(
                        exchange,
                        spatial=self.spatial.spec,
                        temporal=self.temporal.spec))
            self.layers.append(
                CASTLayer(
                    adapters(self.spatial), adapters(self.temporal), module,
                    rate))
        for expert in self.experts():
            expert.freeze()

    def experts(self) -> Tuple[VisionTransformer, VisionTransformer]:
        """The spatial and the temporal expert."""
        return self.spatial, self.temporal

    def forward(self, clip: Tensor) -> Tuple[Tensor, Tensor]:
        """Runs both experts side by side.

        Args:
            clip: ``(B, 3, F, H, W)``, normalised.

        Returns:
            The spatial and the temporal feature, ``(B, D)`` each.
        """
        s, t = self.spatial.embed(clip), self.temporal.embed(clip)
        stages = list(
            zip(self.layers, self.spatial.blocks, self.temporal.blocks))
        for layer, block_s, block_t in stages[:-1]:
            s, t = self._run(layer, block_s, block_t, s, t)
        layer, block_s, block_t = stages[-1]
        s, t = self._run(layer.attend, block_s, block_t, s, t)
        if self.training:
            # Only the tokens of the read-out matter after the last exchange.
            # Evaluation keeps all, for whoever looks at token maps.
            s = self.spatial.read_out_tokens(s)
            t = self.temporal.read_out_tokens(t)
        s, t = self._run(layer.feed_forward, block_s, block_t, s, t)
        return self.spatial.read_out(s), self.temporal.read_out(t)

    def _run(self, function, *args) -> Tuple[Tensor, Tensor]:
        if self.with_cp and torch.is_grad_enabled():
            # The reentrant kind gives adapters in frozen blocks no gradient.
            return checkpoint(function, *args, use_reentrant=False)
        return function(*args)

    def layer_groups(self) -> List[List[nn.Module]]:
        """Embeddings, then depth by depth, for layer-wise learning rates."""
        experts = zip(*(expert.layer_groups() for expert in self.experts()))
        groups = [[m for group in pair for m in group] for pair in experts]
        for group, layer in zip(groups[1:], self.layers):
            group.append(layer)
        return groups


@MODELS.register_module()
class AdaptedExpert(_FrozenExperts):
    """One frozen expert with CAST's adapters and no one to talk to.

    Args:
        expert: Config of the expert.
        adapter_ratio: See :class:`CAST`.
        ffn_adapter_scale: See :class:`CAST`.
        init_cfg: As in mmengine.
    """

    def __init__(self,
                 expert: dict,
                 adapter_ratio: float = 0.25,
                 ffn_adapter_scale: float = 0.5,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg=init_cfg)
        self.expert = MODELS.build(expert)
        self.layers = nn.ModuleList(
            BlockAdapters(self.expert.embed_dims, adapter_ratio,
                          ffn_adapter_scale) for _ in self.expert.blocks)
        self.expert.freeze()

    def experts(self) -> Tuple[VisionTransformer]:
        """The one expert."""
        return (self.expert, )

    def forward(self, clip: Tensor) -> Tensor:
        """``(B, 3, F, H, W) -> (B, D)``."""
        x = self.expert.embed(clip)
        for adapters, block in zip(self.layers, self.expert.blocks):
            x = adapters.attend(block, x)
            x = adapters.feed_forward(block, x)
        return self.expert.read_out(x)

    def layer_groups(self) -> List[List[nn.Module]]:
        """Embedding, then depth by depth, for layer-wise learning rates."""
        groups = self.expert.layer_groups()
        for group, layer in zip(groups[1:], self.layers):
            group.append(layer)
        return groups


def _check_layers(layers: Optional[Sequence[int]],
                  depth: int) -> Union[range, Sequence[int]]:
    if layers is None:
        return range(depth)
    wrong = [i for i in layers if i not in range(depth)]
    if wrong:
        raise ValueError(f'exchange_layers={list(layers)} names blocks '
                         f'{wrong}; there are blocks 0 to {depth - 1}')
    return layers
