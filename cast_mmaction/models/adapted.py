"""A frozen expert with trained modules in its blocks; the shape legend is in
``attention.py``."""
from typing import Iterable, List, NamedTuple, Optional, Tuple, Union

from mmaction.registry import MODELS
from torch import Tensor, nn

from .adapters import BlockAdapters
from .expert import Expert, build_expert
from .layouts import LaidOut, Output
from .running import HALVES, DropSamples, Parts


class AdaptedBlock(NamedTuple):
    """A frozen block with its adapters: a block again, which others can step
    through.

    Attributes:
        block: The block.
        adapters: As :class:`BlockAdapters`.
        drop_path: On what each half of the block adds.
    """
    block: nn.Module
    adapters: nn.Module
    drop_path: nn.Module

    def attend(self, x: Tensor) -> Tensor:
        """What attention adds to ``(B, T, P, D)``."""
        return self.drop_path(self.adapters.attend(self.block, x))

    def feed_forward(self, x: Tensor) -> Tuple[Tensor, Tensor]:
        """What the MLP adds, and the normalised tokens."""
        out, normed = self.adapters.feed_forward(self.block, x)
        return self.drop_path(out), normed


class Adapted(LaidOut, Expert):
    """A frozen expert with trained modules in every block: an expert again.

    Subclasses may hold more that is trained; :meth:`embed` and
    :meth:`read_out` are those of the frozen expert.

    Args:
        expert: The expert.
        layers: The adapters of every block.
        init_cfg: As in mmengine.
        drop_path_rate: Drop path at the last block, growing linearly from 0
            at the first; whole samples skip what a half of the block adds.
        with_cp, compile: See :class:`Running`.
        frozen_dtype: Hold the large weights of the frozen expert as
            'bfloat16' or 'float16', under autocast to the same type.
        out_layout: See ``layouts.py``; None for the read-out.

    Raises:
        RuntimeError: on running with ``frozen_dtype`` outside autocast.
        ValueError: if there is no such layout.
    """

    def __init__(self,
                 expert: Expert,
                 layers: Iterable[nn.Module],
                 init_cfg: Optional[dict] = None,
                 drop_path_rate: float = 0.,
                 with_cp: bool = False,
                 compile: Union[bool, dict] = False,
                 frozen_dtype: Optional[str] = None,
                 out_layout: Optional[str] = None) -> None:
        super().__init__(expert.spec, expert.num_frames, expert.img_size,
                         init_cfg)
        self.set_layout(out_layout, [expert.spec])
        self.expert = expert
        self.layers = nn.ModuleList(layers)
        last = max(len(self.layers) - 1, 1)
        self.drop_paths = nn.ModuleList(
            DropSamples(drop_path_rate * i / last)
            for i in range(len(self.layers)))
        self.set_running(with_cp, compile, frozen_dtype)
        self.freeze(frozen_dtype)

    @property
    def blocks(self) -> List[AdaptedBlock]:
        """The frozen blocks with their adapters."""
        return [
            AdaptedBlock(*parts) for parts in zip(
                self.expert.blocks, self.layers, self.drop_paths)
        ]

    @property
    def input_shape(self) -> Tuple[int, ...]:
        return self.expert.input_shape

    def embed(self, clip: Tensor) -> Tensor:
        return self.expert.embed(clip)

    def encode(self, clip: Tensor) -> Tensor:
        """Clip to the tokens after the last block, ``(B, T, P, D)``."""
        self.check_precision(clip.device.type)
        x = self.embed(clip)
        for parts in self.blocks:
            x = self.run(_run_adapted, *parts, x)
        return x

    def forward(self, clip: Tensor) -> Output:
        """``(B, 3, F, H, W) -> (B, D)``, or as ``out_layout`` says."""
        x = self.encode(clip)
        if self.out_layout is None:
            return self.give(x)
        return self.lay_out([(self, x)])

    def give(self, x: Tensor) -> Tensor:
        """What tokens ``(B, T, P, D)`` become without ``out_layout``."""
        return self.read_out(x)

    def patch_map(self, x: Tensor) -> Tensor:
        return self.expert.patch_map(x)

    def read_out_tokens(self, x: Tensor) -> Tensor:
        return self.expert.read_out_tokens(x)

    def read_out(self, x: Tensor) -> Tensor:
        return self.expert.read_out(x)

    def freeze(self, dtype: Optional[str] = None) -> None:
        """Freezes the expert but its read-out norm; adapters are trained."""
        self.expert.freeze(dtype)

    def parts_to_shard(self) -> Parts:
        return self.expert.parts_to_shard() + [(layer, HALVES)
                                               for layer in self.layers]

    def layer_groups(self) -> List[List[nn.Module]]:
        """Embedding, then depth by depth, for layer-wise learning rates."""
        groups = self.expert.layer_groups()
        for group, layer in zip(groups[1:], self.layers):
            group.append(layer)
        return groups


def _run_adapted(block: nn.Module, adapters: nn.Module, drop_path: nn.Module,
                 x: Tensor) -> Tensor:
    """An adapted block on ``(B, T, P, D)``."""
    adapted = AdaptedBlock(block, adapters, drop_path)
    x = x + adapted.attend(x)
    return x + adapted.feed_forward(x)[0]


@MODELS.register_module()
class AdaptedExpert(Adapted):
    """One frozen expert with CAST's adapters and no one to talk to.

    Args:
        expert: Config of the expert.
        adapter_ratio: Bottleneck of the adapters as a share of the width.
        ffn_adapter_scale: See :class:`BlockAdapters`.
        drop_path_rate: See :class:`Adapted`.
        init_cfg: As in mmengine.
        with_cp, compile, frozen_dtype, out_layout: See :class:`Adapted`.
    """

    def __init__(self,
                 expert: dict,
                 adapter_ratio: float = 0.25,
                 ffn_adapter_scale: float = 0.5,
                 drop_path_rate: float = 0.,
                 init_cfg: Optional[dict] = None,
                 with_cp: bool = False,
                 compile: Union[bool, dict] = False,
                 frozen_dtype: Optional[str] = None,
                 out_layout: Optional[str] = None) -> None:
        expert = build_expert(expert)
        super().__init__(
            expert,
            (BlockAdapters(expert.embed_dims, adapter_ratio,
                           ffn_adapter_scale) for _ in expert.blocks),
            init_cfg, drop_path_rate, with_cp, compile, frozen_dtype,
            out_layout)
