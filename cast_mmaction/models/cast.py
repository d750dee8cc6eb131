"""CAST: frozen experts and exchanges between them.

Two experts and one exchange are CAST (NeurIPS 2023, arXiv 2311.18825); space
and sound are CAVA; space, time and sound CA2ST (arXiv 2503.23447). The shape
legend is in ``attention.py``.
"""
from typing import (Dict, FrozenSet, List, NamedTuple, Optional, Sequence,
                    Tuple, Union)

import torch
from mmaction.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

from .adapters import BlockAdapters, NoAdapters
from .exchange import BCAST, STREAMS, Exchange
from .expert import Expert, build_expert
from .layouts import LaidOut
from .running import HALVES, DropSamples, Parts, Running
from .time_codes import TimeCode, frame_spans, sound_spans

Blocks = Sequence[nn.Module]
Adapters = Union[BlockAdapters, NoAdapters]
Streams = Dict[str, Tensor]  # (B, T, P, D) by name of the expert

class Given(NamedTuple):
    """What the exchanges are told beside the tokens.

    Attributes:
        present: By expert ``(B,)`` bool, the samples that have its input;
            without an entry all do.
        times: By expert, positions in seconds, where an exchange takes them.
        unread: Experts of whose tokens only those before the patches matter
            after the exchanges.
    """
    present: Dict[str, Tensor]
    times: Dict[str, Tensor]
    unread: FrozenSet[str] = frozenset()


ORDERS = ('sequential', 'parallel')
# Names of other modules.
TAKEN = ('layers', 'exchange', 'drop_path', 'time_codes')


class CASTLayer(nn.Module):
    """What is trained at one depth: adapters of the blocks, the exchanges.

    Between experts of unequal depth a layer also leads the deeper ones up to
    the block that is paired.

    Args:
        adapters: By expert, those of the unpaired blocks that lead up to the
            paired one, and last that of the paired one.
        exchanges: The exchanges by name; None for one that is not at this
            depth.
        parallel: All exchanges read the same tokens, instead of each what
            the one before has left.
        drop_path_rate: Probability that a sample skips an exchange.
        dropped: Experts whose attention is skipped as well.
    """

    def __init__(self,
                 adapters: Dict[str, Sequence[Adapters]],
                 exchanges: Dict[str, Optional[Exchange]],
                 parallel: bool = False,
                 drop_path_rate: float = 0.,
                 dropped: Sequence[str] = ()) -> None:
        super().__init__()
        for name, (*leads, _) in adapters.items():
            self.add_module(f'{name}_leads', nn.ModuleList(leads))
        for name, (*_, paired) in adapters.items():
            self.add_module(name, paired)
        for name, exchange in exchanges.items():
            self.add_module(name, exchange)
        self.drop_path = DropSamples(drop_path_rate)
        self.dropped = tuple(dropped)
        here = [name for name, x in exchanges.items() if x is not None]
        self.rounds = [here] if parallel else [[name] for name in here]

    def attend(self, blocks: Dict[str, Blocks], x: Streams,
               given: Given) -> Streams:
        """Attention with adapters, then the exchanges (eq. 3 to 5)."""
        attended = {}
        for name, tokens in x.items():
            *leads, paired = blocks[name]
            for adapters, block in zip(getattr(self, f'{name}_leads'), leads):
                tokens = tokens + adapters.attend(block, tokens)
                tokens = tokens + adapters.feed_forward(block, tokens)[0]
            residual = getattr(self, name).attend(paired, tokens)
            if name in self.dropped:
                residual = self.drop_path(residual)
            attended[name] = tokens + residual
        return self._talk(attended, given)

    def _talk(self, x: Streams, given: Given) -> Streams:
        # Rounds of exchanges: one at a time, or all at once.
        rounds = [[
            exchange for exchange in (getattr(self, name) for name in names)
            if x.keys() >= {*exchange.between}
        ] for names in self.rounds]
        for i, exchanges in enumerate(rounds):
            heard = {name: [] for name in x}
            # Patches that nobody reads any more need not hear anything.
            cut = given.unread.difference(*(
                exchange.between for later in rounds[i + 1:]
                for exchange in later), *(
                    exchange.between for exchange in exchanges
                    if not exchange.can_cut))
            for exchange in exchanges:
                a, b = exchange.between
                options = {}
                if exchange.takes_times:
                    options['times'] = given.times[a], given.times[b]
                if exchange.can_cut:
                    options['cut'] = cut
                to_a, to_b = exchange.residuals(x[a], x[b], **options)
                for reader, source, residual in ((a, b, to_a), (b, a, to_b)):
                    if residual is not None:
                        heard[reader].append((self.drop_path(residual),
                                              given.present.get(source)))
            x = {
                name: _add(tokens, _mean(heard[name]))
                if heard[name] else tokens
                for name, tokens in x.items()
            }
        return x

    def feed_forward(self, blocks: Dict[str, Blocks], x: Streams) -> Streams:
        """Feed-forward with adapters (eq. 6)."""
        return {
            name: tokens +
            getattr(self, name).feed_forward(blocks[name][-1], tokens)[0]
            for name, tokens in x.items()
        }

    def forward(self, blocks: Dict[str, Blocks], x: Streams,
                given: Given) -> Streams:
        """One depth further.

        Args:
            blocks: By expert, its blocks from after the last pair up to this.
            x: The tokens.
            given: What the exchanges are told.
        """
        return self.feed_forward(blocks, self.attend(blocks, x, given))


