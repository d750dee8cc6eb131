"""A folder of what was fetched, of bounded size, for many processes."""
import fcntl
import hashlib
import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Iterator, List, Optional, Tuple

from mmengine.logging import print_log

from ..atomic_write import ADVICE, atomic_write

# Seconds: a file that was used since is not noted again.
FRESH = 60.
# What a process left that was killed while it wrote.
STALE = 3600.
# Share that may be full after making room: not every file makes room.
LEVEL = 0.9


class LocalCache:
    """Files by their address, the ones that were not used for longest go.

    Processes of one machine share the folder: one fetches, the others wait.
    Its size stays below the limit, but for files that are just being written.

    Args:
        folder (str): On a disk of this machine. It is made.
        gigabytes (float): The limit.

    Raises:
        ValueError: If the limit is not positive.
        OSError: If the folder cannot be made.
    """

    def __init__(self, folder: str, gigabytes: float) -> None:
        if gigabytes <= 0:
            raise ValueError(f'cache of {folder}: gigabytes must be positive, '
                             f'got {gigabytes}')
        self.folder = Path(folder)
        self.limit = int(gigabytes * 1e9)
        (self.folder / 'locks').mkdir(parents=True, exist_ok=True)
        self._refused = False

    def read(self,
             address: str,
             fetch: Callable[[], bytes],
             first: int = 0,
             size: Optional[int] = None) -> bytes:
        """A part of a file, which is fetched if it is not here.

        Args:
            address (str): What it is known by.
            fetch (callable): Gives all of it.
            first (int): Byte to begin with.
            size (int, optional): Bytes. Defaults to None, all.
        """
        path = self.path(address)
        data = self._read(path, first, size)
        if data is not None:
            return data
        with self._lock(path.name[:2]):
            data = self._read(path, first, size)
            if data is None:
                whole = fetch()
                self._write(path, whole)
                data = whole[first:] if size is None else whole[first:first +
                                                                size]
        return data

    def path(self, address: str) -> Path:
        """Where a file is kept."""
        return self.folder / hashlib.sha256(address.encode()).hexdigest()

    def forget(self, address: str) -> bool:
        """Drop a file; False if there was none."""
        try:
            self.path(address).unlink()
        except FileNotFoundError:
            return False
        return True

    def _read(self, path: Path, first: int,
              size: Optional[int]) -> Optional[bytes]:
        try:
            with open(path, 'rb') as file:
                if time.time() - os.fstat(file.fileno()).st_mtime > FRESH:
                    os.utime(file.fileno())
                file.seek(first)
                return file.read(-1 if size is None else size)
        except FileNotFoundError:
            return None

    def _write(self, path: Path, data: bytes) -> None:
        if len(data) > self.limit:
            return
        self._make_room(len(data))
        try:
            with atomic_write(path) as temporary:
                temporary.write_bytes(data)
        except OSError as error:
            # A full disk costs speed, no training.
            if error.errno not in ADVICE:
                raise
            if not self._refused:
                print_log(f'nothing more is cached: {error}', 'current')
            self._refused = True

    def _make_room(self, size: int) -> None:
        """Note that so many bytes come, and let old files go for them."""
        with self._lock('all'):
            note = self.folder / 'locks/used'
            text = note.read_text() if note.exists() else ''
            used = int(text) if text.isdecimal() else self.limit
            if used + size > self.limit:
                used = self._evict(size)
            note.write_text(str(used + size))

    def _evict(self, size: int) -> int:
        """Remove what was not used for longest; the bytes that remain."""
        files: List[Tuple[float, int, str]] = []
        for entry in os.scandir(self.folder):
            try:
                facts = entry.stat()
            except FileNotFoundError:  # renamed by its writer
                continue
            being_written = entry.name.startswith('.')
            if entry.is_dir() or (being_written and
                                  time.time() - facts.st_mtime < STALE):
                continue
            files.append((facts.st_mtime, facts.st_size, entry.path))
        used = sum(length for _, length, _ in files)
        goal = max(self.limit * LEVEL - size, 0)
        for _, length, path in sorted(files):
            if used <= goal:
                break
            Path(path).unlink(missing_ok=True)
            used -= length
        return used

    @contextmanager
    def _lock(self, name: str) -> Iterator[None]:
        """Held by one process at a time; a dead one loses it."""
        with open(self.folder / 'locks' / name, 'a') as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
