"""Kinetics, Something-Something V2, VGG-Sound: from archives to lists.

``tools/data/prepare.py`` is the command line of this.
"""
import os.path as osp
from collections import defaultdict
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Tuple

from ..datasets.annotations import Annotations, Entry, write_list
from .encode import Order
from .finding import Problem, find_videos, settle
from .report import prefix_of, write_report
from .work import carry_out


class Making(NamedTuple):
    """What to do with the videos.

    Attributes:
        resized: Folder for smaller files; None: they stay as they are.
        short_side: Pixels of the smaller files.
        key_frames: Frames between their key frames.
        verify: Read every file to its end; what is made always is.
        workers: Processes.
        seconds: For one video.
    """
    resized: Optional[str] = None
    short_side: int = 320
    key_frames: int = 30
    verify: bool = False
    workers: int = 1
    seconds: float = 600.


class Prepared(NamedTuple):
    """The lists that were written, by split, and the folder that their paths
    begin in."""
    lists: Dict[str, str]
    videos: Optional[str]


def prepare(annotations: Annotations, out: str, videos: Optional[str],
            making: Making, class_file: str) -> Prepared:
    """Find the videos, make them smaller or read them, write the lists.

    Args:
        annotations (Annotations): What was published.
        out (str): A list ``*.txt`` of the one split, or a folder for one
            list a split.
        videos (str, optional): Folder of the videos. None: the lists name
            every clip ``<id>.mp4``.
        making (Making): What to do with the videos.
        class_file (str): Name of the file of class names, beside the lists.

    Raises:
        ValueError: If several splits are to go into one list, or no video is
            there.
        OSError: If a folder is missing or a disk full.
    """
    place = Path(out)
    entries, problems = settle(annotations.entries)
    splits: Dict[str, List[Entry]] = defaultdict(list)
    for entry in entries:
        splits[entry.split].append(entry)
    if place.suffix == '.txt':
        if len(splits) > 1:
            raise ValueError(
                f'--out {out} is one list, but the annotations are of '
                f'{", ".join(splits)}: give a folder, or one file of them')
        folder = place.parent
        paths = {split: str(place) for split in splits}
    else:
        folder = place
        paths = {split: str(place / f'{split or "all"}.txt')
                 for split in splits}
    folder.mkdir(parents=True, exist_ok=True)
    prefix = prefix_of(place)
    if videos is None:
        used = {entry.name: f'{entry.name}.mp4' for entry in entries}
    else:
        used, faults = use_videos(entries, videos, making, prefix)
        problems += faults
    if videos is not None or problems:
        write_report(prefix, annotations.entries, used, problems,
                     annotations.classes)
    if not used:
        raise ValueError(f'{videos}: none of the {len(entries)} annotated '
                         f'videos is there; see {prefix}problems.txt')
    for split, part in splits.items():
        lines = [_line(entry, used[entry.name]) for entry in part
                 if entry.name in used]
        write_list(paths[split], lines)
        print(f'{paths[split]}: {len(lines)} videos')
        if any(entry.label is None for entry in part):
            print('  without labels, which are not published: for '
                  'tools/predict.py')
    if annotations.classes:
        write_list(str(folder / class_file), annotations.classes)
        print(f'{folder / class_file}: {len(annotations.classes)} classes')
    if videos is None:
        return Prepared(paths, None)
    where = making.resized or videos
    print(f'their paths begin in {where}')
    if not making.resized and not making.verify:
        print('the videos were not read; --verify reads every one')
    return Prepared(paths, where)


def _line(entry: Entry, path: str) -> str:
    return path if entry.label is None else f'{path} {entry.label}'


def use_videos(entries: List[Entry], videos: str, making: Making,
               prefix: str) -> Tuple[Dict[str, str], List[Problem]]:
    """Find the videos and make or read them.

    Returns:
        tuple: Path by name, relative to where the videos then are, of those
        that can be used, and what is wrong.
    """
    if making.resized and Path(making.resized).resolve().is_relative_to(
            Path(videos).resolve()):
        raise ValueError(f'--resized {making.resized} lies in {videos}, where '
                         'videos are looked for: give another folder')
    files, problems = find_videos(videos, entries)
    if not (making.resized or making.verify):
        return files, problems
    used = files
    if making.resized:
        used = {name: f'{osp.splitext(path)[0]}.mp4'
                for name, path in files.items()}
    orders = {
        name: Order(
            osp.join(videos, path),
            osp.join(making.resized, used[name]) if making.resized else '',
            making.short_side, making.key_frames)
        for name, path in files.items()
    }
    # Clips of one video may share its file.
    results = carry_out(list(dict.fromkeys(orders.values())),
                        f'{prefix}journal', making.workers, making.seconds)
    labels = {entry.name: entry.label for entry in entries}
    for name, order in orders.items():
        state, reason = results[order]
        if state == 'broken':
            del used[name]
            problems.append(
                Problem('broken', name, labels[name],
                        f'{order.source}: {reason}'))
    kept = sum(result.state == 'kept' for result in results.values())
    if kept:
        print(f'{kept} good files were in {making.resized} already and stay '
              'as they are')
    return used, problems
