"""The videos of annotated clips, under the names that downloads have."""
import os
import os.path as osp
import re
from collections import defaultdict
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from ..datasets.annotations import VIDEO_SUFFIXES, Entry

# How well a file's name fits a clip: the times say it, or there are none.
FITS, PLAIN, OTHER_TIMES, NO_FIT = range(4)
# <id>_<start>_<end> and <id>_<start>
TIMES = (re.compile(r'(.+?)_(\d+)_(\d+)', re.ASCII),
         re.compile(r'(.+)_(\d+)', re.ASCII))


class Problem(NamedTuple):
    """What is wrong with a clip.

    Attributes:
        kind: One of `KINDS`.
        name: The clip's.
        label: Its class, if known.
        text: Where and what.
    """
    kind: str
    name: str
    label: Optional[int]
    text: str


# A clip of the last two kinds is used all the same.
KINDS = ('missing', 'zero bytes', 'broken', 'contradictory', 'twice',
         'other times')


class Found(NamedTuple):
    """The file of each clip by name, relative to the folder, and what is
    wrong."""
    files: Dict[str, str]
    problems: List[Problem]


class _File(NamedTuple):
    """A file that may be a clip's."""
    fit: int
    path: str
    size: int  # -1: a link to nothing
    identity: Tuple[int, int]


def settle(entries: Sequence[Entry]) -> Tuple[List[Entry], List[Problem]]:
    """Leave out what contradicts itself.

    A clip with two labels goes; one in two splits stays in the one that is
    not for training, so that validation keeps its size and is no memory.

    Returns:
        tuple: The entries, each clip once a split, and what is wrong with
        others.
    """
    groups: Dict[str, List[Entry]] = defaultdict(list)
    for entry in entries:
        groups[entry.name].append(entry)
    kept, problems = [], []
    for name, group in groups.items():
        first = group[0]
        labels = {entry.label for entry in group} - {None}
        splits = {entry.split: entry for entry in group}
        places = ' and '.join(entry.where for entry in group)
        if len(labels) > 1:
            problems.append(
                Problem('contradictory', name, first.label,
                        f'has {len(labels)} labels ({places}), left out'))
            continue
        if len(splits) > 1 and 'train' in splits:
            del splits['train']
            others = ' and '.join(splits)
            problems.append(
                Problem('contradictory', name, first.label,
                        f'is in train and {others} ({places}), left out of '
                        'train'))
        if len(group) > len({entry.split for entry in group}):
            problems.append(
                Problem('twice', name, first.label,
                        f'is annotated {len(group)} times ({places}), taken '
                        'once'))
        kept += splits.values()
    order = {id(entry): place for place, entry in enumerate(entries)}
    return sorted(kept, key=lambda entry: order[id(entry)]), problems


def find_videos(folder: str, entries: Sequence[Entry]) -> Found:
    """Look for the files of clips below a folder.

    ``<id>``, ``<id>_<start>_<end>`` in seconds or milliseconds, with zeros
    in front or without, ``<id>_<start>``, ``<id>_raw`` and ``v_<id>``, with
    any suffix of a video, in folders of any depth, behind links too. A file
    whose times are the clip's is preferred to one without times, that to one
    of other times.

    Args:
        folder (str): Where the videos are.
        entries (sequence[Entry]): Clips of different names.

    Raises:
        FileNotFoundError: If there is no such folder.
    """
    if not osp.isdir(folder):
        raise FileNotFoundError(f'{folder}: there is no such folder')
    by_video: Dict[str, List[Entry]] = defaultdict(list)
    for entry in entries:
        by_video[entry.video].append(entry)
        if entry.name != entry.video:
            by_video[entry.name].append(entry)
    candidates: Dict[str, List[_File]] = defaultdict(list)
    for path in video_files(folder):
        stem = osp.splitext(osp.basename(path))[0]
        for entry, fit in _clips_called(stem, by_video):
            candidates[entry.name].append(_file(fit, path))
    files, problems = {}, []
    for entry in entries:
        found = sorted(candidates[entry.name],
                       key=lambda file: (file.size <= 0, file.fit, file.path))
        if not found:
            problems.append(
                Problem('missing', entry.name, entry.label,
                        f'not in {folder} ({entry.where})'))
            continue
        best = found[0]
        relative = osp.relpath(best.path, folder)
        others = [file.path for file in found[1:]
                  if file.size > 0 and file.identity != best.identity]
        if best.size > 0:
            files[entry.name] = relative
        elif best.size < 0:
            problems.append(
                Problem('missing', entry.name, entry.label,
                        f'{best.path} is a link to nothing'))
        else:
            problems.append(
                Problem('zero bytes', entry.name, entry.label, best.path))
        if others and best.size > 0:
            problems.append(
                Problem('twice', entry.name, entry.label,
                        f'{best.path} is taken, not {" or ".join(others)}'))
        if best.fit == OTHER_TIMES and best.size > 0:
            problems.append(
                Problem('other times', entry.name, entry.label,
                        f'{best.path} is taken, but {entry.where} says '
                        f'{entry.span[0]} s to {entry.span[1]} s'))
    return Found(files, problems)


def video_files(folder: str) -> Iterator[str]:
    """Every video below a folder, sorted, behind links too, each folder
    once."""
    seen = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        facts = os.stat(place)
        if (facts.st_dev, facts.st_ino) in seen:  # a link back
            folders.clear()
            continue
        seen.add((facts.st_dev, facts.st_ino))
        folders.sort()
        for name in sorted(names):
            # What begins with a point is not finished, or a Mac's note.
            if (osp.splitext(name)[1].lower() in VIDEO_SUFFIXES
                    and not name.startswith('.')):
                yield osp.join(place, name)


def _clips_called(stem: str, by_video: Dict[str, List[Entry]]
                  ) -> List[Tuple[Entry, int]]:
    """The clips that a file of this name may be, and how well they fit.

    An id may itself end in what looks like times, so the whole name is tried
    first.
    """
    bare = stem[:-4] if stem.endswith('_raw') else stem
    for name in dict.fromkeys(
        (stem, bare, stem.removeprefix('v_'), bare.removeprefix('v_'))):
        if name in by_video:
            # The name of a part of a video says its start.
            return [(entry, FITS if name != entry.video else PLAIN)
                    for entry in by_video[name]]
        fits = []
        for marks in filter(None, (x.fullmatch(name) for x in TIMES)):
            clips = by_video.get(marks[1], ())
            times = tuple(map(int, marks.groups()[1:]))
            fits += [(entry, _fit(entry, times, len(clips)))
                     for entry in clips]
        best = min((fit for _, fit in fits), default=NO_FIT)
        if best < NO_FIT:
            return [pair for pair in fits if pair[1] == best]
    return []


def _fit(entry: Entry, times: Tuple[int, ...], clips: int) -> int:
    """How well times in a name fit a clip."""
    if entry.span is None:
        return PLAIN if len(times) == 2 else NO_FIT
    for unit in (1, 1000):
        if times == tuple(unit * x for x in entry.span[:len(times)]):
            return FITS
    # Of one clip a video is cut, perhaps by another edition's times.
    alone = clips == 1 and entry.name == entry.video
    return OTHER_TIMES if len(times) == 2 and alone else NO_FIT


def _file(fit: int, path: str) -> _File:
    try:
        facts = os.stat(path)
    except OSError:
        return _File(fit, path, -1, (-1, -1))
    return _File(fit, path, facts.st_size, (facts.st_dev, facts.st_ino))
