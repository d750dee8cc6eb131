"""The published annotations of Kinetics and Something-Something V2.

They become lists with lines ``path label``, the form that `VideoListDataset`
reads; ``cast_mmaction.preparation`` looks for the videos.
"""
import os.path as osp
import re
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from ..atomic_write import atomic_write
from ..list_files import (quoted, read_json, read_lines, read_rows,
                          read_table, whole_number)

VIDEO_SUFFIXES = ('.mp4', '.mkv', '.webm', '.avi', '.mov')
# Numbers of classes of Kinetics-400, -600 and -700.
KINETICS_SIZES = (400, 600, 700)


class Entry(NamedTuple):
    """A clip that is annotated.

    Attributes:
        name: Its id, unique among the clips of a data set.
        label: Number of its class; None where it is not published.
        split: 'train', 'val' or 'test'; empty if nothing says it.
        where: File and line, for messages.
        video: Id of the video that it is a part of, mostly its name.
        span: Seconds of that video, if the file knows them.
    """
    name: str
    label: Optional[int]
    split: str
    where: str
    video: str
    span: Optional[Tuple[int, int]] = None


class Annotations(NamedTuple):
    """The clips of a data set, and the names of its classes."""
    entries: List[Entry]
    classes: List[str]


def split_called(name: str) -> str:
    """'train', 'val' or 'test', if a name says one of them; else empty."""
    words = set(
        re.findall('(?<![a-z])(train|val|test)',
                   osp.basename(name).lower()))
    return words.pop() if len(words) == 1 else ''


def kinetics_entries(paths: Sequence[str],
                     num_classes: Optional[int] = None,
                     classes: Optional[Sequence[str]] = None) -> Annotations:
    """Read original Kinetics CSVs, those of one data set.

    Args:
        paths (sequence[str]): ``kinetics-400_val.csv`` and the like; with
            ``is_cc`` or without, and without ``label`` for a test split whose
            labels are not published.
        num_classes (int, optional): How many classes they must name together.
            Defaults to None, those of Kinetics-400, -600 or -700.
        classes (sequence[str], optional): All names, where the files name
            only some of them. Defaults to None: labels are alphabetical ranks
            of the names in the files.

    Raises:
        ValueError: If columns are missing, another number of classes is
            named, which would shift the labels, or files are swapped.
    """
    tables = {path: _kinetics_rows(path) for path in paths}
    names = {row['label']: path for path, rows in tables.items()
             for _, row in rows if 'label' in row}
    if classes is not None:
        strange = sorted(set(names) - set(classes))
        if strange:
            raise ValueError(f'{names[strange[0]]}: {quoted(strange[0])} is '
                             f'not one of the {len(classes)} classes')
        ordered = list(classes)
    else:
        ordered = sorted(names)
        wanted = KINETICS_SIZES if num_classes is None else (num_classes, )
        if ordered and len(ordered) not in wanted:
            *most, last = map(str, wanted)
            text = f'{", ".join(most)} or {last}' if most else last
            raise ValueError(
                f'{" and ".join(paths)} names {len(ordered)} classes instead '
                f'of {text}: labels are ranks among all classes. Is a part of '
                'the file missing? For a subset, say how many classes it has')
    ranks = {name: rank for rank, name in enumerate(ordered)}
    entries = []
    for path, rows in tables.items():
        split = _split_of(path, rows)
        for line, row in rows:
            entries.append(
                Entry(row['youtube_id'],
                      ranks[row['label']] if 'label' in row else None, split,
                      f'{path}, line {line}', row['youtube_id'],
                      _span(path, line, row)))
    return Annotations(entries, ordered)


def _kinetics_rows(path: str) -> List[Tuple[int, Dict[str, str]]]:
    rows = read_table(path, 'youtube_id')
    header = read_rows(path)[0].cells
    # Only test splits are published without labels.
    if 'label' not in header and split_called(path) != 'test':
        raise ValueError(f'{path}, line 1: the columns label, youtube_id are '
                         f'needed, got {quoted(", ".join(header))}')
    for line, row in rows:
        if not all(row[x] for x in ('label', 'youtube_id') if x in row):
            raise ValueError(f'{path}, line {line}: label and youtube_id '
                             'are needed')
    return rows


def _split_of(path: str, rows: list) -> str:
    """The split that the rows say, else the name of the file."""
    named = split_called(path)
    said = {split_called(row.get('split', '')) for _, row in rows} - {''}
    if len(said) > 1:
        raise ValueError(f'{path}: its rows belong to {len(said)} splits, '
                         f'{", ".join(sorted(said))}; one file a split is '
                         'needed')
    if named and said and named not in said:
        raise ValueError(f'{path}: its name says {named} and its rows say '
                         f'{said.pop()}. Are files swapped?')
    return said.pop() if said else named


