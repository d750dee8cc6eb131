"""Tensors of a TorchScript archive, read without its code.

OpenAI's CLIP files are such archives. ``torch.jit.load`` would compile the
program inside and run parts of it; here only the list of tensors is read: a
pickle in which nothing but tensors, containers and empty stand-ins for the
archive's own classes can be built.
"""
import io
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any, Dict

import torch
from torch import Tensor

from .bounds import Call, check_archive, check_content, check_pickle
from .rename import CheckpointError, StateDict

DTYPES = {
    'FloatStorage': torch.float32,
    'HalfStorage': torch.float16,
    'BFloat16Storage': torch.bfloat16,
    'DoubleStorage': torch.float64,
    'LongStorage': torch.int64,
    'IntStorage': torch.int32,
    'ByteStorage': torch.uint8,
    'BoolStorage': torch.bool,
}
_LISTS = ('build_intlist', 'build_doublelist', 'build_boollist',
          'build_tensorlist')


class _ScriptObject:
    """Stands in for any class of the archive."""


def is_torchscript(path: Path) -> bool:
    """Whether a file is a TorchScript archive."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(n.endswith('/constants.pkl') for n in archive.namelist())


def read_torchscript(path: Path) -> StateDict:
    """Reads parameters and buffers of a TorchScript archive.

    Args:
        path: The archive, of ``torch.jit.save``.

    Returns:
        Tensors by name, as its ``state_dict()`` would give them.

    Raises:
        CheckpointError: if the archive holds other types than tensors,
            numbers, strings and containers (names the first), or unpacks
            to more than its size.
    """
    size = path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        check_archive(archive, size)
        folder = next(n for n in archive.namelist()
                      if n.endswith('/constants.pkl'))[:-len('constants.pkl')]
        file = io.BytesIO(archive.read(f'{folder}data.pkl'))
        check_pickle(file)
        file.seek(0)
        root = _Unpickler(file, archive, folder).load()
    check_content(root, size)
    return dict(_tensors(root, ''))


def _tensors(value: Any, prefix: str):
    for name, item in vars(value).items():
        if isinstance(item, Tensor):
            yield prefix + name, item
        elif isinstance(item, _ScriptObject):
            yield from _tensors(item, f'{prefix}{name}.')


class _Unpickler(pickle.Unpickler):

    def __init__(self, file, archive: zipfile.ZipFile, folder: str) -> None:
        super().__init__(file)
        self.archive, self.folder = archive, folder
        self.storages: Dict[str, Tensor] = {}

    def find_class(self, module: str, name: str) -> Any:
        if module.startswith('__torch__'):
            return _ScriptObject
        if module == 'torch' and name in DTYPES:
            return DTYPES[name]
        if (module, name) == ('collections', 'OrderedDict'):
            return OrderedDict
        if (module, name) == ('torch._utils', '_rebuild_tensor_v2'):
            return Call(rebuild_tensor)
        if module == 'torch.jit._pickle' and name in _LISTS:
            return list
        if (module, name) == ('torch.jit._pickle', 'restore_type_tag'):
            return Call(_without_tag)
        raise CheckpointError(f'it holds a {module}.{name}')

    def persistent_load(self, pid: tuple) -> Tensor:
        _, dtype, key, _, numel = pid
        if key not in self.storages:
            data = self.archive.read(f'{self.folder}data/{key}')
            self.storages[key] = torch.frombuffer(
                bytearray(data), dtype=dtype, count=numel) if numel else (
                    torch.empty(0, dtype=dtype))
        return self.storages[key]


def rebuild_tensor(storage: Tensor, offset: int, size: tuple, stride: tuple,
                    *_) -> Tensor:
    return torch.as_strided(storage, size, stride, offset)


def _without_tag(value: Any, tag: str) -> Any:
    return value
