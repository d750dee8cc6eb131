"""What was found of a data set, class by class, and what is wrong with it."""
import csv
from collections import Counter
from pathlib import Path
from typing import Dict, List, Optional, Sequence

from ..atomic_write import atomic_write
from ..datasets.annotations import Entry, write_list
from .finding import KINDS, Problem

# Problems of each kind that are printed.
NUM_EXAMPLES = 3


def write_report(prefix: str, entries: Sequence[Entry],
                 used: Dict[str, str], problems: List[Problem],
                 classes: Sequence[str]) -> None:
    """Write ``<prefix>report.csv`` and ``<prefix>problems.txt``, print a
    summary.

    Args:
        prefix (str): Folder, or folder and beginning of the names.
        entries (sequence[Entry]): All annotated clips.
        used (dict[str, str]): Those in the lists, by name.
        problems (list[Problem]): Of the others, and of some of these.
        classes (sequence[str]): Names by number.
    """
    annotated: Counter = Counter(
        entry.label for entry in {x.name: x for x in entries}.values())
    found: Counter = Counter(
        entry.label for entry in {x.name: x for x in entries}.values()
        if entry.name in used)
    faults: Counter = Counter((x.label, x.kind) for x in problems)
    rows = [('class', 'label', 'annotated', 'found', *KINDS)]
    for label in sorted(annotated, key=lambda x: (x is None, x)):
        rows.append((_class_name(label, classes),
                     '' if label is None else label, annotated[label],
                     found[label], *(faults[label, kind] for kind in KINDS)))
    with atomic_write(f'{prefix}report.csv') as temporary:
        with open(temporary, 'w', newline='', encoding='utf-8') as file:
            csv.writer(file).writerows(rows)
    places = {kind: place for place, kind in enumerate(KINDS)}
    ordered = sorted(problems, key=lambda x: places[x.kind])
    write_list(f'{prefix}problems.txt',
               [f'{x.kind}\t{x.name}\t{x.text}' for x in ordered])
    print(f'{sum(annotated.values())} annotated, {sum(found.values())} found; '
          f'by class in {prefix}report.csv')
    _print_problems(ordered, f'{prefix}problems.txt')
    empty = [_class_name(label, classes) for label in annotated
             if not found[label]]
    if empty and len(empty) < len(annotated):
        print(f'{len(empty)} of {len(annotated)} classes have no video, such '
              f'as {empty[0]}')


def _print_problems(problems: Sequence[Problem], path: str) -> None:
    if problems:
        print(f'{path} names every one of these:')
    for kind in KINDS:
        those = [x for x in problems if x.kind == kind]
        for problem in those[:NUM_EXAMPLES]:
            print(f'  {kind}: {problem.name}: {problem.text}')
        if len(those) > NUM_EXAMPLES:
            print(f'  {kind}: and {len(those) - NUM_EXAMPLES} more')


def _class_name(label: Optional[int], classes: Sequence[str]) -> str:
    return '(unknown)' if label is None else classes[label]


def prefix_of(out: Path) -> str:
    """Where the files beside a list, or in a folder, begin."""
    return f'{out.with_suffix("")}_' if out.suffix == '.txt' else f'{out}/'
