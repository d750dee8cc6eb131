"""Batches on their way from a worker to the training.

PyTorch shares every tensor of a batch on its own, and each takes an open
file: 64 clips with their labels, fetched ahead by 8 workers, are 2,048.
"""
import io
import pickle
from itertools import accumulate
from typing import Any, Callable, List, Optional, Tuple

import torch
from torch.utils.data import get_worker_info

# Bytes; what is smaller is copied rather than shared.
SHARED = 2**16


class Parcel:
    """A batch: its clips as one shared tensor, all else as bytes.

    Made in a worker, opened in the process that asked for it, which trusts
    the bytes as it does its own.

    Args:
        batch (Any): What a collate function returns. Lists of tensors of one
            type are put into one tensor, of whatever shapes, and are lists of
            parts of it afterwards. Each lies there as it lay before: to turn
            what is transposed costs more than to copy it, and a device does
            it in no time.
    """

    def __init__(self, batch: Any) -> None:
        self._tensors: List[torch.Tensor] = []
        content = io.BytesIO()
        _Packer(content, self._tensors).dump(batch)
        self._content = content.getvalue()

    def pin_memory(self) -> 'Parcel':
        """Called by PyTorch's thread, where ``pin_memory=True``."""
        self._tensors = [tensor.pin_memory() for tensor in self._tensors]
        return self

    def open(self) -> Any:
        """The batch."""
        return _Unpacker(io.BytesIO(self._content), self._tensors).load()


def parcelled(collate: Callable, samples: List) -> Parcel:
    """Collate in a worker."""
    return Parcel(collate(samples))


def _is_plain(value: Any) -> bool:
    return (type(value) is torch.Tensor and value.device.type == 'cpu'
            and value.layout is torch.strided and not value.requires_grad)


def _size(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _without_gaps(tensor: torch.Tensor) -> torch.Tensor:
    """Itself if its values fill a stretch of memory, or a copy."""
    filled = 1
    for stride, size in sorted(zip(tensor.stride(), tensor.shape)):
        if size > 1 and stride != filled:
            return tensor.contiguous()
        filled *= size
    return tensor


def _together(tensors: List[torch.Tensor]) -> torch.Tensor:
    """One tensor of what lies in the memory of several without gaps."""
    flat = [x.as_strided((x.numel(), ), (1, )) for x in tensors]
    out = None
    if get_worker_info() is not None:
        # Into shared memory at once, as `default_collate` does.
        size = sum(map(_size, tensors))
        out = torch.empty(0, dtype=flat[0].dtype).set_(
            torch.UntypedStorage._new_shared(size), 0, (sum(map(len, flat)), ))
    return torch.cat(flat, out=out)


class _Packer(pickle.Pickler):

    def __init__(self, file: io.BytesIO, tensors: List[torch.Tensor]) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self._tensors = tensors

    def persistent_id(self, value: Any) -> Optional[Tuple]:
        """Which tensor it is; of a list also shape, stride and place of each
        part of that tensor."""
        if type(value) is list and value and all(map(_is_plain, value)):
            if len({x.dtype for x in value}) == 1 and sum(map(
                    _size, value)) >= SHARED:
                value = list(map(_without_gaps, value))
                ends = list(accumulate(x.numel() for x in value))
                self._tensors.append(_together(value))
                return len(self._tensors) - 1, [
                    (x.shape, x.stride(), end - x.numel())
                    for x, end in zip(value, ends)
                ]
        elif _is_plain(value) and _size(value) >= SHARED:
            self._tensors.append(value)
            return len(self._tensors) - 1, None
        return None

    def reducer_override(self, value: Any) -> Any:
        """Small tensors as bytes; PyTorch would write a file in memory."""
        if _is_plain(value) and value.dtype is not torch.bfloat16:
            return torch.from_numpy, (value.numpy(), )
        return NotImplemented


class _Unpacker(pickle.Unpickler):

    def __init__(self, file: io.BytesIO, tensors: List[torch.Tensor]) -> None:
        super().__init__(file)
        self._tensors = tensors

    def persistent_load(self, where: Tuple) -> Any:
        index, parts = where
        tensor = self._tensors[index]
        if parts is None:
            return tensor
        return [tensor.as_strided(*part) for part in parts]
