"""Lists and annotations as they come from other people: text, CSV, JSON.

Whatever is wrong with a file ends in a `ValueError` (or an `OSError`, if it
cannot be opened) of one short sentence that names the file and the line.
"""
import csv
import json
import os.path as osp
import re
import reprlib
from typing import Any, Dict, Iterator, List, NamedTuple, Tuple

# Longer than any line that was written as one: a path has 4,096 characters.
MAX_LINE = 2**16
# What is read of bytes that are no UTF-8, see `surrogateescape`.
NOT_UTF8 = re.compile('[\udc80-\udcff]')

_short = reprlib.Repr()
_short.maxstring = _short.maxother = 80
_short.maxdict = _short.maxlist = 3
_short.maxlevel = 2


class Row(NamedTuple):
    """The cells of a CSV file's row, and the line on which it ends."""
    line: int
    cells: List[str]


def quoted(value: Any) -> str:
    """What a file holds, fit for a message: quoted, and never long."""
    return _short.repr(value)


def read_lines(path: str) -> Iterator[Tuple[int, str]]:
    """The lines of a UTF-8 text, with or without a byte order mark.

    Yields:
        tuple[int, str]: Number, from 1, and text with its line break.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no file, or a line is no text.
    """
    if not osp.exists(path):
        raise FileNotFoundError(f'{path}: there is no such list')
    if not osp.isfile(path):  # opening a pipe would wait for ever
        raise ValueError(f'{path}: a file is needed, this is none')
    with open(path, encoding='utf-8-sig', errors='surrogateescape',
              newline='') as file:
        number = 0
        while line := file.readline(MAX_LINE + 1):
            number += 1
            where = f'{path}, line {number}'
            damaged = not line.isascii() and NOT_UTF8.search(line)
            if damaged:
                raise ValueError(
                    f'{where}: not UTF-8 at character {damaged.start() + 1}; '
                    'save the file as UTF-8')
            if '\0' in line:
                raise ValueError(
                    f'{where}: character {line.index(chr(0)) + 1} is a NUL, '
                    'which no text has')
            if len(line) > MAX_LINE:
                raise ValueError(
                    f'{where}: longer than {MAX_LINE} characters, so this is '
                    'no list')
            yield number, line


def read_rows(path: str) -> List[Row]:
    """The rows of a CSV file, without the blank ones.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no text, has broken quoting or no rows.
    """
    reader = csv.reader((line for _, line in read_lines(path)), strict=True)
    rows = []
    try:
        rows += (Row(reader.line_num, cells) for cells in reader if cells)
    except csv.Error as error:
        raise ValueError(f'{path}, line {max(reader.line_num, 1)}: broken '
                         f'CSV ({error})') from error
    if not rows:
        raise ValueError(f'{path}: the file is empty')
    return rows


def named_cells(path: str, header: List[str], row: Row) -> Dict[str, str]:
    """The cells of a row by the names of their columns.

    Raises:
        ValueError: If the row has more or fewer cells than the header.
    """
    if len(row.cells) != len(header):
        raise ValueError(
            f'{path}, line {row.line} ({quoted(row.cells[0])}): '
            f'{len(row.cells)} columns, expected {len(header)}: '
            f'{quoted(", ".join(header))}')
    return dict(zip(header, row.cells))


def read_table(path: str, *columns: str) -> List[Tuple[int, Dict[str, str]]]:
    """The rows of a CSV file by the names of its header.

    Args:
        path (str): The file.
        *columns (str): Names that the header must have.

    Returns:
        list[tuple[int, dict[str, str]]]: Line and cells of each row.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no such table.
    """
    (_, header), *rows = read_rows(path)
    if not set(columns) <= set(header):
        raise ValueError(f'{path}, line 1: the columns {", ".join(columns)} '
                         f'are needed, got {quoted(", ".join(header))}')
    return [(row.line, named_cells(path, header, row)) for row in rows]


def read_json(path: str) -> Any:
    """The content of a JSON file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no JSON.
    """
    if not osp.exists(path):
        raise FileNotFoundError(f'{path}: there is no such file')
    if not osp.isfile(path):
        raise ValueError(f'{path}: a file is needed, this is none')
    with open(path, 'rb') as file:
        return parse_json(file.read(), path)


def parse_json(content: bytes, where: str) -> Any:
    """What a JSON text holds.

    Args:
        content (bytes): The text.
        where (str): Its source, for the error.

    Raises:
        ValueError: If it is no JSON.
    """
    try:
        return json.loads(content.decode('utf-8-sig'))
    except UnicodeDecodeError as error:
        line = content.count(b'\n', 0, error.start) + 1
        raise ValueError(f'{where}, line {line}: not UTF-8; save the file as '
                         'UTF-8') from error
    except json.JSONDecodeError as error:
        raise ValueError(f'{where}, line {error.lineno}: broken JSON '
                         f'({error.msg})') from error
    except RecursionError as error:
        raise ValueError(f'{where}: JSON nested too deeply') from error
    except ValueError as error:  # a number of thousands of digits
        raise ValueError(f'{where}: JSON with a number that is none') \
            from error


def whole_number(value: Any, where: str) -> int:
    """A number from 0 on, as a text or in JSON.

    Args:
        value: What the file holds.
        where (str): File, line and name of the number, for the error.

    Raises:
        ValueError: If it is something else.
    """
    text = str(value) if type(value) is int else value
    if not isinstance(text, str) or not re.fullmatch('[0-9]{1,18}', text):
        raise ValueError(f'{where}={quoted(value)} is not a number from 0 on')
    return int(text)
