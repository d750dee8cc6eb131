"""Dumped results: pickles read as data, and files that need no pickle.

The host dumps a list with a dict for every sample. Read here, its pickle may
hold plain values, arrays and tensors. What this package writes has the same
as an ``.npz`` beside it: all numbers of one type in one array, and the list
as JSON, in which each array is its type, place and shape. The names of the
classes stand in it, too.
"""
import io
import json
import pickle
import zipfile
import zlib
from collections import OrderedDict
from pathlib import Path
from typing import Any, Dict, List, Optional, Union

import numpy as np
import torch
from mmaction.registry import METRICS
from mmengine.dist import is_main_process
from mmengine.evaluator import DumpResults
from mmengine.logging import MMLogger

from ..atomic_write import atomic_write, check_writable
from ..class_names import names_by_task, plain_names
from ..checkpoints.bounds import (Call, check_archive, check_content,
                                  check_pickle)
from ..checkpoints.torchscript import DTYPES, rebuild_tensor

LAYOUT = 'layout'  # the entry of the JSON in an .npz
NAMES = 'names'  # of the classes, JSON too
ARRAY = '__array__'  # the key of an array in the JSON
KINDS = 'biufcSU'  # of NumPy's types: numbers and text

DAMAGED = (pickle.UnpicklingError, zipfile.BadZipFile, zlib.error, EOFError,
           ArithmeticError, AttributeError, LookupError, MemoryError,
           RuntimeError, TypeError, ValueError)


@METRICS.register_module()
class DumpPlainResults(DumpResults):
    """The host's dump, whole or not at all, and an ``.npz`` beside it.

    Args:
        out_file_path (str): The ``.pkl`` to write.
        kwargs: Those of :class:`mmengine.evaluator.DumpResults`.

    Raises:
        OSError: If it cannot be written, before the test.
    """
    default_prefix = ''  # it has no figures

    def __init__(self, out_file_path: str, **kwargs) -> None:
        super().__init__(out_file_path, **kwargs)
        if is_main_process():
            check_writable(out_file_path)

    def compute_metrics(self, results: list) -> dict:
        """Write both files; adds no figure."""
        write_samples(self.out_file_path, results,
                      plain_names(self.dataset_meta))
        return {}


def write_samples(path: str,
                  samples: List[Dict[str, Any]],
                  names: Optional[Dict[str, List[str]]] = None) -> None:
    """Write samples as the host's ``.pkl`` and, beside it, as ``.npz``.

    Each appears whole or not at all. Samples that hold more than plain
    values, arrays and tensors have no ``.npz``; the log says why.

    Args:
        path (str): The ``.pkl``.
        samples (list[dict]): One for every sample.
        names (dict, optional): Names of the classes, as a data set's metainfo
            has them, for the ``.npz``.
    """
    write_pickle(path, samples)
    parts: Dict[str, list] = {}
    try:
        layout = json.dumps(_take_apart(samples, parts))
    except TypeError as error:
        MMLogger.get_current_instance().warning(
            f'{path} has no .npz beside it: {error}')
        return
    arrays = {name: np.concatenate(rows) for name, rows in parts.items()}
    with atomic_write(Path(path).with_suffix('.npz')) as temporary:
        with open(temporary, 'wb') as file:
            np.savez(
                file, **arrays, **{
                    LAYOUT: np.array(layout),
                    NAMES: np.array(json.dumps(names or {}))
                })


def write_pickle(path: Union[str, Path], samples: List[Dict[str,
                                                            Any]]) -> None:
    """The ``.pkl`` alone."""
    with atomic_write(path) as temporary, open(temporary, 'wb') as file:
        pickle.dump(samples, file)


def read_samples(path: str) -> List[Dict[str, Any]]:
    """The samples of a ``.pkl`` or an ``.npz``.

    Args:
        path (str): The file.

    Returns:
        list[dict]: Plain values, arrays and tensors.

    Raises:
        ValueError: If it is damaged, no list of dicts, holds more than data
            or would be larger than its bytes.
    """
    size = Path(path).stat().st_size
    try:
        if zipfile.is_zipfile(path):
            samples = _read_npz(path, size)
        else:
            data = Path(path).read_bytes()
            check_pickle(io.BytesIO(data))
            samples = _Unpickler(io.BytesIO(data)).load()
        check_content(samples, size)
        if not isinstance(samples, list) or not samples or not all(
                isinstance(sample, dict) for sample in samples):
            raise ValueError('it is no list of samples')
    except DAMAGED as error:
        raise ValueError(f'{path}: damaged, or no dump of results '
                         f'({str(error)[:300]})') from error
    return _plain_arrays(samples)


def _plain_arrays(value: Any) -> Any:
    """NumPy's own arrays in place of the checked ones."""
    if isinstance(value, _Array):
        return value.view(np.ndarray)
    if type(value) in (dict, OrderedDict):
        return type(value)(
            (key, _plain_arrays(x)) for key, x in value.items())
    if type(value) in (list, tuple):
        return type(value)(map(_plain_arrays, value))
    return value


def read_names(path: str) -> Dict[str, List[str]]:
    """The names of the classes of a dump.

    Args:
        path (str): An ``.npz``, or a ``.pkl`` that may have one beside it.

    Returns:
        dict[str, list[str]]: By task, see :func:`names_by_task`; empty where
        the dump knows none.

    Raises:
        ValueError: If the ``.npz`` is damaged.
    """
    file = Path(path).with_suffix('.npz')
    if not file.is_file():
        return {}
    try:
        with zipfile.ZipFile(file) as archive:
            check_archive(archive, file.stat().st_size)
        with np.load(file, allow_pickle=False) as content:
            text = str(content[NAMES]) if NAMES in content.files else '{}'
        return names_by_task(plain_names(json.loads(text)))
    except DAMAGED as error:
        raise ValueError(f'{file}: damaged, or no dump of results '
                         f'({str(error)[:300]})') from error


