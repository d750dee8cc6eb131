"""The published annotations of Kinetics and Something-Something V2, as lists.

A list has lines ``path label``, the form that `VideoListDataset` reads.
"""
import os
import os.path as osp
import re
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence

from ..atomic_write import atomic_write
from ..list_files import quoted, read_json, read_table, whole_number

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
    rows = read_table(path, 'label', 'youtube_id')
    for line, row in rows:
        if not row['label'] or not row['youtube_id']:
            raise ValueError(f'{path}, line {line}: label and youtube_id '
                             'are needed')
    names = sorted({row['label'] for _, row in rows})
    if len(names) != num_classes:
        raise ValueError(f'{path} names {len(names)} classes instead of '
                         f'{num_classes}: labels are ranks among all classes')
    ranks = {name: rank for rank, name in enumerate(names)}
    return {row['youtube_id']: ranks[row['label']] for _, row in rows}


def read_ssv2(path: str, labels_path: str) -> Dict[str, int]:
    """Read an original Something-Something V2 split.

    Args:
        path (str): ``something-something-v2-validation.json`` or the like.
        labels_path (str): ``something-something-v2-labels.json``.

    Returns:
        dict[str, int]: Video id -> label.

    Raises:
        ValueError: If a template is not among the labels, or a file is not
            of this form.
    """
    content = read_json(labels_path)
    if not isinstance(content, dict):
        raise ValueError(f'{labels_path}: labels by template are needed, got '
                         f'{quoted(content)}')
    labels = {
        template: whole_number(label, f'{labels_path}: {quoted(template)}')
        for template, label in content.items()
    }
    rows = read_json(path)
    if not isinstance(rows, list):
        raise ValueError(f'{path}: a list of videos is needed, got '
                         f'{quoted(rows)}')
    found = {}
    for number, row in enumerate(rows, 1):
        row = row if isinstance(row, dict) else {}
        name, template = row.get('id'), row.get('template')
        if not isinstance(name, (str, int)) or not isinstance(template, str):
            raise ValueError(f'{path}, video {number}: id and template are '
                             'needed')
        template = template.replace('[', '').replace(']', '')
        if template not in labels:
            raise ValueError(f'{path}, video {quoted(name)}: '
                             f'{quoted(template)} is not in {labels_path}')
        found[str(name)] = labels[template]
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


def make_list(
        labels: Dict[str, int],
        folder: Optional[str],
        other_names: Callable[[str], Sequence[str]] = lambda name: ()
) -> Listing:
    """Lines for the annotated videos.

    Args:
        labels (dict[str, int]): Video id -> label.
        folder (str, optional): Where the videos are; those that are not
            there are left out. Without it, every video is taken to be
            ``<id>.mp4``.
        other_names (Callable): Names that the file of an id may have too.
    """
    paths = find_videos(folder) if folder else {
        name: f'{name}.mp4'
        for name in labels
    }
    lines, missing = [], []
    for name, label in labels.items():
        found = [x for x in (name, *other_names(name)) if x in paths]
        if found:
            lines.append(f'{paths[found[0]]} {label}')
        else:
            missing.append(name)
    return Listing(lines, missing)


def write_list(path: str, lines: List[str]) -> None:
    """Write a list; it appears whole or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_text(
            ''.join(f'{line}\n' for line in lines), encoding='utf-8')
