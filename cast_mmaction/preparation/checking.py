"""A list of videos in two, those that can be read and those that cannot: what
``tools/data/check_videos.py`` does."""
import argparse
import json
import os
from functools import partial
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, NamedTuple

from ..atomic_write import atomic_write
from ..contained import contained
from ..list_files import named_cells, quoted, read_lines, read_rows
from ..workers import usable_cores
from .whole import facts_of, fault_of, read_journal


class Entry(NamedTuple):
    """A line of the list, and the video that it is about."""
    line: str
    path: str


def check(args: argparse.Namespace) -> None:
    """Read all videos, write both lists and say how many are in them.

    Raises:
        ValueError: If a line of the list is wrong, or there is none.
    """
    entries = list(entries_of(args))
    paths = dict.fromkeys(entry.path for entry in entries if entry.path)
    if not paths:
        raise ValueError(f'{args.list}: the list is empty')
    bad = write_lists(args, entries, scan(args, paths))
    rows = sum(bool(entry.path) for entry in entries)
    print(f'{rows} entries: {rows - bad} good in {args.good}, {bad} bad in '
          f'{args.bad}')


def entries_of(args: argparse.Namespace) -> Iterator[Entry]:
    """The entries of a list; a header is one without a path.

    Raises:
        ValueError: If a line of the list is wrong.
    """
    if not args.list.endswith('.csv'):
        for number, line in read_lines(args.list):
            line = line.strip()
            name, _, label = line.rpartition(' ')
            if line and not name.strip():
                raise ValueError(f'{args.list}, line {number} '
                                 f'({quoted(line)}): not of the form "path '
                                 'label"')
            if line:
                yield Entry(line, os.path.join(args.videos, name.strip()))
        return
    lines = [line.rstrip('\r\n') for _, line in read_lines(args.list)]
    rows, header = read_rows(args.list), ['narration_id', 'verb', 'noun']
    end = 0
    if rows[0].cells[0] == header[0]:
        end, header = rows.pop(0)
        yield Entry('\n'.join(lines[:end]).strip(), '')
    for row in rows:
        cells = named_cells(args.list, header, row)
        cells.setdefault('video_id', row.cells[0].rpartition('_')[0])
        cells.setdefault('participant_id', row.cells[0].split('_')[0])
        try:
            path = args.layout.format(**cells)
        except (KeyError, IndexError) as error:
            raise ValueError(f'--layout {args.layout}: {args.list} has no '
                             f'column {error}') from error
        # A quoted cell may hold line breaks.
        text = '\n'.join(lines[end:row.line]).strip()
        yield Entry(text, os.path.join(args.videos, path))
        end = row.line


def scan(args: argparse.Namespace, paths: Iterable[str]) -> Dict[str, str]:
    """Check the files that the journal does not know, and note each.

    Returns:
        dict[str, str]: By path, what is wrong; '' if nothing.
    """
    journal = Path(f'{args.good}.{args.decoder}.journal')
    known = read_journal(journal)
    facts = {path: facts_of(path) for path in paths}
    found = {path: known[x] for path, x in facts.items() if x in known}
    left = [path for path in facts if path not in found]
    if found:
        print(f'{len(found)} of {len(facts)} videos are known from {journal}')
    read = partial(fault_of, decoder=args.decoder)
    with open(journal, 'a') as notes:
        notes.write('\n')  # after half a line
        outcomes = contained(read, left,
                             args.workers or usable_cores(), args.seconds)
        for done, (path, reason, failure) in enumerate(outcomes, 1):
            reason = ' '.join((failure or reason).split())
            notes.write(json.dumps([*facts[path], reason]) + '\n')
            notes.flush()
            found[path] = reason
            if reason:
                print(f'bad: {path}: {reason}')
            if done % 1000 == 0:
                print(f'{done} of {len(left)} videos read', flush=True)
    return found


def write_lists(args: argparse.Namespace, entries: List[Entry],
                found: Dict[str, str]) -> int:
    """Write both lists and count the bad videos."""
    good, bad = [], []
    for entry in entries:
        reason = found.get(entry.path)  # a header has none
        if reason:
            bad.append(f'{entry.line}\t{reason}\n')
        else:
            good.append(f'{entry.line}\n')
    for path, lines in ((args.good, good), (args.bad, bad)):
        with atomic_write(path) as temporary:
            temporary.write_text(''.join(lines), encoding='utf-8')
    return len(bad)
