"""Files that appear whole or not at all."""
import errno
import os
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Optional, Union

# What to do about errors that are no fault of the program.
MAKE_ROOM = 'Make room there, or write to another disk'
CHOOSE = 'Choose a folder that may be written'
ADVICE = {
    errno.ENOSPC: MAKE_ROOM,
    errno.EDQUOT: MAKE_ROOM,
    errno.EFBIG: MAKE_ROOM,
    errno.EROFS: CHOOSE,
    errno.EACCES: CHOOSE,
    errno.EPERM: CHOOSE,
}


@contextmanager
def atomic_write(path: Union[str, Path]) -> Iterator[Path]:
    """Write a file under a temporary name and rename it when it is complete.

    Whoever reads ``path`` sees the old content or the new one, also after a
    kill or a power cut in the middle of the write.

    Args:
        path (str or Path): The file to appear, in an existing folder.

    Yields:
        Path: Where to write. It is removed if the block raises.

    Raises:
        OSError: That the disk is full or not to be written, if so, and that
            the old content is unchanged.

    Examples:
        >>> with atomic_write('work_dirs/scores.json') as temporary:
        ...     temporary.write_text('{}')
    """
    path = Path(path)
    temporary = path.with_name(f'.{path.name}.tmp')
    try:
        yield temporary
        _flush(temporary)
        os.replace(temporary, path)
        # Two links to one file are left as they are by a rename.
        temporary.unlink(missing_ok=True)
        _flush(path.parent)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        refusal = _refusal(error, temporary)
        if refusal is None:
            raise
        raise OSError(
            refusal.errno, f'{path} cannot be written, its old content is '
            f'unchanged: {refusal.strerror}. {ADVICE[refusal.errno]}'
        ) from error


def check_writable(path: Union[str, Path]) -> None:
    """Try what :func:`atomic_write` will do, before hours of work.

    Args:
        path (str or Path): The file to appear; its folder is made.

    Raises:
        OSError: If it could not be written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    trial = path.with_name(f'.{path.name}.trial')
    with atomic_write(trial) as temporary:
        temporary.touch()
    trial.unlink()


def _refusal(error: Optional[BaseException],
             file: Path) -> Optional[OSError]:
    """What the disk said, if that is why; torch puts an error of its own
    around it."""
    if isinstance(error, RuntimeError):
        error = error.__context__
    if isinstance(error, OSError) and error.errno in ADVICE and (
            error.filename in (None, str(file))):
        return error
    return None


def _flush(path: Path) -> None:
    """Wait until a file or a folder's list of names is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
