"""Reading weight files of others: data only, or a refusal with a reason."""
import argparse
import hashlib
import pickle
import re
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any, Union

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from .bounds import check_content, check_file
from .rename import CheckpointError, StateDict
from .torchscript import is_torchscript, read_torchscript

# Names under which training codes keep the weights inside a checkpoint.
WRAPPERS = ('state_dict', 'model', 'module', 'model_state')

# Which parts, each with names of its own, V-JEPA 2's training files have.
VJEPA2_PARTS = {'encoder', 'predictor'}

# Plain holders of attributes that many checkpoints carry beside the weights;
# rebuilding one runs nothing.
HARMLESS = (argparse.Namespace, )

# What readers raise on bytes that are not what they seem to be.
DAMAGED = (pickle.UnpicklingError, zipfile.BadZipFile, zlib.error,
           SafetensorError, struct.error, RuntimeError, EOFError, OSError,
           ArithmeticError, AssertionError, AttributeError, LookupError,
           MemoryError, TypeError, ValueError)

TRUST = ('trusting a file means running whatever program its maker, or '
         'whoever could change it, has put into it, with all your rights')


def read_checkpoint(path: Union[str, Path],
                    trust: bool = False,
                    map_location: Any = 'cpu') -> Any:
    """Reads a file of ``torch.save``, of safetensors or of TorchScript.

    Args:
        path: The file.
        trust: Also rebuild objects that are more than data. See ``TRUST``.
        map_location: Where to put the tensors, see ``torch.load``.

    Returns:
        Its content.

    Raises:
        CheckpointError: naming the file, if it is missing, damaged or no
            checkpoint, or the type of an object that only a program could
            rebuild, or what makes it larger than its bytes.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f'{path}: there is no such weights file')
    if path.stat().st_size == 0:
        raise CheckpointError(f'{path}: the file is empty')
    try:
        if path.suffix == '.safetensors':
            return load_file(path)
        if is_torchscript(path):
            return read_torchscript(path)
        with torch.serialization.safe_globals(HARMLESS):
            if not trust:
                check_file(path)
            content = torch.load(
                path, map_location=map_location, weights_only=not trust)
        if not trust:
            check_content(content, path.stat().st_size)
        return content
    except CheckpointError as error:
        raise CheckpointError(f'{path}: refused, {error}') from None
    except DAMAGED as error:
        refused = re.search(r'GLOBAL (\S+)', str(error))
        if refused:
            raise CheckpointError(
                f'{path}: refused, it holds a {refused[1]}, which is more '
                'than data. If you made the file, save its tensors alone; '
                'if you trust its maker, '
                'tools/checkpoints/convert_checkpoint.py --trust reads it'
            ) from None
        reason = 'it is no pickle of plain data'
        if not isinstance(error, pickle.UnpicklingError):
            reason = str(error).partition('\n')[0].partition('. ')[0]
        raise CheckpointError(f'{path}: damaged, or no checkpoint at all '
                              f'({reason})') from error


def unwrap(content: Any) -> Any:
    """The innermost of the dicts that wrap weights, see ``WRAPPERS``."""
    if isinstance(content, dict):
        for name in WRAPPERS:
            if isinstance(content.get(name), dict):
                return unwrap(content[name])
    return content


def read_state_dict(path: Union[str, Path], trust: bool = False) -> StateDict:
    """Reads the tensors of a checkpoint file.

    Args:
        path: See :func:`read_checkpoint`.
        trust: See :func:`read_checkpoint`.

    Returns:
        Name to tensor, out of the wrappers that they lay in.

    Raises:
        CheckpointError: as :func:`read_checkpoint`, and if there are no
            tensors by name inside.
    """
    return as_state_dict(unwrap(read_checkpoint(path, trust)), path)


def as_state_dict(content: Any, path: Union[str, Path]) -> StateDict:
    """The same content, if it is a dict of tensors by name.

    Raises:
        CheckpointError: if it is not, naming the file.
    """
    if isinstance(content, dict) and VJEPA2_PARTS <= content.keys():
        raise CheckpointError(
            f'{path}: is the file that the training of V-JEPA 2 wrote, with '
            f'{" and ".join(sorted(VJEPA2_PARTS))} apart; its layout is not '
            'known here. The same weights are published in the layout of '
            "transformers, such as pretrained='hf://facebook/"
            "vjepa2-vitl-fpc64-256'")
    if not isinstance(content, dict) or not content or not all(
            isinstance(key, str) and isinstance(value, torch.Tensor)
            for key, value in content.items()):
        raise CheckpointError(f'{path}: holds no state dict (a dict of '
                              'tensors, bare or under one of '
                              f'{", ".join(WRAPPERS)})')
    return content


def sha256_of(path: Union[str, Path]) -> str:
    """SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        for block in iter(lambda: file.read(1 << 20), b''):
            digest.update(block)
    return digest.hexdigest()