def _span(path: str, line: int, row: Dict[str,
                                          str]) -> Optional[Tuple[int, int]]:
    texts = row.get('time_start'), row.get('time_end')
    if None in texts:
        return None
    try:
        return int(float(texts[0])), int(float(texts[1]))
    except (ValueError, OverflowError) as error:
        raise ValueError(f'{path}, line {line}: time_start and time_end are '
                         f'{quoted(texts)}, not seconds') from error


def read_kinetics(path: str, num_classes: int = 400) -> Dict[str, int]:
    """Read an original Kinetics CSV (``kinetics-400_val.csv``).

    Returns:
        dict[str, int]: YouTube id -> label, the alphabetical rank of its
        class.

    Raises:
        ValueError: See :func:`kinetics_entries`.
    """
    found = kinetics_entries([path], num_classes)
    return {entry.name: entry.label for entry in found.entries}


def ssv2_entries(paths: Sequence[str],
                 labels_path: str,
                 answers: Optional[str] = None) -> Annotations:
    """Read original Something-Something V2 splits.

    Args:
        paths (sequence[str]): ``something-something-v2-validation.json`` and
            the like. Those of the test split know ids alone.
        labels_path (str): ``something-something-v2-labels.json``.
        answers (str, optional): The labels of the test split, lines
            ``id;template``.

    Raises:
        ValueError: If a template is not among the labels, or a file is not
            of this form, or files are swapped.
    """
    labels = _read_labels(labels_path)
    known = {} if answers is None else _read_answers(answers)
    entries = []
    for path in paths:
        for name, template, where in _ssv2_rows(path, labels_path):
            if template is None and name in known:
                template, where = known[name]
            label = None
            if template is not None:
                template = template.replace('[', '').replace(']', '')
                if template not in labels:
                    raise ValueError(f'{where}: {quoted(template)} is not in '
                                     f'{labels_path}')
                label = labels[template]
            entries.append(
                Entry(name, label, split_called(path), where, name))
    unknown = set(known) - {entry.name for entry in entries}
    if answers is not None and len(unknown) == len(known):
        raise ValueError(f'{answers}: none of its videos is in '
                         f'{", ".join(paths)}. Does it belong to them?')
    names = sorted(labels, key=labels.get)
    if [labels[name] for name in names] != list(range(len(names))):
        raise ValueError(f'{labels_path}: the labels are not 0 to '
                         f'{len(names) - 1}, each once')
    return Annotations(entries, names)


def _read_labels(path: str) -> Dict[str, int]:
    content = read_json(path)
    if not isinstance(content, dict):
        hint = ''
        if isinstance(content, list):
            hint = '. That is a split: are the two files swapped?'
        raise ValueError(f'{path}: labels by template are needed, got '
                         f'{quoted(content)}{hint}')
    return {
        template: whole_number(label, f'{path}: {quoted(template)}')
        for template, label in content.items()
    }


def _read_answers(path: str) -> Dict[str, Tuple[str, str]]:
    answers = {}
    for number, line in read_lines(path):
        name, mark, template = line.strip().partition(';')
        if line.strip() and not (name and mark and template):
            raise ValueError(f'{path}, line {number}: {quoted(line.strip())} '
                             'is not of the form "id;template"')
        if line.strip():
            answers[name] = template, f'{path}, line {number}'
    return answers


def _ssv2_rows(path: str, labels_path: str) -> List[tuple]:
    """Id, template or None, and the place of every video of a split."""
    rows = read_json(path)
    if not isinstance(rows, list):
        hint = ''
        if isinstance(rows, dict):
            hint = f'. Are it and {labels_path} swapped?'
        raise ValueError(f'{path}: a list of videos is needed, got '
                         f'{quoted(rows)}{hint}')
    # A test split has ids and nothing else.
    unlabelled = split_called(path) == 'test' and all(
        isinstance(row, dict) and 'template' not in row for row in rows)
    found = []
    for number, row in enumerate(rows, 1):
        row = row if isinstance(row, dict) else {}
        name, template = row.get('id'), row.get('template')
        if not isinstance(name, (str, int)) or not (
                unlabelled or isinstance(template, str)):
            raise ValueError(f'{path}, video {number}: id and template are '
                             'needed')
        found.append((str(name), template, f'{path}, video {quoted(name)}'))
    return found


def read_ssv2(path: str, labels_path: str) -> Dict[str, int]:
    """Read an original Something-Something V2 split.

    Args:
        path (str): ``something-something-v2-validation.json`` or the like.
        labels_path (str): ``something-something-v2-labels.json``.

    Returns:
        dict[str, int]: Video id -> label; None in the test split.

    Raises:
        ValueError: See :func:`ssv2_entries`.
    """
    found = ssv2_entries([path], labels_path)
    return {entry.name: entry.label for entry in found.entries}


def write_list(path: str, lines: List[str]) -> None:
    """Write a list; it appears whole or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_text(
            ''.join(f'{line}\n' for line in lines), encoding='utf-8')
