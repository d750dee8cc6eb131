"""What a backbone costs: options that change no result."""
from functools import lru_cache
from typing import Any, Callable, List, Optional, Tuple, Union

import torch
from timm.layers import DropPath
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

# Matrix products, whose weights are most of an expert.
PRODUCTS = (nn.Linear, nn.Conv2d, nn.Conv3d)

# Modules, and the methods beside ``forward`` by which they are entered.
Parts = List[Tuple[nn.Module, Tuple[str, ...]]]
HALVES = ('attend', 'feed_forward')  # of blocks and their adapters


class Running:
    """Mixin of the backbones that run block by block.

    Attributes:
        with_cp: Recompute each block in the backward pass instead of keeping
            its activations.
        compile_options: Of ``torch.compile``; None for no compilation.
        frozen_dtype: In which the products of frozen experts are held.
    """
    with_cp = False
    compile_options: Optional[tuple] = None
    frozen_dtype: Optional[str] = None

    def set_running(self,
                    with_cp: bool = False,
                    compile: Union[bool, dict] = False,
                    frozen_dtype: Optional[str] = None) -> None:
        """Takes the options of a config.

        Args:
            with_cp: See :class:`Running`.
            compile: Compile one block with ``torch.compile``; all share the
                program. Every batch size gets its own, so drop a last,
                smaller batch. A dict holds options, such as ``dict(mode=
                'max-autotune-no-cudagraphs')``.
            frozen_dtype: 'bfloat16' or 'float16'; the backbone casts.

        Raises:
            ValueError: if there is no such type.
        """
        self.with_cp = with_cp
        if compile is not False:
            options = {} if compile is True else compile
            self.compile_options = tuple(sorted(options.items()))
        if frozen_dtype not in (None, 'bfloat16', 'float16'):
            raise ValueError(f"frozen_dtype={frozen_dtype!r}; use 'bfloat16' "
                             "or 'float16', or leave it out")
        self.frozen_dtype = frozen_dtype

    def run(self, function: Callable, *args) -> Any:
        """Calls what makes one block's output of its modules and inputs."""
        if self.compile_options is not None:
            function = _compiled(function, self.compile_options)
        if self.with_cp and torch.is_grad_enabled():
            # The reentrant kind gives adapters in frozen blocks no gradient.
            return checkpoint(function, *args, use_reentrant=False)
        return function(*args)

    def parts_to_shard(self) -> Parts:
        """Modules whose weights are gathered only while they compute, where
        a model is shared out among processes: nothing outside may use what
        is inside. The rest is gathered as a whole."""
        return []

    def check_precision(self, device_type: str) -> None:
        """Looks whether autocast is on as ``frozen_dtype`` needs it.

        Raises:
            RuntimeError: if it is off, or of another type.
        """
        if self.frozen_dtype is None:
            return
        if not torch.is_autocast_enabled(device_type):
            raise RuntimeError(
                f'frozen_dtype={self.frozen_dtype!r} needs autocast: train '
                "with an optim_wrapper of type 'AmpOptimWrapper', or leave "
                'frozen_dtype out')
        dtype = torch.get_autocast_dtype(device_type)
        if dtype != getattr(torch, self.frozen_dtype):
            raise RuntimeError(
                f'frozen_dtype={self.frozen_dtype!r}, but autocast is to '
                f'{str(dtype).removeprefix("torch.")}: the frozen weights '
                'would be rounded twice. Set frozen_dtype to the dtype of '
                'the AmpOptimWrapper (--amp DTYPE)')


def hold_in(module: nn.Module, dtype: str) -> None:
    """Holds the weights of matrix products in another type, for autocast to
    the same one."""
    for part in module.modules():
        if isinstance(part, PRODUCTS):
            part.to(getattr(torch, dtype))


def run_block(block: nn.Module, x: Tensor) -> Tensor:
    """What a block makes of tokens; for :meth:`Running.run`."""
    return block(x)


class DropSamples(DropPath):
    """timm's drop path of whole samples, outside of compiled programs.

    Every layer has its own rate, so that it would need its own program, and
    a compiled program draws other numbers.
    """

    def forward(self, x: Tensor) -> Tensor:
        """``(B, ...)``, samples set to zero while training."""
        return self._drop(x) if self.training else x

    @torch.compiler.disable
    def _drop(self, x: Tensor) -> Tensor:
        return super().forward(x)


@lru_cache
def _compiled(function: Callable, options: tuple) -> Callable:
    """One program for all blocks of all models: what a block holds goes in
    as arguments. Models stay free of it, to be copied and saved."""
    return torch.compile(function, dynamic=False, **dict(options))
