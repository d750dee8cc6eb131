"""CAST: two frozen experts and an exchange (NeurIPS 2023, arXiv 2311.18825).

The shape legend is in ``attention.py``.
"""
from functools import lru_cache
from typing import Callable, List, Optional, Sequence, Tuple, Union

import torch
from mmaction.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .adapters import BlockAdapters, DropSamples, NoAdapters
from .exchange import Exchange
from .expert import Expert, build_expert

Blocks = Sequence[nn.Module]
Adapters = Union[BlockAdapters, NoAdapters]


class CASTLayer(nn.Module):
    """What is trained at one depth: adapters of both blocks, the exchange.

    Between experts of unequal depth a layer also leads the deeper one up to
    the block that is paired.

    Args:
        spatial: Adapters of the paired spatial block.
        temporal: Adapters of the paired temporal block.
        exchange: The exchange at this depth, or None.
        drop_path_rate: Probability that a sample skips the exchange.
        spatial_leads: Adapters of the unpaired spatial blocks before it.
        temporal_leads: Adapters of the unpaired temporal blocks before it.
    """

    def __init__(self,
                 spatial: Adapters,
                 temporal: Adapters,
                 exchange: Optional[Exchange] = None,
                 drop_path_rate: float = 0.,
                 spatial_leads: Sequence[Adapters] = (),
                 temporal_leads: Sequence[Adapters] = ()) -> None:
        super().__init__()
        self.spatial_leads = nn.ModuleList(spatial_leads)
        self.temporal_leads = nn.ModuleList(temporal_leads)
        self.spatial = spatial
        self.temporal = temporal
        self.exchange = exchange
        self.drop_path = DropSamples(drop_path_rate)

    def attend(self, blocks_s: Blocks, blocks_t: Blocks, s: Tensor,
               t: Tensor) -> Tuple[Tensor, Tensor]:
        """Attention with adapters, then the exchange (eq. 3 to 5)."""
        for adapters, block in zip(self.spatial_leads, blocks_s):
            s = s + adapters.attend(block, s)
            s = s + adapters.feed_forward(block, s)[0]
        for adapters, block in zip(self.temporal_leads, blocks_t):
            t = t + adapters.attend(block, t)
            t = t + adapters.feed_forward(block, t)[0]
        s = s + self.spatial.attend(blocks_s[-1], s)
        t = t + self.temporal.attend(blocks_t[-1], t)
        if self.exchange is None:
            return s, t
        to_s, to_t = self.exchange.residuals(s, t)
        if to_s is not None:
            s = s + self.drop_path(to_s)
        if to_t is not None:
            t = t + self.drop_path(to_t)
        return s, t

    def feed_forward(self, blocks_s: Blocks, blocks_t: Blocks, s: Tensor,
                     t: Tensor) -> Tuple[Tensor, Tensor]:
        """Feed-forward with adapters (eq. 6)."""
        return (s + self.spatial.feed_forward(blocks_s[-1], s)[0],
                t + self.temporal.feed_forward(blocks_t[-1], t)[0])

    def forward(self, blocks_s: Blocks, blocks_t: Blocks, s: Tensor,
                t: Tensor) -> Tuple[Tensor, Tensor]:
        """Tokens ``(B, T, P, D)`` of both streams, one depth further."""
        s, t = self.attend(blocks_s, blocks_t, s, t)
        return self.feed_forward(blocks_s, blocks_t, s, t)


