"""The files of EPIC-KITCHENS-100 as they are published, read and checked."""
import csv
import math
from typing import Dict, List, NamedTuple, Optional

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
    hours, minutes, rest = stamp.split(':')
    value = int(hours) * 3600 + int(minutes) * 60 + float(rest)
    if not math.isfinite(value) or value < 0:
        raise ValueError(f'{stamp!r} is not a time')
    return value


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
    with open(path, newline='', encoding='utf-8') as file:
        rows = list(csv.reader(file))
    if not rows:
        raise ValueError(f'{path}: the file is empty')
    if rows[0][0] == 'narration_id':
        header, first = rows[0], 2
    else:
        header, first = ['narration_id', 'verb', 'noun'], 1
    # Official files hold the names of verb and noun in `verb` and `noun`.
    official = 'verb_class' in header or 'video_id' in header
    columns = dict(verb='verb_class', noun='noun_class') if official else dict(
        verb='verb', noun='noun')
    classes = dict(verb=num_verbs, noun=num_nouns)

    narrations: Dict[str, Narration] = {}
    for line, row in enumerate(rows[first - 1:], first):
        if not row:
            continue
        where = f'{path}, line {line} ({row[0]})'
        if len(row) != len(header):
            raise ValueError(f'{where}: {len(row)} columns, expected '
                             f'{len(header)}: {", ".join(header)}')
        named = dict(zip(header, row))
        if row[0] in narrations:
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
        video_id = named.get('video_id', row[0].rpartition('_')[0])
        narrations[row[0]] = Narration(
            narration_id=row[0],
            participant_id=named.get('participant_id',
                                     row[0].split('_')[0]),
            video_id=video_id,
            **labels,
            **times)
    if not narrations:
        raise ValueError(f'{path}: there are no rows')
    return list(narrations.values())


def _label(text: str, num_classes: int, where: str) -> int:
    if not text.isdecimal():
        raise ValueError(f'{where}={text!r} is not a class number')
    if int(text) >= num_classes:
        raise ValueError(f'{where}={text} is not one of {num_classes} classes')
    return int(text)


def _times(named: Dict[str, str], where: str) -> Dict[str, float]:
    missing = [column for column in TIME_COLUMNS if column not in named]
    if missing:
        raise ValueError(f'{where}: no column {", ".join(missing)}')
    try:
        times = dict(
            start_time=seconds(named['start_timestamp']),
            stop_time=seconds(named['stop_timestamp']),
            start_frame=int(named['start_frame']),
            stop_frame=int(named['stop_frame']))
    except ValueError as error:
        raise ValueError(f'{where}: a wrong time or frame ({error})')
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
    with open(path, newline='', encoding='utf-8') as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows):
        if row.get('id') != str(number):
            raise ValueError(f'{path}, line {number + 2}: expected class '
                             f'{number}, got {row.get("id")}')
    return dict(
        names=[row['key'] for row in rows],
        categories=[row['category'] for row in rows])


def read_column(path: str, column: str) -> List[str]:
    """Read a file of one column: tail classes, unseen participants.

    Raises:
        ValueError: If the column is called otherwise.
    """
    with open(path, newline='', encoding='utf-8') as file:
        reader = csv.DictReader(file)
        if reader.fieldnames != [column]:
            raise ValueError(f'{path}: expected the one column {column!r}, '
                             f'got {reader.fieldnames}')
        return [row[column] for row in reader]
