"""Which videos are whole, and what was found out about files before."""
import json
import os
from pathlib import Path
from typing import Any, Dict, NamedTuple

from ..datasets.video import READERS, UnreadableVideo

# Frames decoded at a time: an hour of video does not fit into the memory.
STRETCH = 64


class Facts(NamedTuple):
    """A file as it was when it was read."""
    path: str
    size: int
    time: int


def fault_of(path: str, decoder: str = 'pyav') -> str:
    """Read a video to its end.

    Returns:
        str: What is wrong with it, '' if nothing.
    """
    try:
        reader = READERS[decoder](path)
        for start in range(0, len(reader), STRETCH):
            if start:  # reading closes a reader
                reader = READERS[decoder](path)
            reader.read(range(start, min(start + STRETCH, len(reader))))
    except UnreadableVideo as error:
        return ' '.join(error.reason.split())
    return ''


def facts_of(path: str) -> Facts:
    """What a file is known by in a journal."""
    try:
        facts = os.stat(path)
    except (OSError, ValueError):  # ValueError: no name that a file can have
        return Facts(path, -1, -1)
    return Facts(path, facts.st_size, facts.st_mtime_ns)


def read_journal(path: Path) -> Dict[Any, str]:
    """What was found before: '' or a reason, by what it is about.

    A line may be half a line, if the machine went down.
    """
    found = {}
    if path.is_file():
        for line in path.read_text().splitlines():
            try:
                *key, reason = json.loads(line)
            except json.JSONDecodeError:
                continue
            found[tuple(key)] = reason
    return found
