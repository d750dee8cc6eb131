"""The published annotations of VGG-Sound and Kinetics-Sound, as lists."""
from typing import Optional

from ..class_names import read_class_names
from ..list_files import quoted, read_rows, read_table
from .annotations import Annotations, Entry, kinetics_entries

VGGSOUND_SPLITS = ('train', 'test')
SECONDS = 10  # length of a VGG-Sound clip


def vggsound_entries(path: str,
                     split: Optional[str] = None,
                     num_classes: int = 309) -> Annotations:
    """Read ``vggsound.csv``: lines ``id,start,class,split`` without a header.

    A clip is called ``<id>_<start, six digits>``.

    Args:
        path (str): The file.
        split (str, optional): ``'train'`` or ``'test'``. Defaults to None,
            both.
        num_classes (int): Defaults to 309.

    Raises:
        ValueError: For a wrong line, which is named, or if the file does not
            name `num_classes` classes, which would shift the labels.
    """
    rows = read_rows(path)
    for line, row in rows:
        if (len(row) != 4 or not row[1].isdecimal()
                or row[3] not in VGGSOUND_SPLITS):
            raise ValueError(f'{path}, line {line}: {quoted(row)} is not of '
                             'the form id,start,class,train|test')
    names = sorted({row[2] for _, row in rows})
    if len(names) != num_classes:
        raise ValueError(f'{path} names {len(names)} classes instead of '
                         f'{num_classes}: labels are ranks among all classes')
    ranks = {name: rank for rank, name in enumerate(names)}
    return Annotations([
        Entry(f'{video}_{int(start):06d}', ranks[name], part,
              f'{path}, line {line}', video,
              (int(start), int(start) + SECONDS))
        for line, (video, start, name, part) in rows
        if split in (None, part)
    ], names)


def kinetics_sound_entries(path: str) -> Annotations:
    """The part of an original Kinetics CSV that can be heard: 31 classes.

    Labels are places in the shipped list ``kinetics_sound``.

    Raises:
        ValueError: If columns or one of the classes are missing.
    """
    names = read_class_names('kinetics_sound')
    rows = read_table(path, 'label', 'youtube_id')
    whole = kinetics_entries(
        [path], classes=sorted({row['label'] for _, row in rows}))
    missing = sorted(
        set(names) - {whole.classes[entry.label] for entry in whole.entries})
    if missing:
        raise ValueError(f'{path}: no video of {", ".join(missing)}')
    places = {name: place for place, name in enumerate(names)}
    return Annotations(
        [entry._replace(label=places[whole.classes[entry.label]])
         for entry in whole.entries if whole.classes[entry.label] in places],
        names)
