"""The published annotations of Kinetics and Something-Something V2, as lists.

A list has lines ``path label``, the form that `VideoListDataset` reads.
"""
import csv
import json
import os
import os.path as osp
import re
from typing import Dict, List, NamedTuple, Optional

from ..atomic_write import atomic_write

VIDEO_SUFFIXES = ('.mp4', '.mkv', '.webm', '.avi', '.mov')
# Kinetics clips are often called <youtube id>_<start>_<end>.
CUT_MARKS = re.compile(r'_\d{6}_\d{6}$')


class Listing(NamedTuple):
    """Lines of a list, and the videos that are annotated but not there."""
    lines: List[str]
    missing: List[str]


def read_kinetics(path: str, num_classes: int = 400) -> Dict[str, int]:
    """Read an original Kinetics CSV (``kinetics-400_val.csv``).

    Returns:
        dict[str, int]: YouTube id -> label, the alphabetical rank of its
        class.

    Raises:
        ValueError: If columns are missing or the file does not name
            `num_classes` classes, which would shift the labels.
    """
    with open(path, newline='', encoding='utf-8') as file:
        rows = list(csv.DictReader(file))
    for line, row in enumerate(rows, 2):
        if not row.get('label') or not row.get('youtube_id'):
            raise ValueError(f'{path}, line {line}: label and youtube_id '
                             'are needed')
    names = sorted({row['label'] for row in rows})
    if len(names) != num_classes:
        raise ValueError(f'{path} names {len(names)} classes instead of '
                         f'{num_classes}: labels are ranks among all classes')
    ranks = {name: rank for rank, name in enumerate(names)}
    return {row['youtube_id']: ranks[row['label']] for row in rows}


def read_ssv2(path: str, labels_path: str) -> Dict[str, int]:
    """Read an original Something-Something V2 split.

    Args:
        path (str): ``something-something-v2-validation.json`` or the like.
        labels_path (str): ``something-something-v2-labels.json``.

    Returns:
        dict[str, int]: Video id -> label.

    Raises:
        ValueError: If a template is not among the labels.
    """
    with open(labels_path, encoding='utf-8') as file:
        labels = {name: int(label) for name, label in json.load(file).items()}
    with open(path, encoding='utf-8') as file:
        rows = json.load(file)
    found = {}
    for row in rows:
        template = row['template'].replace('[', '').replace(']', '')
        if template not in labels:
            raise ValueError(f'{path}, video {row["id"]}: {template!r} is '
                             f'not in {labels_path}')
        found[str(row['id'])] = labels[template]
    return found


def find_videos(folder: str) -> Dict[str, str]:
    """Videos below a folder: id -> path relative to the folder."""
    found = {}
    for place, _, names in os.walk(folder):
        for name in names:
            stem, suffix = osp.splitext(name)
            if suffix.lower() in VIDEO_SUFFIXES:
                found[CUT_MARKS.sub('', stem)] = osp.relpath(
                    osp.join(place, name), folder)
    return found


def make_list(labels: Dict[str, int], folder: Optional[str]) -> Listing:
    """Lines for the annotated videos.

    Args:
        labels (dict[str, int]): Video id -> label.
        folder (str, optional): Where the videos are; those that are not
            there are left out. Without it, every video is taken to be
            ``<id>.mp4``.
    """
    paths = find_videos(folder) if folder else {
        name: f'{name}.mp4'
        for name in labels
    }
    lines, missing = [], []
    for name, label in labels.items():
        if name in paths:
            lines.append(f'{paths[name]} {label}')
        else:
            missing.append(name)
    return Listing(lines, missing)


def write_list(path: str, lines: List[str]) -> None:
    """Write a list; it appears whole or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_text(
            ''.join(f'{line}\n' for line in lines), encoding='utf-8')