@MODELS.register_module()
class CAST(BaseModule):
    """Cross-attention in space and time.

    Args:
        spatial: Config of the spatial expert.
        temporal: Config of the temporal expert.
        exchange: Config of the exchange; None for independent experts. CAST
            adds the facts about the streams.
        exchange_layers: Pairs of blocks, counted from 0, that exchange; None
            for all. Between equally deep experts a pair is a depth.
        adapter_ratio: Bottleneck of the adapters as a share of the width;
            None for no adapters.
        ffn_adapter_scale: Factor on the feed-forward adapters.
        drop_path_rate: Drop path on the exchange at the last pair, growing
            linearly from 0 at the first; whole samples are dropped.
        freeze_experts: False trains the experts too.
        pairing: Pairs ``(spatial block, temporal block)`` that run side by
            side and may exchange, ascending, up to the last block of both.
            Blocks in no pair run too. None pairs every block of the shallower
            expert with the evenly spaced ones of the deeper, see
            :func:`pair_blocks`.
        with_cp: Recompute each depth in the backward pass instead of keeping
            its activations.
        compile: Compile one depth with ``torch.compile``; all depths share
            the program. Every batch size gets its own, so drop a last,
            smaller batch. A dict holds options, such as ``dict(mode=
            'max-autotune-no-cudagraphs')``.
        frozen_dtype: Hold the large weights of the frozen experts as
            'bfloat16' or 'float16'. Under autocast to the same type this
            changes no output; without autocast it is an error.
        init_cfg: As in mmengine.

    Raises:
        RuntimeError: on running with ``frozen_dtype`` outside autocast.
        ValueError: if there is no such expert, the temporal one has no time
            axis, the pairing does not fit, or a pair of ``exchange_layers``
            does not exist.
    """

    def __init__(self,
                 spatial: dict,
                 temporal: dict,
                 exchange: Optional[dict] = dict(type='BCAST'),
                 exchange_layers: Optional[Sequence[int]] = None,
                 adapter_ratio: Optional[float] = 0.25,
                 ffn_adapter_scale: float = 0.5,
                 drop_path_rate: float = 0.,
                 freeze_experts: bool = True,
                 pairing: Optional[Sequence[Tuple[int, int]]] = None,
                 with_cp: bool = False,
                 compile: Union[bool, dict] = False,
                 frozen_dtype: Optional[str] = None,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg=init_cfg)
        if frozen_dtype is not None and not freeze_experts:
            raise ValueError(f'frozen_dtype={frozen_dtype!r} is for frozen '
                             'experts; leave it out to train them')
        self.spatial = build_expert(spatial)
        self.temporal = build_expert(temporal)
        if self.temporal.num_steps < 2:
            raise ValueError(
                f'the temporal expert {temporal["type"]} has no time axis: '
                f'it makes {self.temporal.num_steps} time step of '
                f'{self.temporal.num_frames} frames; it needs at least 2')
        self.freeze_experts = freeze_experts
        self.with_cp = with_cp
        self.compile_options = None
        if compile is not False:
            options = {} if compile is True else compile
            self.compile_options = tuple(sorted(options.items()))
        self.frozen_dtype = frozen_dtype
        depths = len(self.spatial.blocks), len(self.temporal.blocks)
        pairs = _check_pairing(pairing, *depths)
        # Blocks of each expert up to a pair: [(first, one past the last)].
        self._spans = [[(begin + 1, end + 1)
                        for begin, end in zip((-1, ) + ends, ends)]
                       for ends in zip(*pairs)]
        exchanging = _check_layers(exchange_layers, len(pairs))

        def adapters(expert: Expert, span: Tuple[int, int]) -> List[Adapters]:
            return [
                NoAdapters() if adapter_ratio is None else BlockAdapters(
                    expert.embed_dims, adapter_ratio, ffn_adapter_scale)
                for _ in range(*span)
            ]

        self.layers = nn.ModuleList()
        for i, (span_s, span_t) in enumerate(zip(*self._spans)):
            module = None
            if exchange is not None and i in exchanging:
                module = MODELS.build(
                    dict(
                        exchange,
                        spatial=self.spatial.spec,
                        temporal=self.temporal.spec))
            *leads_s, paired_s = adapters(self.spatial, span_s)
            *leads_t, paired_t = adapters(self.temporal, span_t)
            rate = drop_path_rate * i / max(len(pairs) - 1, 1)
            self.layers.append(
                CASTLayer(paired_s, paired_t, module, rate, leads_s, leads_t))
        if freeze_experts:
            for expert in self.experts():
                expert.freeze(frozen_dtype)

    def experts(self) -> Tuple[Expert, Expert]:
        """The spatial and the temporal expert."""
        return self.spatial, self.temporal

    def forward(self, clip: Tensor) -> Tuple[Tensor, Tensor]:
        """Runs both experts side by side.

        Args:
            clip: ``(B, 3, F, H, W)``, normalised.

        Returns:
            The spatial and the temporal feature, ``(B, D)`` each.
        """
        if self.frozen_dtype and not torch.is_autocast_enabled(
                clip.device.type):
            raise RuntimeError(
                f'frozen_dtype={self.frozen_dtype!r} needs autocast: train '
                "with an optim_wrapper of type 'AmpOptimWrapper', or leave "
                'frozen_dtype out')
        s, t = self.spatial.embed(clip), self.temporal.embed(clip)
        stages = list(zip(self.layers, *self._stages()))
        for stage in stages[:-1]:
            s, t = self._run(CASTLayer.forward, *stage, s, t)
        stage = stages[-1]
        s, t = self._run(CASTLayer.attend, *stage, s, t)
        if self.training:
            # Only the tokens of the read-out matter after the last exchange.
            # Evaluation keeps all, for whoever looks at token maps.
            s = self.spatial.read_out_tokens(s)
            t = self.temporal.read_out_tokens(t)
        s, t = self._run(CASTLayer.feed_forward, *stage, s, t)
        return self.spatial.read_out(s), self.temporal.read_out(t)

    def _stages(self) -> List[List[Blocks]]:
        """Per expert, its blocks from after one pair up to the next."""
        return [[list(expert.blocks)[begin:end] for begin, end in spans]
                for expert, spans in zip(self.experts(), self._spans)]

    def _run(self, function: Callable, *args) -> Tuple[Tensor, Tensor]:
        if self.compile_options is not None:
            function = _compiled(function, self.compile_options)
        if self.with_cp and torch.is_grad_enabled():
            # The reentrant kind gives adapters in frozen blocks no gradient.
            return checkpoint(function, *args, use_reentrant=False)
        return function(*args)

    def layer_groups(self) -> List[List[nn.Module]]:
        """Embeddings, then pair by pair, for layer-wise learning rates."""
        embeddings = [expert.layer_groups()[0] for expert in self.experts()]
        return [sum(embeddings, [])] + [[*blocks_s, *blocks_t, layer]
                                        for layer, blocks_s, blocks_t in zip(
                                            self.layers, *self._stages())]


