"""Many videos in few files: tar shards in WebDataset's layout.

A sample is a video and a JSON of its ``name`` and ``label`` under one number,
``00000412_abc.mp4`` and ``00000412_abc.json``. The list beside the shards
says where each video begins, so that data sets read single ones too.
"""
import errno
import json
import os
import os.path as osp
import random
import re
import shutil
import tarfile
from pathlib import Path
from typing import List, NamedTuple, Sequence

from ..atomic_write import MAKE_ROOM, atomic_write
from ..contained import contained
from ..datasets.annotations import write_list
from ..datasets.fault import FaultyFile
from ..list_files import quoted, read_lines, whole_number
from ..storage.addresses import HEADER, Member

END = bytes(2 * HEADER)  # of a tar
SECONDS = 3600.  # for a shard


class Sample(NamedTuple):
    """A line of a list.

    Attributes:
        name: The path in the list.
        label: What follows it.
        path: The file.
        size: Its bytes.
    """
    name: str
    label: str
    path: str
    size: int


class Shard(NamedTuple):
    """A shard to write, with the number of its first sample."""
    path: str
    number: int
    samples: List[Sample]


def read_samples(path: str, videos: str) -> List[Sample]:
    """The lines ``path label`` of a list, and how large their videos are.

    Raises:
        ValueError: If a line is wrong.
        FileNotFoundError: If a video is missing or empty.
    """
    samples = []
    for number, line in read_lines(path):
        line = line.strip()
        if not line:
            continue
        name, _, label = line.rpartition(' ')
        where = f'{path}, line {number} ({quoted(line)})'
        if not name.strip():
            raise ValueError(f'{where}: not of the form "path label"')
        whole_number(label, f'{where}: label')
        samples.append(sample_of(videos, name.strip(), label, where))
    if not samples:
        raise ValueError(f'{path}: the list is empty')
    return samples


def sample_of(videos: str, name: str, label: str, where: str) -> Sample:
    """A sample of a file that is there.

    Raises:
        FileNotFoundError: If it is not, or is empty.
    """
    file = osp.join(videos, name)
    size = osp.getsize(file) if osp.isfile(file) else 0
    if not size:
        raise FileNotFoundError(f'{where}: {file} is missing or empty')
    return Sample(name, label, file, size)


def write_shards(samples: Sequence[Sample],
                 out: str,
                 name: str,
                 megabytes: float = 128.,
                 shuffle: bool = True,
                 workers: int = 1) -> str:
    """Write shards, and the list of what is where in them.

    Samples are put in an order that is random and always the same: official
    lists are sorted by class. Shards that are there and whole stay.

    Args:
        samples (sequence[Sample]): What they shall hold.
        out (str): Folder for the shards and the list.
        name (str): Theirs: ``<name>-000000.tar``, ``<name>.txt``.
        megabytes (float): The size that a shard does not exceed, unless one
            video does.
        shuffle (bool): False keeps the order of the list.
        workers (int): Processes.

    Returns:
        str: The list: lines ``address label``, relative to `out`.

    Raises:
        OSError: If the disk has too little room, or is or gets full.
        FaultyFile: If a video changes meanwhile.
    """
    samples = list(samples)
    if shuffle:
        random.Random(0).shuffle(samples)
    shards = _plan(samples, out, name, int(megabytes * 1e6))
    os.makedirs(out, exist_ok=True)
    left = [shard for shard in shards if not _is_whole(shard)]
    if len(left) < len(shards):
        print(f'{len(shards) - len(left)} of {len(shards)} shards are there')
    needed = sum(_length(shard) for shard in left)
    free = shutil.disk_usage(out).free
    if needed > free:
        raise OSError(
            errno.ENOSPC, f'{out}: the shards take {needed / 1e9:.3g} GB and '
            f'{free / 1e9:.3g} GB are free. {MAKE_ROOM}')
    done = contained(_write, left, workers, SECONDS)
    for number, (shard, _, failure) in enumerate(done, 1):
        if failure is not None:
            raise FaultyFile(shard.path, failure)
        print(f'{number} of {len(left)} shards written', flush=True)
    path = osp.join(out, f'{name}.txt')
    write_list(path, [
        f'{member._replace(shard=osp.basename(shard.path))} {sample.label}'
        for shard in shards
        for member, sample in zip(_members(shard), shard.samples)
    ])
    print(f'{path}: {len(samples)} videos in {len(shards)} shards')
    return path


def _plan(samples: Sequence[Sample], out: str, name: str,
          most: int) -> List[Shard]:
    shards: List[Shard] = []
    used = most + 1
    for number, sample in enumerate(samples):
        size = sum(HEADER + _padded(x) for x in
                   (sample.size, len(_note(sample))))
        if used + size > most:
            path = osp.join(out, f'{name}-{len(shards):06d}.tar')
            shards.append(Shard(path, number, []))
            used = len(END)
        shards[-1].samples.append(sample)
        used += size
    return shards


def _padded(size: int) -> int:
    return -(-size // HEADER) * HEADER


def _note(sample: Sample) -> bytes:
    label = int(sample.label) if sample.label.isdecimal() else sample.label
    return json.dumps(dict(name=sample.name, label=label)).encode()


def _key(sample: Sample, number: int) -> str:
    # A point would end the key, and a header has 100 characters.
    stem = osp.splitext(osp.basename(sample.name))[0]
    return f'{number:08d}_' + re.sub('[^A-Za-z0-9_-]', '_', stem)[:60]


def _members(shard: Shard) -> List[Member]:
    """Where the videos of a shard are."""
    found, place = [], 0
    for number, sample in enumerate(shard.samples, shard.number):
        suffix = osp.splitext(sample.name)[1].lower()
        found.append(
            Member(shard.path, place, sample.size,
                   _key(sample, number) + suffix))
        place += 2 * HEADER + _padded(sample.size) + _padded(
            len(_note(sample)))
    return found


def _length(shard: Shard) -> int:
    return len(END) + sum(
        2 * HEADER + _padded(x.size) + _padded(len(_note(x)))
        for x in shard.samples)


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.USTAR_FORMAT)


def _is_whole(shard: Shard) -> bool:
    """Whether a shard was written before: its length and its headers."""
    if not osp.isfile(shard.path) or osp.getsize(shard.path) != _length(shard):
        return False
    with open(shard.path, 'rb') as file:
        for member in _members(shard):
            file.seek(member.first)
            if file.read(HEADER) != _header(member.name, member.size):
                return False
    return True


def _write(shard: Shard) -> None:
    """Write a shard, in a process of its own."""
    with atomic_write(Path(shard.path)) as temporary:
        with open(temporary, 'wb') as file:
            for member, sample in zip(_members(shard), shard.samples):
                _add(file, member.name, Path(sample.path).read_bytes(),
                     sample.size, sample.path)
                note = _note(sample)
                key = osp.splitext(member.name)[0]
                _add(file, f'{key}.json', note, len(note), sample.path)
            file.write(END)


def _add(file, name: str, data: bytes, size: int, path: str) -> None:
    if len(data) != size:
        raise FaultyFile(path, 'has changed since the shards were planned: '
                         'start again')
    file.write(_header(name, size))
    file.write(data)
    file.write(bytes(_padded(size) - size))
