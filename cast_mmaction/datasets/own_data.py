"""Videos of one's own: found, split into training and validation, listed.

A label is a tuple of names: ``(label, )``, or ``(verb, noun)``.
"""
import csv
import os
import os.path as osp
import random
from collections import defaultdict
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from ..atomic_write import atomic_write
from ..list_files import named_cells, quoted, read_rows
from .annotations import VIDEO_SUFFIXES, write_list

TASKS = {1: ('label', ), 2: ('verb', 'noun')}
SPLITS = ('train', 'val')


class Clip(NamedTuple):
    """A video file and what it shows.

    Attributes:
        path: Relative to the folder of all videos.
        labels: One name, or those of verb and noun.
        split: 'train' or 'val' where somebody has decided, else ''.
    """
    path: str
    labels: Tuple[str, ...]
    split: str = ''


class Found(NamedTuple):
    """Clips, and the files that were passed over with the reason."""
    clips: List[Clip]
    passed_over: List[str]


def clips_of_folder(folder: str) -> Found:
    """Every folder in ``folder`` is a class, and the videos below it its
    clips.

    Raises:
        ValueError: If there is no video, or a video lies beside the classes.
        FileNotFoundError: If there is no such folder.
    """
    if not osp.isdir(folder):
        raise FileNotFoundError(f'{folder}: there is no such folder')
    clips, passed_over = [], []
    for place, folders, names in sorted(os.walk(folder, followlinks=True)):
        for name in sorted(names):
            path = osp.relpath(osp.join(place, name), folder)
            reason = _unfit(osp.join(place, name))
            if reason:
                passed_over.append(f'{path}: {reason}')
            elif os.sep not in path:
                raise ValueError(
                    f'{osp.join(place, name)}: lies beside the classes. '
                    f'{folder} must hold one folder for each class')
            else:
                clips.append(Clip(path, (path.split(os.sep)[0], )))
    if not clips:
        more = f'; {passed_over[0]}' if passed_over else ''
        raise ValueError(f'{folder}: no video in any folder of it{more}')
    return Found(clips, passed_over)


def clips_of_csv(path: str, videos: Optional[str] = None) -> Found:
    """Read a CSV with a header of ``file,label`` or ``file,verb,noun``, and
    perhaps ``split`` (train or val).

    Args:
        path: The CSV file.
        videos: The folder that ``file`` is relative to. Defaults to the one
            of the CSV.

    Raises:
        ValueError: If a column is missing, a row is incomplete, a file is
            there twice, or none of the files is a video.
    """
    folder = videos or osp.dirname(path) or '.'
    (_, header), *rows = read_rows(path)
    columns = [name.strip() for name in header]
    tasks = next((tasks for tasks in TASKS.values()
                  if {'file', *tasks} <= set(columns)), None)
    if tasks is None:
        raise ValueError(
            f'{path}: the columns are {quoted(", ".join(columns))}; '
            'expected file,label or file,verb,noun')
    clips, passed_over, seen = [], [], set()
    for row in rows:
        where = f'{path}, line {row.line}'
        cells = named_cells(path, columns, row)
        values = [cells[name].strip() for name in ('file', *tasks)]
        split = cells.get('split', '').strip()
        if not all(values):
            raise ValueError(f'{where}: an empty {", ".join(tasks)} or file')
        if split and split not in SPLITS:
            raise ValueError(f'{where}: split is {quoted(split)}, neither '
                             'train nor val')
        name, *labels = values
        if name in seen:
            raise ValueError(f'{where}: {quoted(name)} is there twice')
        seen.add(name)
        reason = _unfit(osp.join(folder, name))
        if reason:
            passed_over.append(f'{name} (line {row.line}): {reason}')
        else:
            clips.append(Clip(name, tuple(labels), split))
    if not clips:
        more = f'; {passed_over[0]}' if passed_over else ' it has no rows'
        raise ValueError(f'{path}: none of its files is a video in '
                         f'{folder}{more}')
    return Found(clips, passed_over)


