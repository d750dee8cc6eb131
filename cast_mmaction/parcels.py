"""Batches on their way from a worker to the training.

PyTorch shares every tensor of a batch on its own, and each takes an open
file: 64 clips with their labels, fetched ahead by 8 workers, are 2,048.
"""
import io
import pickle
from typing import Any, Callable, List, Optional, Tuple

import torch
from torch.utils.data import default_collate

# Bytes; what is smaller is copied rather than shared.
SHARED = 2**16


class Parcel:
    """A batch: its clips as one shared tensor, all else as bytes.

    Made in a worker, opened in the process that asked for it, which trusts
    the bytes as it does its own.

    Args:
        batch (Any): What a collate function returns. Lists of tensors of one
            shape are put into one tensor, and are lists of parts of it
            afterwards.
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


class _Packer(pickle.Pickler):

    def __init__(self, file: io.BytesIO, tensors: List[torch.Tensor]) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self._tensors = tensors

    def persistent_id(self, value: Any) -> Optional[Tuple[int, bool]]:
        """Where a tensor, or a list of them, lies (and whether a list)."""
        if type(value) is list and value and all(map(_is_plain, value)):
            kinds = {(x.shape, x.dtype) for x in value}
            if len(kinds) == 1 and sum(map(_size, value)) >= SHARED:
                # In a worker, this writes into shared memory at once.
                self._tensors.append(default_collate(value))
                return len(self._tensors) - 1, True
        elif _is_plain(value) and _size(value) >= SHARED:
            self._tensors.append(value)
            return len(self._tensors) - 1, False
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

    def persistent_load(self, place: Tuple[int, bool]) -> Any:
        index, is_list = place
        tensor = self._tensors[index]
        return list(tensor) if is_list else tensor
