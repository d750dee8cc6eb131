"""The newest whole checkpoint of a folder.

A disk can damage what was written well. ``torch.save`` stores a CRC-32 of
every tensor, which ``torch.load`` does not look at; it is looked at here.
"""
import pickle
import re
import zipfile
import zlib
from pathlib import Path
from typing import List, NamedTuple, Optional

import torch

from ..checkpoints import CheckpointError
from ..checkpoints.bounds import check_file
from .training_state import SUFFIX

POINTER = 'last_checkpoint'
# What readers raise on damaged bytes.
DAMAGE = (zipfile.BadZipFile, zlib.error, pickle.UnpicklingError, EOFError,
          OSError, MemoryError, RuntimeError, LookupError, ValueError,
          TypeError, AssertionError, AttributeError)


class Search(NamedTuple):
    """What a folder has to go on from.

    Attributes:
        path: The newest whole checkpoint; None if there is none.
        skipped: Newer ones, and why each was left out.
        meta: What the checkpoint says of its training.
    """
    path: Optional[Path]
    skipped: List[str]
    meta: dict


def find_newest(work_dir: Path, folder: Path, template: str,
                names: List[str]) -> Search:
    """Look for the checkpoint to resume from.

    Args:
        work_dir (Path): Where the pointer ``last_checkpoint`` is.
        folder (Path): Where the checkpoints are.
        template (str): Of their names, 'epoch_{}.pth'.
        names (list[str]): Others, that come before those if they exist.
    """
    candidates = [folder / name for name in names if (folder / name).exists()]
    candidates += _numbered(folder, template)
    pointer, skipped = work_dir / POINTER, []
    if pointer.is_file():
        target = Path(pointer.read_text(errors='replace').strip('\0\n '))
        # The folder may have been moved.
        first = target if target.is_file() else folder / target.name
        others = [x for x in candidates if x.resolve() != first.resolve()]
        candidates = [first, *others]
    for path in candidates:
        try:
            meta = check_whole(path)
        except CheckpointError as error:
            skipped.append(str(error))
        else:
            return Search(path, skipped, meta)
    return Search(None, skipped, {})


def check_whole(path: Path) -> dict:
    """Read a checkpoint of a training to its end, without keeping it.

    Returns:
        dict: What it says of its training, ``meta``.

    Raises:
        CheckpointError: If it, or the optimizer's state beside it, is
            missing or damaged.
    """
    content = _check_file(path)
    if 'optimizer' not in content:
        _check_file(path.with_suffix(SUFFIX))
    meta = content.get('meta')
    return meta if isinstance(meta, dict) else {}


def _check_file(path: Path) -> dict:
    if not path.is_file():
        raise CheckpointError(f'{path} is not there')
    try:
        check_file(path)
        with zipfile.ZipFile(path) as file:
            if file.testzip():
                raise zipfile.BadZipFile(f'the checksum of {file.testzip()} '
                                         'does not fit')
        content = torch.load(
            path, map_location='cpu', weights_only=True, mmap=True)
    except DAMAGE as error:
        reason = str(error).partition('\n')[0] or type(error).__name__
        raise CheckpointError(f'{path} is damaged: {reason}') from error
    if not isinstance(content, dict):
        raise CheckpointError(f'{path} is no checkpoint')
    return content


def _numbered(folder: Path, template: str) -> List[Path]:
    """Checkpoints by their number, the highest first."""
    parts = re.split(r'\{[^}]*\}', template, maxsplit=1)
    before, after = map(re.escape, parts)
    pattern = re.compile(rf'{before}(\d+){after}')
    found = {}
    for path in folder.glob('*'):
        match = pattern.fullmatch(path.name)
        if match:
            found[int(match[1])] = path
    return [found[number] for number in sorted(found, reverse=True)]