def _take_apart(value: Any, parts: Dict[str, list]) -> Any:
    """What JSON can hold; the numbers of arrays go to ``parts``, by type."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        value = (value.float() if value.dtype == torch.bfloat16 else
                 value).numpy()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray) and value.dtype.kind in KINDS:
        rows = parts.setdefault(value.dtype.str, [])
        rows.append(value.ravel())
        return {ARRAY: [value.dtype.str, list(value.shape)]}
    if isinstance(value, dict):
        return {str(key): _take_apart(x, parts) for key, x in value.items()}
    if isinstance(value, (list, tuple)):
        return [_take_apart(item, parts) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f'a {type(value).__name__} is no plain data')


def _read_npz(path: str, size: int) -> Any:
    with zipfile.ZipFile(path) as archive:
        check_archive(archive, size)
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files if name != NAMES}
    layout = json.loads(str(arrays.pop(LAYOUT)))
    check_content(layout, size)
    return _put_together(layout, arrays, dict.fromkeys(arrays, 0))


def _put_together(value: Any, arrays: Dict[str, np.ndarray],
                  places: Dict[str, int]) -> Any:
    if isinstance(value, list):
        return [_put_together(item, arrays, places) for item in value]
    if not isinstance(value, dict):
        return value
    if ARRAY not in value:
        return {
            key: _put_together(item, arrays, places)
            for key, item in value.items()
        }
    name, shape = value[ARRAY]
    begin = places[name]
    places[name] += int(np.prod(shape, dtype=object))
    return arrays[name][begin:places[name]].reshape(shape)


class _Unpickler(pickle.Unpickler):
    """Builds arrays and tensors itself, and refuses all other calls."""

    def find_class(self, module: str, name: str) -> Any:
        if module in ('numpy.core.multiarray', 'numpy.core.numeric',
                      'numpy._core.multiarray', 'numpy._core.numeric'):
            module = 'numpy'
        elif (module, name) == ('collections', 'OrderedDict'):
            return OrderedDict
        if (module, name) not in CALLS:
            raise pickle.UnpicklingError(
                f'it holds a {module}.{name}, which is more than data')
        return CALLS[module, name]


class _Type:
    """Stands in for a NumPy type, whose own state could lie about memory."""

    def __init__(self, name: str, *_) -> None:
        self.name, self.order = name, '='

    def __setstate__(self, state: tuple) -> None:
        self.order = {'|': '=', '<': '<', '>': '>', '=': '='}[state[1]]

    def real(self) -> np.dtype:
        dtype = np.dtype(self.name).newbyteorder(self.order)
        if dtype.kind not in KINDS:
            raise ValueError(f'arrays of {dtype}')
        return dtype


class _Array(np.ndarray):
    """An array whose state is checked."""

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, fortran, data = state
        if not isinstance(data, bytes):
            raise ValueError('an array without its numbers')
        super().__setstate__((1, shape, dtype.real(), fortran, data))


def _array(*_) -> np.ndarray:
    return np.empty(0).view(_Array)


def _scalar(dtype: _Type, data: bytes) -> Any:
    return np.frombuffer(data, dtype.real())[0]


def _frombuffer(data: Any, dtype: _Type, shape: tuple,
                order: str) -> np.ndarray:
    return np.frombuffer(data, dtype.real()).reshape(shape, order=order)


def _encode(text: str, encoding: str) -> bytes:
    if encoding != 'latin1':
        raise ValueError(f'text in {encoding}')
    return text.encode(encoding)


class _Storage(pickle.Unpickler):
    """The one storage of a legacy file of ``torch.save``."""

    def find_class(self, module: str, name: str) -> Any:
        if module != 'torch' or name not in DTYPES:
            raise pickle.UnpicklingError(
                f'a storage that is a {module}.{name}')
        return DTYPES[name]

    def persistent_load(self, pid: tuple) -> torch.dtype:
        return pid[1]


def _storage(data: bytes) -> torch.Tensor:
    """A storage as a pickled tensor carries it: magic number, version and
    machine, type, list of keys; number of values; values."""
    scan, file = io.BytesIO(data), io.BytesIO(data)
    parts = []
    for _ in range(5):
        check_pickle(scan)
        parts.append(_Storage(file).load())
        file.seek(scan.tell())
    count, dtype = int.from_bytes(file.read(8), 'little'), parts[3]
    if not count:
        return torch.empty(0, dtype=dtype)
    return torch.frombuffer(bytearray(file.read()), dtype=dtype, count=count)


CALLS: Dict[tuple, Optional[Any]] = {
    ('numpy', '_reconstruct'): Call(_array),
    ('numpy', 'scalar'): Call(_scalar),
    ('numpy', '_frombuffer'): Call(_frombuffer),
    ('numpy', 'ndarray'): None,  # only ever named, for `_reconstruct`
    ('numpy', 'dtype'): Call(_Type),
    ('_codecs', 'encode'): Call(_encode),
    ('torch', 'Size'): Call(tuple),
    ('torch._utils', '_rebuild_tensor_v2'): Call(rebuild_tensor),
    ('torch.storage', '_load_from_bytes'): Call(_storage),
}
