"""Files that appear whole or not at all."""
import os
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Union


@contextmanager
def atomic_write(path: Union[str, Path]) -> Iterator[Path]:
    """Write a file under a temporary name and rename it when it is complete.

    Whoever reads ``path`` sees the old content or the new one, also after a
    kill or a power cut in the middle of the write.

    Args:
        path (str or Path): The file to appear, in an existing folder.

    Yields:
        Path: Where to write. It is removed if the block raises.

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
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _flush(path: Path) -> None:
    """Wait until a file or a folder's list of names is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