def _add(tokens: Tensor, residual: Tensor) -> Tensor:
    """Of tokens that have no residual nothing is left."""
    return tokens[:, :, :residual.shape[2]] + residual


def _mean(heard: Sequence[Tuple[Tensor, Optional[Tensor]]]) -> Tensor:
    """Mean of residuals ``(B, T, P, D)``, of each sample over the sources
    that it has; zero where it has none."""
    total, count = [], []
    for residual, present in heard:
        if present is not None:
            present = present[:, None, None, None]
            residual = residual.masked_fill(~present, 0)
        total.append(residual)
        count.append(1 if present is None else present.to(residual.dtype))
    if len(heard) == 1:
        return total[0]
    count = sum(count)
    return sum(total[1:], total[0]) / (
        count.clamp(min=1) if isinstance(count, Tensor) else count)


@MODELS.register_module()
class CAST(LaidOut, Running, BaseModule):
    """Cross-attention in space and time, and between any other experts.

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
        drop_path_rate: Drop path on the exchanges at the last pair, growing
            linearly from 0 at the first; whole samples are dropped.
        freeze_experts: False trains the experts too.
        pairing: Pairs ``(spatial block, temporal block)`` that run side by
            side and may exchange, ascending, up to the last block of both;
            of three experts, triples. Blocks in no pair run too. None pairs
            every block of the shallowest expert with the evenly spaced ones
            of the others, see :func:`pair_blocks`.
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
        experts: Configs of any experts by name, in place of ``spatial`` and
            ``temporal``.
        exchanges: With ``experts``: configs of exchanges, each with
            ``between=(first, second)``, names of two experts, and perhaps
            ``layers``, as ``exchange_layers``.
        exchange_order: 'sequential': at each depth every exchange reads what
            the one before has left; 'parallel': all read the same tokens,
            and a stream gets the mean of its residuals.
        share_projections: At each depth an expert has one projection down
            and one up for all its exchanges, which are all of type BCAST.
        out_layout: 'pair', 'sum', 'concat' or 'map', see ``layouts.py``; None
            for a pair, or of experts given by name a dict.

    Raises:
        RuntimeError: on running with ``frozen_dtype`` outside autocast, or
            under that of another type.
        ValueError: if there is no such expert, the temporal one has no time
            axis, the pairing does not fit, an exchange names experts or
            pairs of blocks that do not exist, or options contradict each
            other.
    """

    def __init__(self,
                 spatial: Optional[dict] = None,
                 temporal: Optional[dict] = None,
                 exchange: Optional[dict] = dict(type='BCAST'),
                 exchange_layers: Optional[Sequence[int]] = None,
                 adapter_ratio: Optional[float] = 0.25,
                 ffn_adapter_scale: float = 0.5,
                 drop_path_rate: float = 0.,
                 freeze_experts: bool = True,
                 pairing: Optional[Sequence[Sequence[int]]] = None,
                 with_cp: bool = False,
                 compile: Union[bool, dict] = False,
                 frozen_dtype: Optional[str] = None,
                 init_cfg: Optional[dict] = None,
                 experts: Optional[Dict[str, dict]] = None,
                 exchanges: Sequence[dict] = (),
                 exchange_order: str = 'sequential',
                 share_projections: bool = False,
                 out_layout: Optional[str] = None) -> None:
        super().__init__(init_cfg=init_cfg)
        if frozen_dtype is not None and not freeze_experts:
            raise ValueError(f'frozen_dtype={frozen_dtype!r} is for frozen '
                             'experts; leave it out to train them')
        if exchange_order not in ORDERS:
            raise ValueError(f'exchange_order={exchange_order!r}; use one of '
                             f'{ORDERS}')
        self.is_pair = experts is None
        pair_keys = (spatial, temporal, exchange_layers)
        if exchanges and self.is_pair or (
                not self.is_pair and pair_keys != (None, None, None)):
            raise ValueError('give either experts and exchanges, or spatial, '
                             'temporal, exchange and exchange_layers')
        if self.is_pair:
            experts = dict(spatial=spatial, temporal=temporal)
            if exchange is not None:
                exchanges = [
                    dict(exchange, between=STREAMS, layers=exchange_layers)
                ]
        self.names = tuple(experts)
        for name, cfg in experts.items():
            self._add_expert(name, cfg)
        self.set_layout(out_layout, [x.spec for x in self.experts()])
        self.freeze_experts = freeze_experts
        self.shares = share_projections
        self.set_running(with_cp, compile, frozen_dtype)
        pairs = _check_pairing(
            pairing, {n: len(e.blocks)
                      for n, e in self.named_experts().items()})
        # Blocks of each expert up to a pair: [(first, one past the last)].
        self._spans = {
            name: [(begin + 1, end + 1)
                   for begin, end in zip((-1, ) + ends, ends)]
            for name, ends in zip(self.names, zip(*pairs))
        }
        exchanges = _check_exchanges(exchanges, self.names, len(pairs))

        def adapters(expert: Expert, span: Tuple[int, int]) -> List[Adapters]:
            return [
                NoAdapters() if adapter_ratio is None else BlockAdapters(
                    expert.embed_dims, adapter_ratio, ffn_adapter_scale)
                for _ in range(*span)
            ]

        dropped = [n for n in self.names if getattr(self, n).drops_attention]
        self.layers = nn.ModuleList()
        for i in range(len(pairs)):
            modules = {
                name: self._build_exchange(cfg) if i in layers else None
                for name, (cfg, layers) in exchanges.items()
            }
            if share_projections:
                _share_projections(modules)
            rate = drop_path_rate * i / max(len(pairs) - 1, 1)
            self.layers.append(
                CASTLayer(
                    {
                        name: adapters(expert, self._spans[name][i])
                        for name, expert in self.named_experts().items()
                    }, modules, exchange_order == 'parallel', rate, dropped))
        self.time_codes = self._build_time_codes()
        if freeze_experts:
            for expert in self.experts():
                expert.freeze(frozen_dtype)

    def _add_expert(self, name: str, cfg: Optional[dict]) -> None:
        if cfg is None:
            raise ValueError(f'CAST needs a {name} expert: give its config, '
                             'or any experts by name in `experts`')
        if not name.isidentifier() or hasattr(self, name) or name in TAKEN:
            raise ValueError(f'an expert cannot be called {name!r}; choose '
                             "another name, such as 'audio'")
        expert = build_expert(cfg)
        if name == 'temporal' and expert.num_steps < 2:
            raise ValueError(
                f'the temporal expert {cfg["type"]} has no time axis: it '
                f'makes {expert.num_steps} time step of {expert.num_frames} '
                'frames; it needs at least 2')
        self.add_module(name, expert)

    def _build_exchange(self, cfg: dict) -> Exchange:
        first, second = (getattr(self, name).spec for name in cfg['between'])
        cfg = dict(cfg, spatial=first, temporal=second)
        if cfg['between'] == STREAMS:
            del cfg['between']  # what every exchange is made for
        return MODELS.build(cfg)

    def _build_time_codes(self) -> nn.ModuleDict:
        """One for each modality, for all exchanges that take times."""
        timed = [
            exchange for layer in self.layers for exchange in layer.children()
            if isinstance(exchange, Exchange) and exchange.takes_times
        ]
        widths = {exchange.dims for exchange in timed}
        if len(widths) > 1:
            raise ValueError("exchanges with positions='time' share them: "
                             f'their widths {sorted(widths)} must be equal')
        return nn.ModuleDict({
            getattr(self, name).modality: TimeCode(*widths)
            for exchange in timed for name in exchange.between
        })

    def experts(self) -> Tuple[Expert, ...]:
        """The experts in the order of the config."""
        return tuple(self.named_experts().values())

    def named_experts(self) -> Dict[str, Expert]:
        """The experts by name."""
        return {name: getattr(self, name) for name in self.names}

    def forward(
        self, imgs: Optional[Tensor] = None, **inputs: Optional[Tensor]
    ) -> Union[Tuple[Tensor, ...], Dict[str, Tensor]]:
        """Runs the experts side by side.

        Args:
            imgs: Clips ``(B, 3, F, H, W)``, normalised.
            **inputs: What other experts take, by the name that they state as
                their modality: spectrograms ``audio (B, 1, frames, bins)``.
                Without it, or with None, the model runs as if it had no such
                expert. With ``has_audio (B,)`` bool, nothing hears the sound
                of the samples for which it is False. Exchanges with
                ``positions='time'`` need, in seconds from the start of the
                clip, ``imgs_times (B, F)`` of all frames and ``audio_times
                (B, 2)``, begin and end of the spectrogram.

        Returns:
            The features, ``(B, D)`` each: ``(spatial, temporal)``; of experts
            given by name a dict, with ``has_audio`` where it came in. With
            ``out_layout`` what that says.

        Raises:
            ValueError: if an input is for none of the experts, or that of
                the first one is missing.
        """
        inputs = self._check_inputs(dict(inputs, imgs=imgs))
        experts = {
            name: expert
            for name, expert in self.named_experts().items()
            if expert.modality in inputs
        }
        masks = {n: f'has_{e.modality}' for n, e in experts.items()}
        present = {n: inputs[key] for n, key in masks.items() if key in inputs}
        given = Given(present, self._times(experts, inputs))

        x = {n: e.embed(inputs[e.modality]) for n, e in experts.items()}
        *stages, (layer, blocks) = zip(self.layers, self._stages())
        for stage in stages:
            x = self.run(CASTLayer.forward, *stage, x, given)
        pruned = self.training and self.out_layout != 'map'
        if pruned:
            # Only the tokens of the read-out matter after the last exchange.
            # Evaluation keeps all, for whoever looks at token maps.
            given = given._replace(unread=frozenset(
                n for n, e in experts.items() if e.reads_prefix_only(x[n])))
        x = self.run(CASTLayer.attend, layer, blocks, x, given)
        if pruned:
            x = {n: e.read_out_tokens(x[n]) for n, e in experts.items()}
        x = self.run(CASTLayer.feed_forward, layer, blocks, x)
        if self.out_layout is not None:
            return self.lay_out([(e, x[n]) for n, e in experts.items()])
        features = {n: e.read_out(x[n]) for n, e in experts.items()}
        if self.is_pair:
            return tuple(features.values())
        return dict(features, **{masks[n]: y for n, y in present.items()})

    def _times(self, experts: Dict[str, Expert],
               inputs: Dict[str, Tensor]) -> Dict[str, Tensor]:
        """Positions in seconds of the experts that exchange by them."""
        times = {}
        for name, expert in experts.items():
            modality = expert.modality
            if modality not in self.time_codes:
                continue
            if f'{modality}_times' not in inputs:
                raise ValueError(
                    f"positions='time' needs the input {modality}_times: put "
                    "it, which AudioDecode makes, into the pipeline's "
                    'collect_keys')
            given = inputs[f'{modality}_times'].float()
            if modality == 'audio':
                steps = self.experts()[0].num_steps
                spans = sound_spans(given, expert.spec, steps)
            else:
                spans = frame_spans(given, expert.spec)
            times[name] = self.time_codes[modality](spans)
        return times

    def _check_inputs(
            self, inputs: Dict[str, Optional[Tensor]]) -> Dict[str, Tensor]:
        # Those that are there.
        inputs = {name: x for name, x in inputs.items() if x is not None}
        modalities = {n: e.modality for n, e in self.named_experts().items()}
        known = {*modalities.values()}
        unknown = inputs.keys() - known - {
            name
            for x in known for name in (f'has_{x}', f'{x}_times')
        }
        if unknown:
            raise ValueError(f'{", ".join(sorted(unknown))}: none of the '
                             f'experts ({modalities}) takes it')
        first = modalities[self.names[0]]
        if first not in inputs:
            raise ValueError(f'{first} is missing, without which the expert '
                             f'{self.names[0]!r} cannot run')
        self.check_precision(inputs[first].device.type)
        return inputs

    def _stages(self) -> List[Dict[str, Blocks]]:
        """Of every pair, by expert, its blocks from after the last pair."""
        return [{
            name: list(getattr(self, name).blocks)[begin:end]
            for name, (begin, end) in zip(self.names, spans)
        } for spans in zip(*self._spans.values())]

    def parts_to_shard(self) -> Parts:
        parts = sum((x.parts_to_shard() for x in self.experts()), [])
        for layer in self.layers:
            for module in layer.modules():
                if isinstance(module, BlockAdapters):
                    parts.append((module, HALVES))
                elif isinstance(module, Exchange) and not self.shares:
                    parts.append((module, ('residuals', )))
        return parts

    def layer_groups(self) -> List[List[nn.Module]]:
        """Embeddings, then pair by pair, for layer-wise learning rates."""
        embeddings = [expert.layer_groups()[0] for expert in self.experts()]
        return [sum(embeddings, [])] + [[*sum(blocks.values(), []), layer]
                                        for layer, blocks in zip(
                                            self.layers, self._stages())]


