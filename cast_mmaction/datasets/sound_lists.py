"""The published annotations of VGG-Sound and Kinetics-Sound, as lists."""
import csv
from typing import Dict, List, NamedTuple, Tuple

from ..class_names import read_class_names

VGGSOUND_SPLITS = ('train', 'test')
SECONDS = 10  # length of a VGG-Sound clip


class Labels(NamedTuple):
    """Video name -> label, and the names of the classes."""
    of_videos: Dict[str, int]
    classes: List[str]


def read_vggsound(path: str, split: str, num_classes: int = 309) -> Labels:
    """Read ``vggsound.csv``: lines ``id,start,class,split`` without a header.

    Args:
        path (str): The file.
        split (str): ``'train'`` or ``'test'``.
        num_classes (int): Defaults to 309.

    Returns:
        Labels: ``<id>_<start, six digits>`` -> alphabetical rank of the class.

    Raises:
        ValueError: For a wrong line, which is named, or if the file does not
            name `num_classes` classes, which would shift the labels.
    """
    rows = []
    with open(path, newline='', encoding='utf-8') as file:
        for line, row in enumerate(csv.reader(file), 1):
            if (len(row) != 4 or not row[1].isdecimal()
                    or row[3] not in VGGSOUND_SPLITS):
                raise ValueError(f'{path}, line {line}: {row} is not of the '
                                 'form id,start,class,train|test')
            rows.append(row)
    names = sorted({row[2] for row in rows})
    if len(names) != num_classes:
        raise ValueError(f'{path} names {len(names)} classes instead of '
                         f'{num_classes}: labels are ranks among all classes')
    ranks = {name: rank for rank, name in enumerate(names)}
    return Labels(
        {
            f'{video}_{int(start):06d}': ranks[name]
            for video, start, name, part in rows if part == split
        }, names)


def vggsound_file_names(name: str) -> Tuple[str, ...]:
    """What else the file of a clip ``<id>_<start>`` may be called."""
    video, _, start = name.rpartition('_')
    start, stop = int(start), int(start) + SECONDS
    return (f'{video}_{start}', f'{video}_{start}_{stop}',
            f'{video}_{1000 * start}_{1000 * stop}', video)


def read_kinetics_sound(path: str) -> Labels:
    """The part of an original Kinetics CSV that can be heard: 31 classes.

    Returns:
        Labels: YouTube id -> place in the shipped list ``kinetics_sound``.

    Raises:
        ValueError: If columns or one of the classes are missing.
    """
    names = read_class_names('kinetics_sound')
    with open(path, newline='', encoding='utf-8') as file:
        rows = list(csv.DictReader(file))
    if not rows or {'label', 'youtube_id'} - rows[0].keys():
        raise ValueError(f'{path}: columns label and youtube_id are needed')
    missing = sorted(set(names) - {row['label'] for row in rows})
    if missing:
        raise ValueError(f'{path}: no video of {", ".join(missing)}')
    places = {name: place for place, name in enumerate(names)}
    return Labels(
        {
            row['youtube_id']: places[row['label']]
            for row in rows if row['label'] in places
        }, names)
