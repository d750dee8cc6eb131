"""The files of EPIC-KITCHENS-100 as they are published, read and checked."""
import re
from typing import Dict, List, NamedTuple, Optional

from ..list_files import (named_cells, quoted, read_rows, read_table,
                          whole_number)

STAMP = re.compile(r'(\d{1,4}):(\d{1,2}):(\d{1,2}(\.\d*)?)', re.ASCII)
ID_COLUMNS = ('narration_id', 'participant_id', 'video_id')
MAX_NAME = 255  # characters, on common file systems
TIME_COLUMNS = ('start_timestamp', 'stop_timestamp', 'start_frame',
                'stop_frame')


class Narration(NamedTuple):
    """One row: an action in a video. Times in seconds, frames from 1.

    Rows of the reference lists know only the id, verb and noun; rows of the
    test split have no verb and noun.
    """
    narration_id: str
    participant_id: str
    video_id: str
    verb: Optional[int]
    noun: Optional[int]
    start_time: Optional[float] = None
    stop_time: Optional[float] = None
    start_frame: Optional[int] = None
    stop_frame: Optional[int] = None


def seconds(stamp: str) -> float:
    """``'00:01:02.50'`` -> 62.5.

    Raises:
        ValueError: If it is not of that form.
    """
    parts = STAMP.fullmatch(stamp)
    if parts is None:
        raise ValueError(f'{quoted(stamp)} is not a time such as 00:01:02.50')
    return int(parts[1]) * 3600 + int(parts[2]) * 60 + float(parts[3])


def read_narrations(path: str, num_verbs: int,
                    num_nouns: int) -> List[Narration]:
    """Read an official CSV, or a list ``narration_id,verb,noun``.

    Official: ``EPIC_100_train.csv``, ``EPIC_100_validation.csv``,
    ``EPIC_100_test_timestamps.csv``. The list may lack its header.

    Args:
        path (str): The file.
        num_verbs (int): Verbs must be smaller.
        num_nouns (int): Nouns must be smaller.

    Raises:
        ValueError: For the first wrong row; it is named.
    """
    header, rows = ['narration_id', 'verb', 'noun'], read_rows(path)
    if rows[0].cells[0] == 'narration_id':
        (_, header), *rows = rows
    # Official files hold the names of verb and noun in `verb` and `noun`.
    official = 'verb_class' in header or 'video_id' in header
    columns = dict(verb='verb_class', noun='noun_class') if official else dict(
        verb='verb', noun='noun')
    classes = dict(verb=num_verbs, noun=num_nouns)

    narrations: Dict[str, Narration] = {}
    for row in rows:
        named = named_cells(path, header, row)
        name = row.cells[0]
        where = f'{path}, line {row.line} ({quoted(name)})'
        for column in ID_COLUMNS:
            if len(named.get(column, '')) > MAX_NAME:
                raise ValueError(f'{where}: {column} is longer than the name '
                                 'of a file can be')
        if name in narrations:
            raise ValueError(f'{where}: the narration is there twice')
        labels = {}
        for task, column in columns.items():
            labels[task] = None
            if column in named:
                labels[task] = _label(named[column], classes[task],
                                      f'{where}: {column}')
        if (labels['verb'] is None) != (labels['noun'] is None):
            raise ValueError(f'{where}: verb and noun come together')
        times = _times(named, where) if official else {}
        video_id = named.get('video_id', name.rpartition('_')[0])
        narrations[name] = Narration(
            narration_id=name,
            participant_id=named.get('participant_id', name.split('_')[0]),
            video_id=video_id,
            **labels,
            **times)
    if not narrations:
        raise ValueError(f'{path}: there are no rows')
    return list(narrations.values())


def _label(text: str, num_classes: int, where: str) -> int:
    number = whole_number(text, where)
    if number >= num_classes:
        raise ValueError(f'{where}={text} is not one of {num_classes} classes')
    return number


def _times(named: Dict[str, str], where: str) -> Dict[str, float]:
    missing = [column for column in TIME_COLUMNS if column not in named]
    if missing:
        raise ValueError(f'{where}: no column {", ".join(missing)}')
    try:
        times = dict(
            start_time=seconds(named['start_timestamp']),
            stop_time=seconds(named['stop_timestamp']))
    except ValueError as error:
        raise ValueError(f'{where}: {error}') from error
    for name in ('start_frame', 'stop_frame'):
        times[name] = whole_number(named[name], f'{where}: {name}')
    for unit in ('time', 'frame'):
        start, stop = times[f'start_{unit}'], times[f'stop_{unit}']
        if stop < start or (unit == 'time' and stop == start):
            raise ValueError(f'{where}: the stop {unit} {stop} is before the '
                             f'start {unit} {start}')
    return times


def read_classes(path: str) -> Dict[str, List[str]]:
    """Read ``EPIC_100_verb_classes.csv`` or ``EPIC_100_noun_classes.csv``.

    Returns:
        dict: ``names`` and ``categories`` (super-classes), by class number.

    Raises:
        ValueError: If the numbers are not 0, 1, 2, ...
    """
    rows = read_table(path, 'id', 'key', 'category')
    for number, (line, row) in enumerate(rows):
        if row['id'] != str(number):
            raise ValueError(f'{path}, line {line}: expected class {number}, '
                             f'got {quoted(row["id"])}')
    return dict(
        names=[row['key'] for _, row in rows],
        categories=[row['category'] for _, row in rows])


def read_column(path: str, column: str) -> List[str]:
    """Read a file of one column: tail classes, unseen participants.

    Raises:
        ValueError: If the column is called otherwise.
    """
    (_, header), *rows = read_rows(path)
    if header != [column]:
        raise ValueError(f'{path}: expected the one column {column!r}, got '
                         f'{quoted(header)}')
    return [named_cells(path, header, row)[column] for row in rows]