def pair_blocks(*depths: int) -> List[Tuple[int, ...]]:
    """Pairs every block of the shallowest expert with one of each other,
    evenly spaced, the last with the last.

    12 spatial and 8 temporal blocks give (0, 0), (2, 1), (3, 2), (5, 3),
    (6, 4), (8, 5), (9, 6), (11, 7).
    """
    count = min(depths)
    return [
        tuple((i + 1) * depth // count - 1 for depth in depths)
        for i in range(count)
    ]


def _check_pairing(pairing: Optional[Sequence[Sequence[int]]],
                   depths: Dict[str, int]) -> List[Tuple[int, ...]]:
    if pairing is None:
        return pair_blocks(*depths.values())
    pairs = [tuple(pair) for pair in pairing]
    last = tuple(depth - 1 for depth in depths.values())
    ascending = all(
        len(pair) == len(last) and all(a < b for a, b in zip(before, pair))
        for before, pair in zip([(-1, ) * len(last)] + pairs, pairs))
    if not ascending or pairs[-1:] != [last]:
        raise ValueError(
            f'pairing={pairs} must ascend in every expert, from '
            f'{(0, ) * len(last)} at the earliest, and end with {last}, the '
            f'last block of {" and ".join(depths)}')
    return pairs


def _check_exchanges(
        exchanges: Sequence[dict], names: Sequence[str],
        count: int) -> Dict[str, Tuple[dict, Sequence[int]]]:
    """Config and layers of every exchange, by its name in a layer."""
    checked = {}
    for cfg in exchanges:
        cfg = dict(cfg, between=tuple(cfg.get('between', ())))
        between = cfg['between']
        if len(set(between)) != 2 or not set(between) <= set(names):
            raise ValueError(f'an exchange has between={between}; name two '
                             f'of the experts {", ".join(names)}')
        if any(set(between) == set(c['between'])
               for c, _ in checked.values()):
            raise ValueError(f'there are two exchanges between {between}')
        layers = _check_layers(cfg.pop('layers', None), count)
        name = f'exchange_{"_".join(between)}'
        checked['exchange' if len(exchanges) == 1 else name] = cfg, layers
    return checked


def _check_layers(layers: Optional[Sequence[int]],
                  count: int) -> Union[range, Sequence[int]]:
    if layers is None:
        return range(count)
    wrong = [i for i in layers if i not in range(count)]
    if wrong:
        raise ValueError(f'exchange_layers={list(layers)} names blocks '
                         f'{wrong}; there are blocks 0 to {count - 1}')
    return layers


def _share_projections(exchanges: Dict[str, Optional[Exchange]]) -> None:
    """The first exchange of a stream lends its projections to the others."""
    owners: Dict[str, Exchange] = {}
    for exchange in filter(None, exchanges.values()):
        if not isinstance(exchange, BCAST):
            raise ValueError('share_projections is for exchanges of type '
                             f'BCAST, not {type(exchange).__name__}')
        for name in exchange.between:
            if name in owners:
                exchange.borrow(name, owners[name])
            else:
                owners[name] = exchange
