"""float32, float16 or bfloat16: tested and used as it was trained.

A checkpoint's ``meta`` and a published file say in which precision a model
was trained. Mixed precision is for GPUs; elsewhere everything is computed in
float32.
"""
from contextlib import contextmanager, nullcontext
from typing import Iterator, List, Optional

import torch
from torch import nn

PRECISIONS = ('float32', 'float16', 'bfloat16')
HALVES_ON = 'cuda'


def of_config(cfg: dict) -> str:
    """The precision in which a config trains on this machine."""
    wrapper = cfg.get('optim_wrapper') or {}
    if wrapper.get('type') != 'AmpOptimWrapper' or \
            not torch.cuda.is_available():
        return 'float32'
    dtype = wrapper.get('dtype') or 'float16'
    return str(dtype).removeprefix('torch.')


def of_checkpoint(content: dict) -> Optional[str]:
    """The precision that a checkpoint names, None if it names none."""
    meta = content.get('meta')
    precision = meta.get('precision') if isinstance(meta, dict) else None
    return precision if precision in PRECISIONS else None


def on_this_machine(precision: str) -> str:
    """What is left of a precision here."""
    return precision if torch.cuda.is_available() else 'float32'


def best_half() -> str:
    """bfloat16 where the GPU computes in it, else float16."""
    native = torch.cuda.is_available() and torch.cuda.is_bf16_supported(
        including_emulation=False)
    return 'bfloat16' if native else 'float16'


def products_in_tf32(wanted: bool = True) -> bool:
    """Have the products of float32 tensors computed in TF32, or not.

    Returns:
        Whether there is a choice: from compute capability 8.0 on.
    """
    if not torch.cuda.is_available() or \
            torch.cuda.get_device_capability() < (8, 0):
        return False
    torch.set_float32_matmul_precision('high' if wanted else 'highest')
    torch.backends.cudnn.allow_tf32 = wanted
    return True


def run_in(model: nn.Module, precision: str) -> None:
    """Have a model compute in a precision from now on where a GPU holds it.

    Args:
        model: A recognizer, whose weights stay as they are.
        precision: 'float32', 'float16' or 'bfloat16'.

    Raises:
        ValueError: if it is none of these.
    """
    if precision not in PRECISIONS:
        raise ValueError(f'precision is {precision!r}, which is none of '
                         f'{", ".join(PRECISIONS)}')
    for handle in getattr(model, '_precision_handles', ()):
        handle.remove()
    model._precision_handles = []
    if precision != 'float32':
        autocast = _Autocast(getattr(torch, precision))
        model._precision_handles = [
            model.register_forward_pre_hook(autocast.enter),
            model.register_forward_hook(autocast.leave, always_call=True)
        ]


@contextmanager
def running_in(model: nn.Module, precision: str) -> Iterator[None]:
    """The same for a while."""
    run_in(model, precision)
    try:
        yield
    finally:
        run_in(model, 'float32')


class _Autocast:
    """Autocast around a model's forward, which calls may nest."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self._open: List[torch.autocast] = []

    def enter(self, model: nn.Module, args: tuple) -> None:
        device = next(model.parameters()).device.type
        context = torch.autocast(device, self.dtype) \
            if device == HALVES_ON else nullcontext()
        context.__enter__()
        self._open.append(context)

    def leave(self, model: nn.Module, args: tuple, output) -> None:
        self._open.pop().__exit__(None, None, None)


@contextmanager
def full_float32(device: torch.device) -> Iterator[None]:
    """Products of float32 matrices in full precision, whatever the training
    is in: 8 or 10 bits are not enough for a logarithm of energies."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision('highest')
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)
