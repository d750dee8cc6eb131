"""Inject faults and count what happens.

    python -m tests.faults --long        # the counts of docs/reliability.md
    python -m tests.faults kills --count 60
    python -m tests.faults videos --count 2000 --decoder decord

Prints a table in Markdown and exits with 1 if there was a fault.
"""
import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Optional

import av
from mmengine.registry import init_default_scope

import cast_mmaction  # noqa: F401
from cast_mmaction.datasets.video import usable_readers

from . import kills, lists, signals, videos

ODD = Path(__file__).resolve().parents[3] / 'shared/clips/odd'
HARMLESS = ('the same', 'read', 'refused')


class Part(NamedTuple):
    """What is injected, and how.

    Attributes:
        title: For the table.
        run: Takes the options and a folder.
        long: How many of it in the long form; None for all there are.
    """
    title: str
    run: Callable[[argparse.Namespace, Path], Counter]
    long: Optional[int]


PARTS: Dict[str, Part] = {
    'kills':
    Part('a training killed, then resumed',
         lambda args, folder: kills.run(args.count, folder), None),
    'signals':
    Part('a training that gets a signal, then resumed',
         lambda args, folder: signals.run(args.long, folder), None),
    'videos':
    Part(
        'a damaged video', lambda args, folder: videos.run(
            args.count, args.decoder, folder, ODD), 20000),
    'lists':
    Part('a damaged list', lambda args, folder: lists.run(args.count, folder),
         6600),
}


def parse_args(argv: Optional[List[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('parts', nargs='*', metavar='part',
                        help=f'of {", ".join(PARTS)} (default: all)')
    parser.add_argument('--long', action='store_true',
                        help='all moments, 20,000 videos by each decoder, '
                        '6,600 lists')
    parser.add_argument('--count', type=int, default=60,
                        help='how many of each part (default: 60)')
    parser.add_argument('--decoder', choices=sorted(videos.READERS),
                        default='pyav')
    parser.add_argument('--json', type=Path, help='write the counts here')
    args = parser.parse_args(argv)
    unknown = set(args.parts) - set(PARTS)
    if unknown:
        parser.error(f'no such part: {", ".join(sorted(unknown))}')
    return args


def inject(name: str, args: argparse.Namespace) -> Counter:
    """Run a part in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        return PARTS[name].run(args, Path(folder))


def report(title: str, found: Counter, seconds: float) -> str:
    """A row of the table: injected, harmless by kind, faults."""
    harmless = ', '.join(f'{found[key]:,} {key}' for key in HARMLESS
                         if found[key])
    faults = sum(found.values()) - sum(found[key] for key in HARMLESS)
    return (f'| {title} | {sum(found.values()):,} | {harmless} | {faults} | '
            f'{seconds:.0f} s |')


def main(argv: Optional[List[str]] = None) -> int:
    args = parse_args(argv)
    init_default_scope('mmaction')
    av.logging.set_level(None)
    rows, everything = [], {}
    for name in args.parts or PARTS:
        part, decoders = PARTS[name], [args.decoder]
        if args.long:
            args.count = part.long
        if args.long and name == 'videos':
            decoders = sorted(usable_readers())
        for args.decoder in decoders:
            start = time.monotonic()
            found = inject(name, args)
            title = part.title
            if name == 'videos':
                title += f', read by {args.decoder}'
            rows.append(report(title, found, time.monotonic() - start))
            everything[title] = dict(found)
            for what, count in found.items():
                if what not in HARMLESS:
                    print(f'{title}: {count} times {what}', flush=True)
    print('| injected | how often | what happened | faults | took |\n'
          '|---|---|---|---|---|')
    print('\n'.join(rows), flush=True)
    if args.json:
        args.json.write_text(json.dumps(everything, indent=1))
    faults = [what for found in everything.values() for what in found
              if what not in HARMLESS]
    return int(bool(faults))


if __name__ == '__main__':
    sys.exit(main())
