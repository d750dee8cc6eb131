"""Turn dumped test results into a file for the EPIC-KITCHENS-100 leaderboard.

    tools/test.py CONFIG CHECKPOINT --dump results.pkl
    tools/results/make_submission.py results.pkl EPIC_100_test_timestamps.csv out.zip
"""
import argparse
import sys
from typing import Optional, Sequence

# By the names of the official format.
QUESTIONS = dict(
    sls_pt='pre-training',
    sls_tl='labels used in training',
    sls_td='data used in training')


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """The arguments of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('dump', help='results of tools/test.py --dump')
    parser.add_argument(
        'annotations', help='official CSV of the split that was tested')
    parser.add_argument('out', help='the .zip to write')
    parser.add_argument(
        '--pickle',
        help="also write this .pkl, for the organisers' evaluate.py")
    for name in QUESTIONS:
        parser.add_argument(
            f'--{name.replace("_", "-")}',
            type=int,
            choices=range(6),
            help=f'supervision level: {QUESTIONS[name]} (asked for if left '
            'out)')
    return parser.parse_args(argv)


def supervision_levels(args: argparse.Namespace) -> dict:
    """The levels given, or asked for at a terminal."""
    levels = {}
    for name in QUESTIONS:
        levels[name] = getattr(args, name)
        if levels[name] is None:
            if not sys.stdin.isatty():
                raise ValueError(f'--{name.replace("_", "-")} is missing '
                                 f'({QUESTIONS[name]}, 0 to 5)')
            levels[name] = int(
                input(f'Supervision level, {QUESTIONS[name]} (0 to 5): '))
    return levels


def run(args: argparse.Namespace) -> None:
    """Check the dump and write the file."""
    from cast_mmaction.datasets.epic_annotations import read_narrations
    from cast_mmaction.evaluation.predictions import (NUM_CLASSES,
                                                      check_complete,
                                                      load_dump,
                                                      write_official_pickle,
                                                      write_submission)
    levels = supervision_levels(args)
    narrations = read_narrations(args.annotations, NUM_CLASSES['verb'],
                                 NUM_CLASSES['noun'])
    predictions = load_dump(args.dump)
    check_complete(args.dump, predictions,
                   [row.narration_id for row in narrations])
    write_submission(args.out, predictions, levels)
    if args.pickle:
        write_official_pickle(args.pickle, predictions)
    if predictions.unreadable.any():
        print(f'warning: {predictions.unreadable.sum()} videos could not be '
              'read; their scores are those of a blank clip')
    print(f'{args.out}: {len(predictions.narration_ids)} narrations')


def main(argv: Optional[Sequence[str]] = None) -> None:
    """The command."""
    args = parse_args(argv)
    from cast_mmaction.one_line import refusals_in_one_line
    with refusals_in_one_line():
        run(args)


if __name__ == '__main__':
    main()
