"""What a weights file may ask of the machine that reads it.

``torch.load`` with ``weights_only=True`` runs nothing, but what is 100 bytes
on the disk may still want a terabyte: compressed archives, calls such as
``bytearray(10**12)``, tensors of stride 0, and data that contains itself.
Here a file is looked at before it is read, and its content before it is used.
"""
import argparse
import io
import pickle
import pickletools
import zipfile
from pathlib import Path
from typing import Any, BinaryIO, Callable, Container, Optional

import torch

from .rename import CheckpointError

# An archive may unpack to, and its tensors may span, this many times the size
# of the file and some more: tied weights are stored once, code is compressed.
TIMES = 2
MORE = 2**26  # bytes

LARGEST_PICKLE = 2**27  # bytes: tens of thousands of tensors
DEEPEST = 100  # levels of containers
MOST_VALUES = 10**7  # values, counted wherever they are repeated

# All that a file of ``torch.save`` calls for plain data. torch allows more:
# ``bytearray`` and ``torch.Tensor`` take any memory they are asked for.
CALLS = {
    'argparse.Namespace', 'collections.OrderedDict', 'collections.Counter',
    '_codecs.encode', '__builtin__.set', 'builtins.set', 'torch.Size',
    'torch.device', 'torch.nn.parameter.Parameter',
    'torch.serialization._get_layout', 'torch.storage.UntypedStorage',
    'torch._utils._rebuild_tensor', 'torch._utils._rebuild_tensor_v2',
    'torch._utils._rebuild_parameter'
}
PICKLES_OF_LEGACY = 5  # magic, version, machine, content, keys


class Call:
    """A function that a pickle may call, and not give attributes to."""
    __slots__ = ('function', )

    def __init__(self, function: Callable) -> None:
        self.function = function

    def __call__(self, *args) -> Any:
        return self.function(*args)

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError('it changes a function')


def check_file(path: Path) -> None:
    """Looks at a file of ``torch.save`` before it is unpickled.

    Raises:
        CheckpointError: If it would unpack to more than its size allows.
        UnpicklingError: Naming what it calls that is more than plain data.
        ValueError: If it is damaged.
    """
    with open(path, 'rb') as file:
        if file.read(4) == b'PK\3\4':
            with zipfile.ZipFile(file) as archive:
                check_archive(archive, path.stat().st_size)
                for info in archive.infolist():
                    if info.filename.endswith('/data.pkl'):
                        check_pickle(io.BytesIO(archive.read(info)), CALLS)
            return
        file.seek(0)
        head = io.BytesIO(file.read(LARGEST_PICKLE))
    for _ in range(PICKLES_OF_LEGACY):
        check_pickle(head, CALLS)
        if head.tell() == len(head.getbuffer()):
            break


def check_archive(archive: zipfile.ZipFile, size: int) -> None:
    """Refuses an archive that unpacks to much more than its own size."""
    unpacked = sum(info.file_size for info in archive.infolist())
    if unpacked > TIMES * size + MORE:
        raise CheckpointError(f'it is an archive of {size} bytes that unpacks '
                              f'to {unpacked}')


def check_pickle(file: BinaryIO,
                 calls: Optional[Container[str]] = None) -> None:
    """Goes through the instructions of a pickle without following them.

    Args:
        file: At its beginning; left behind its end.
        calls: Names that it may call, beside storages, types of numbers and
            what ``torch.serialization.add_safe_globals`` was told. None if
            the unpickler that follows looks at them itself.

    Raises:
        UnpicklingError: Naming what it calls and must not.
        ValueError: If it is damaged, or numbers its values as no pickle does
            (the unpickler of Python would take the memory for all of them).
    """
    for count, (code, argument, _) in enumerate(pickletools.genops(file)):
        if code.name in ('PUT', 'BINPUT', 'LONG_BINPUT') and argument > count:
            raise ValueError('a pickle that was made by hand')
        if calls is not None and code.name in ('GLOBAL', 'INST'):
            name = argument.replace(' ', '.', 1)
            if name not in calls and not _is_data(name):
                raise pickle.UnpicklingError(f'GLOBAL {name}')


def _is_data(name: str) -> bool:
    module, _, name = name.partition('.')
    if module == 'torch' and '.' not in name:
        return name.endswith('Storage') or isinstance(
            getattr(torch, name, None), torch.dtype)
    allowed = torch.serialization.get_safe_globals()
    return f'{module}.{name}' in {
        item[1] if isinstance(item, tuple) else
        f'{item.__module__}.{item.__qualname__}'
        for item in allowed
    }


def check_content(content: Any, size: int) -> None:
    """Refuses data that nobody could go through.

    Args:
        content: Containers, namespaces, tensors and plain values.
        size: Bytes of the file that it came from.

    Raises:
        CheckpointError: If it contains itself, is too deep, repeats its parts
            into more values than fit in memory, or if its tensors are larger
            than the file.
    """
    room = TIMES * size + MORE
    counts = {}  # by id: the values in a container that has been gone through
    open_ids = set()
    stack = [(content, None)]
    while stack:
        value, inside = stack.pop()
        if inside is not None:  # all that is in it has been counted
            counts[id(value)] = 1 + sum(counts.get(id(x), 1) for x in inside)
            open_ids.remove(id(value))
            if counts[id(value)] > MOST_VALUES:
                raise CheckpointError('its parts repeat one another into more '
                                      f'than {MOST_VALUES} values')
            continue
        if id(value) in open_ids:
            raise CheckpointError('it contains itself')
        if id(value) in counts:
            continue
        if isinstance(value, torch.Tensor):
            counts[id(value)] = 1
            room -= value.numel() * value.element_size()
            if room < 0:
                raise CheckpointError(
                    f'its tensors are larger than its {size} bytes '
                    f'(one is {tuple(value.shape)})')
        inside = _inside(value)
        if inside:
            open_ids.add(id(value))
            if len(open_ids) > DEEPEST:
                raise CheckpointError(f'it is deeper than {DEEPEST} levels')
            stack.append((value, inside))
            stack += [(item, None) for item in inside]


def _inside(value: Any) -> list:
    if isinstance(value, dict):
        extra = getattr(value, '__dict__', {})  # of an OrderedDict
        if set(extra) - {'_metadata'}:
            raise CheckpointError('a dict in it has attributes: '
                                  f'{str(sorted(extra))[:100]}')
        return [*value.keys(), *value.values(), *extra.values()]
    if isinstance(value, (list, tuple, set, frozenset)):
        return list(value)
    if isinstance(value, argparse.Namespace) or type(
            value).__module__ == 'cast_mmaction.checkpoints.torchscript':
        return list(vars(value).values())
    return []
