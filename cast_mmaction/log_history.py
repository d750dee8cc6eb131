"""What a log remembers of a value: bounded, and read when somebody looks.

MMEngine's ``HistoryBuffer`` copies its whole history at every update and
takes it into every checkpoint, and its message hub waits for the device to
read each loss of each iteration. :func:`mend` gives both what they lack; see
``bounded_log`` and ``log_without_waiting`` in :mod:`cast_mmaction.compat`.
"""
from collections import OrderedDict
from typing import List, Sequence, Union

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from torch import Tensor

Number = Union[int, float]

UNBOUNDED = 1_000_000  # the host's default, after which it starts to forget
# The last values of a key that are kept, and that a checkpoint takes along.
# Means over an epoch's batches see as many; 20 are in a line of the log.
KEPT = 10_000
SAVED = 1_000
WAITING = 1_000  # values that may be on the device at most


class Recent:
    """The last numbers of a series.

    An array of twice the length, filled from the left; when it is full the
    last ones move to the front, so that a number costs the same however many
    came before it.

    Args:
        values (sequence): The numbers so far.
        length (int): How many are kept.
    """

    def __init__(self, values: Sequence[Number], length: int) -> None:
        self.length = length
        self._array = np.array(values[-length:] if length else [])
        self._size = len(self._array)
        self._waiting: List[Union[Number, Tensor]] = []

    def append(self, value: Union[Number, Tensor]) -> None:
        """Add a number, or a tensor with one number, which is read later."""
        self._waiting.append(value)
        if len(self._waiting) >= WAITING:
            self.array()

    def array(self) -> np.ndarray:
        """The numbers, in the order in which they came.

        This waits for the device if one of them is there.
        """
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            self._extend(np.array(_numbers(waiting)[-self.length:]))
        start = max(self._size - self.length, 0)
        return self._array[start:self._size]

    def _extend(self, new: np.ndarray) -> None:
        dtype = np.result_type(self._array, new)
        end = self._size + len(new)
        if end > len(self._array) or dtype != self._array.dtype:
            old = self._array[max(self._size - self.length, 0):self._size]
            self._size, end = len(old), len(old) + len(new)
            # Small ones grow; at the limit the array stays as it is.
            room = max(min(2 * end, 2 * self.length), end, 16)
            if room > len(self._array) or dtype != self._array.dtype:
                self._array = np.empty(room, dtype)
            self._array[:len(old)] = old
        self._array[self._size:end] = new
        self._size = end


def _numbers(values: List[Union[Number, Tensor]]) -> List[Number]:
    """Values with their tensors read, those of a kind in one transfer."""
    kinds: dict = {}
    for place, value in enumerate(values):
        if isinstance(value, Tensor):
            kinds.setdefault((value.device, value.dtype), []).append(place)
    values = list(values)
    for places in kinds.values():
        read = torch.stack([values[place] for place in places]).tolist()
        for place, number in zip(places, read):
            values[place] = number
    return values


def _bounded(max_length: int) -> int:
    """Checkpoints of the host state its default, which bounds nothing."""
    return KEPT if max_length == UNBOUNDED else max_length


def mend() -> None:
    """Give ``HistoryBuffer`` a bounded history that takes tensors.

    Its methods, registered statistics and pickles stay as they are: the
    attributes ``_log_history`` and ``_count_history`` are still arrays.
    """
    init = HistoryBuffer.__init__

    def __init__(self,
                 log_history: Sequence = (),
                 count_history: Sequence = (),
                 max_length: int = KEPT) -> None:
        max_length = _bounded(max_length)
        if len(log_history) == len(count_history):
            log_history = log_history[-max_length:]
            count_history = count_history[-max_length:]
        init(self, log_history, count_history, max_length)

    def update(self,
               log_val: Union[Number, Tensor],
               count: Number = 1) -> None:
        """Add a value: a number, or a tensor without dimensions."""
        scalar = isinstance(log_val, Tensor) and log_val.dim() == 0
        if not (scalar or isinstance(log_val, (int, float))) or \
                not isinstance(count, (int, float)):
            raise TypeError(
                f'log_val must be a number but got {type(log_val)}, count '
                f'must be a number but got {type(count)}')
        self._values.append(log_val)
        self._counts.append(count)

    def __getstate__(self) -> dict:
        return dict(
            max_length=self.max_length,
            _log_history=self._log_history,
            _count_history=self._count_history,
            statistics_methods=self._statistics_methods)

    def series(name: str) -> property:

        def get(self) -> np.ndarray:
            return getattr(self, name).array()

        def put(self, values: Sequence) -> None:
            setattr(self, name, Recent(values, self.max_length))

        return property(get, put)

    def __setstate__(self, state: dict) -> None:
        state = dict(state)
        self._set_default_statistics()
        self._statistics_methods.update(state.pop('statistics_methods', {}))
        self.max_length = _bounded(state.pop('max_length'))
        for name, value in state.items():
            setattr(self, name, value)

    HistoryBuffer.__init__ = __init__
    HistoryBuffer.update = update
    HistoryBuffer.__getstate__ = __getstate__
    HistoryBuffer.__setstate__ = __setstate__
    HistoryBuffer._log_history = series('_values')
    HistoryBuffer._count_history = series('_counts')


def for_checkpoint(scalars: dict) -> OrderedDict:
    """Copies of buffers, with as much of them as a resumed run looks at."""
    return OrderedDict(
        (key,
         HistoryBuffer(*(x[-SAVED:] for x in buffer.data), buffer.max_length))
        for key, buffer in scalars.items())