def _unfit(path: str) -> str:
    """Why a path is no video to train on; empty if it seems to be one."""
    if osp.islink(path) and not osp.exists(path):
        return f'a link to nothing ({os.readlink(path)})'
    if not osp.exists(path):
        return 'there is no such file'
    if not osp.isfile(path):
        return 'not a file'
    if osp.splitext(path)[1].lower() not in VIDEO_SUFFIXES:
        return f'not a video (those end in {", ".join(VIDEO_SUFFIXES)})'
    if osp.getsize(path) == 0:
        return 'the file is empty'
    return ''


def split_clips(clips: Sequence[Clip], val_share: float,
                seed: int) -> Dict[str, List[Clip]]:
    """Divide clips so that every class has its share in both parts.

    Clips whose ``split`` is set stay there. Of every label (of two labels: of
    every pair) the share is drawn, at least one clip; a pair with one clip is
    for training.

    Raises:
        ValueError: If one label has a class with a single clip, or every clip
            falls into one part.
    """
    groups = defaultdict(list)
    for clip in clips:
        groups[clip.labels].append(clip)
    single = [labels[0] for labels, group in sorted(groups.items())
              if len(labels) == 1 and len(group) == 1 and not group[0].split]
    if single:
        raise ValueError(
            f'only one clip of {", ".join(map(repr, single))}: a class needs '
            'at least two, one to learn from and one to look at. Add clips, '
            'leave the class out, or decide in a column split (train, val)')
    parts: Dict[str, List[Clip]] = {split: [] for split in SPLITS}
    for labels, group in sorted(groups.items()):
        free = [clip for clip in group if not clip.split]
        random.Random(f'{seed} {labels}').shuffle(free)
        count = round(len(free) * val_share)
        if len(group) == len(free) > 1:
            count = min(max(count, 1), len(free) - 1)
        elif len(group) == 1:
            count = 0
        chosen = set(free[:count])
        for clip in group:
            parts[clip.split or SPLITS[clip in chosen]].append(clip)
    for split, part in parts.items():
        if not part:
            raise ValueError(f'no clip is left for {split}: change '
                             '--val-share or the column split')
    return parts


def class_lists(clips: Sequence[Clip]) -> Dict[str, List[str]]:
    """The classes of each task, in alphabetical order."""
    tasks = TASKS[len(clips[0].labels)]
    return {
        task: sorted({clip.labels[place] for clip in clips})
        for place, task in enumerate(tasks)
    }


def write_lists(out: Path, parts: Dict[str, List[Clip]],
                classes: Dict[str, List[str]]) -> None:
    """Write the lists and names that the data sets read.

    One label: ``train.txt``, ``val.txt`` (``path label``), ``classes.txt``.
    Two: ``train.csv``, ``val.csv`` (``narration_id,verb,noun``),
    ``verb_classes.csv`` and ``noun_classes.csv`` as EPIC-KITCHENS-100 has
    them.
    """
    ranks = {
        task: {name: rank for rank, name in enumerate(names)}
        for task, names in classes.items()
    }
    for split, clips in parts.items():
        rows = [(clip.path,
                 *(ranks[task][name]
                   for task, name in zip(classes, clip.labels)))
                for clip in clips]
        if len(classes) == 1:
            write_list(str(out / f'{split}.txt'),
                       [f'{path} {label}' for path, label in rows])
        else:
            _write_csv(out / f'{split}.csv', ('narration_id', *classes), rows)
    for task, names in classes.items():
        if len(classes) == 1:
            write_list(str(out / 'classes.txt'), names)
        else:
            _write_csv(out / f'{task}_classes.csv', ('id', 'key', 'category'),
                       [(rank, name, '') for rank, name in enumerate(names)])


def _write_csv(path: Path, header: Sequence[str], rows: Sequence) -> None:
    with atomic_write(path) as temporary:
        with open(temporary, 'w', newline='', encoding='utf-8') as file:
            writer = csv.writer(file)
            writer.writerow(header)
            writer.writerows(rows)
