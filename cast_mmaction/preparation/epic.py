"""EPIC-KITCHENS-100: which videos are there, and its segments as clips."""
import csv
import os.path as osp
from pathlib import Path
from typing import Dict, Iterable, List, Optional, Sequence

from ..atomic_write import atomic_write
from ..class_names import read_class_names
from ..datasets.annotations import Entry, split_called
from ..datasets.epic_annotations import Narration, read_narrations
from ..datasets.epic_kitchens import OFFICIAL_PATHS
from ..list_files import read_rows
from .encode import Order
from .finding import Problem, find_videos, settle
from .official import Making
from .report import write_report
from .shards import Sample, sample_of
from .work import carry_out

NUM_VERBS, NUM_NOUNS = 97, 300
# Where people put the videos.
LAYOUTS = (OFFICIAL_PATHS['videos'], '{participant_id}/{video_id}.MP4',
           '{video_id}.MP4', '{participant_id}/videos/{video_id}.mp4',
           '{participant_id}/{video_id}.mp4', '{video_id}.mp4')


def prepare_epic(paths: Sequence[str], videos: str, out: str,
                 making: Making) -> List[str]:
    """Write the official files without the rows whose video is not there.

    Args:
        paths (sequence[str]): ``EPIC_100_train.csv`` and the like.
        videos (str): Folder of the untrimmed videos, in any layout.
        out (str): Folder for the files, other than theirs.
        making (Making): With ``resized``, that folder gets every segment as
            ``<narration_id>.mp4``.

    Returns:
        list[str]: The files that were written.

    Raises:
        ValueError: If a row is wrong, or no video is there.
        OSError: If a folder is missing or a disk full.
    """
    narrations = {}
    entries: List[Entry] = []
    for path in paths:
        if osp.realpath(osp.dirname(osp.abspath(path))) == osp.realpath(out):
            raise ValueError(f'--out {out} holds {path}, which stays as it '
                             'is: give another folder')
        for row in read_narrations(path, NUM_VERBS, NUM_NOUNS):
            if row.start_time is None and making.resized:
                raise ValueError(f'{path}: {row.narration_id} has no times, '
                                 'so it cannot be cut out')
            narrations[row.narration_id] = row
            entries.append(
                Entry(row.narration_id, row.verb, split_called(path),
                      f'{path}, {row.narration_id}', row.video_id))
    kept, problems = settle(entries)
    Path(out).mkdir(parents=True, exist_ok=True)
    wanted = {entry.video: entry for entry in kept}
    found = find_videos(videos, [
        entry._replace(
            name=video, label=None, where=entry.where.replace(
                entry.name, f'video {video}'))
        for video, entry in wanted.items()
    ])
    lost = {x.name: x for x in found.problems
            if x.name not in found.files}
    problems += [x for x in found.problems if x.name not in lost]
    problems += [
        lost[entry.video]._replace(name=entry.name, label=entry.label)
        for entry in kept if entry.video in lost
    ]
    there = [entry for entry in kept if entry.video in found.files]
    faults = _carry_out(there, narrations, found.files, videos, out, making)
    problems += faults
    broken = {x.name for x in faults}
    used = {entry.name: entry.video for entry in there
            if entry.name not in broken}
    write_report(f'{out}/', entries, used, problems,
                 read_class_names('epic100_verbs'))
    if not used:
        raise ValueError(f'{videos}: no video of {", ".join(paths)} is there; '
                         f'see {out}/problems.txt')
    splits = {(entry.name, entry.split) for entry in kept}
    written = []
    for path in paths:
        written.append(osp.join(out, osp.basename(path)))
        split = split_called(path)
        _write_rows(path, written[-1],
                    {name for name in used if (name, split) in splits})
    if making.resized:
        print(f'read them with data_prefix=dict(clips={making.resized!r})')
    else:
        _print_layout(found.files, narrations.values(), videos)
    return written


def clips_of(path: str, clips: str) -> List[Sample]:
    """The clips of the rows of a file, for shards."""
    return [
        sample_of(clips, f'{row.narration_id}.mp4', row.narration_id, path)
        for row in read_narrations(path, NUM_VERBS, NUM_NOUNS)
    ]


def _carry_out(entries: Sequence[Entry], narrations: Dict[str, Narration],
               files: Dict[str, str], videos: str, out: str,
               making: Making) -> List[Problem]:
    """Cut the segments, or read the videos; what cannot be."""
    if not (making.resized or making.verify):
        return []
    orders: Dict[str, Order] = {}
    for entry in entries:
        source = osp.join(videos, files[entry.video])
        orders[entry.name] = Order(source)
        if making.resized:
            row = narrations[entry.name]
            orders[entry.name] = Order(
                source, osp.join(making.resized, f'{entry.name}.mp4'),
                making.short_side, making.key_frames, row.start_time,
                row.stop_time)
    results = carry_out(list(dict.fromkeys(orders.values())),
                        osp.join(out, 'journal'), making.workers,
                        making.seconds)
    return [
        Problem('broken', entry.name, entry.label,
                f'{orders[entry.name].source}: '
                f'{results[orders[entry.name]].reason}') for entry in entries
        if results[orders[entry.name]].state == 'broken'
    ]


def _write_rows(path: str, target: str, names: set) -> None:
    rows = read_rows(path)
    header = rows[0].cells[0] == 'narration_id'
    kept = [row.cells for place, row in enumerate(rows)
            if row.cells[0] in names or (header and place == 0)]
    with atomic_write(target) as temporary:
        with open(temporary, 'w', newline='', encoding='utf-8') as file:
            csv.writer(file).writerows(kept)
    print(f'{target}: {len(kept) - header} of {len(rows) - header} segments')


def _print_layout(files: Dict[str, str], narrations: Iterable[Narration],
                  videos: str) -> None:
    """Say how EpicKitchensDataset finds the videos where they are."""
    rows = {row.video_id: row._asdict() for row in narrations
            if row.video_id in files}
    layout: Optional[str] = next(
        (layout for layout in LAYOUTS
         if all(layout.format(**row) == files[video]
                for video, row in rows.items())), None)
    if layout is None:
        print('the videos lie in no layout that a data set could be told; '
              '--clips cuts the segments out')
        return
    option = '' if layout == LAYOUTS[0] else f', path_template={layout!r}'
    print(f'read them with data_prefix=dict(videos={videos!r}){option}')