@lru_cache
def _compiled(function: Callable, options: tuple) -> Callable:
    """One program for all layers of all models: what a layer holds goes in
    as arguments. Models stay free of it, to be copied and saved."""
    return torch.compile(function, dynamic=False, **dict(options))


def pair_blocks(depth_s: int, depth_t: int) -> List[Tuple[int, int]]:
    """Pairs every block of the shallower expert with one of the deeper, evenly
    spaced, the last with the last.

    12 spatial and 8 temporal blocks give (0, 0), (2, 1), (3, 2), (5, 3),
    (6, 4), (8, 5), (9, 6), (11, 7).
    """
    count = min(depth_s, depth_t)
    return [((i + 1) * depth_s // count - 1, (i + 1) * depth_t // count - 1)
            for i in range(count)]


def _check_pairing(pairing: Optional[Sequence[Tuple[int, int]]], depth_s: int,
                   depth_t: int) -> List[Tuple[int, int]]:
    if pairing is None:
        return pair_blocks(depth_s, depth_t)
    pairs = [tuple(pair) for pair in pairing]
    last = (depth_s - 1, depth_t - 1)
    ascending = all(a < c and b < d for (a, b), (c, d) in zip(
        [(-1, -1)] + pairs, pairs))
    if not ascending or pairs[-1:] != [last]:
        raise ValueError(
            f'pairing={pairs} must ascend in both experts, from (0, 0) at the '
            f'earliest, and end with {last}, the last block of the spatial '
            'and of the temporal expert')
    return pairs


def _check_layers(layers: Optional[Sequence[int]],
                  count: int) -> Union[range, Sequence[int]]:
    if layers is None:
        return range(count)
    wrong = [i for i in layers if i not in range(count)]
    if wrong:
        raise ValueError(f'exchange_layers={list(layers)} names blocks '
                         f'{wrong}; there are blocks 0 to {count - 1}')
    return layers
