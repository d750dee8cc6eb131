"""Read every frame of every video of a list, and part the list in two.

    python tools/data/check_videos.py train.txt --videos data/videos \\
        --good train_good.txt --bad train_bad.txt --workers 8

Two kinds of lists: lines ``path label``, and the CSVs of EPIC-KITCHENS-100
(``*.csv``), whose trimmed clips are looked for as ``<narration_id>.mp4`` or
as ``--layout`` says. The good list is the list without the bad videos; in the
bad list each line is followed by a tab and the reason.

A decoder that crashes or hangs on a file costs that file alone. What is found
is noted in ``<good>.<decoder>.journal`` at once: the same command goes on
after an interruption. Files are known by name, size and time; one that has
been mended is read again.
"""
import argparse
import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional

from cast_mmaction.atomic_write import atomic_write
from cast_mmaction.contained import contained
from cast_mmaction.datasets.epic_kitchens import OFFICIAL_PATHS
from cast_mmaction.datasets.video import READERS
from cast_mmaction.host import torchcodec_problem
from cast_mmaction.list_files import (named_cells, quoted, read_lines,
                                      read_rows)
from cast_mmaction.preparation.whole import facts_of, fault_of, read_journal
from cast_mmaction.workers import usable_cores


class Entry(NamedTuple):
    """A line of the list, and the video that it is about."""
    line: str
    path: str


def parse_args(argv: Optional[List[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('list', help='lines "path label", or a CSV')
    parser.add_argument(
        '--videos', default='', help='the folder that paths begin in')
    parser.add_argument(
        '--layout',
        default=OFFICIAL_PATHS['clips'],
        help='path of the video of a row of a CSV, with {narration_id}, '
        '{participant_id}, {video_id} or another column (default: '
        '%(default)s; untrimmed videos: ' + OFFICIAL_PATHS['videos'] + ')')
    parser.add_argument('--good', required=True, help='the list to write')
    parser.add_argument('--bad', required=True, help='the bad ones, and why')
    parser.add_argument(
        '--decoder',
        choices=sorted(READERS),
        default='pyav',
        help='the one that the config uses (default: pyav)')
    parser.add_argument(
        '--workers',
        type=int,
        default=usable_cores(),
        help='processes (default: the CPU cores)')
    parser.add_argument(
        '--seconds',
        type=float,
        default=300.,
        help='for one video; what takes longer is bad (default: 300)')
    args = parser.parse_args(argv)
    if args.decoder == 'torchcodec' and torchcodec_problem():
        parser.error(f'--decoder torchcodec: {torchcodec_problem()}')
    if args.workers < 1 or args.seconds <= 0:
        parser.error('--workers and --seconds must be positive')
    return args


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
        outcomes = contained(read, left, args.workers, args.seconds)
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


def main(argv: Optional[List[str]] = None) -> None:
    args = parse_args(argv)
    try:
        entries = list(entries_of(args))
        paths = dict.fromkeys(entry.path for entry in entries if entry.path)
        if not paths:
            raise ValueError(f'{args.list}: the list is empty')
        found = scan(args, paths)
        bad = write_lists(args, entries, found)
    except (ValueError, OSError) as error:
        sys.exit(f'error: {error}')
    except KeyboardInterrupt:
        sys.exit('stopped; the same command goes on from here')
    rows = sum(bool(entry.path) for entry in entries)
    print(f'{rows} entries: {rows - bad} good in {args.good}, {bad} bad in '
          f'{args.bad}')


if __name__ == '__main__':
    main()
