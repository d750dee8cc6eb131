"""Fuse dumped verb and noun results of several models and score them.

    tools/fuse_results.py cast.pkl slowfast.pkl --verb-weights 1 2 \\
        --annotations EPIC_100_validation.csv --out fused.pkl

The weighted mean of the probabilities is taken per task. One dump alone is
scored as it is. Tail classes and unseen participants are read from the
official files beside the annotations, as far as they are there.
"""
import argparse
import os.path as osp
import sys

from cast_mmaction.datasets.epic_annotations import (read_column,
                                                     read_narrations)
from cast_mmaction.evaluation.predictions import (check_complete, fuse,
                                                  load_dump, score,
                                                  write_dump)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'dumps', nargs='+', help='results of tools/test.py --dump')
    for task in ('verb', 'noun'):
        parser.add_argument(
            f'--{task}-weights',
            type=float,
            nargs='+',
            help='one per dump; equal if left out')
    parser.add_argument(
        '--annotations',
        required=True,
        help='official CSV, or list, of the split')
    parser.add_argument(
        '--out', help='write the fused results, as --dump does')
    return parser.parse_args()


def official_meta(folder: str) -> dict:
    """Tail classes and unseen participants, where their files are there."""
    meta = {}
    for key, name, column in (
        ('tail_verbs', 'EPIC_100_tail_verbs.csv', 'verb'),
        ('tail_nouns', 'EPIC_100_tail_nouns.csv', 'noun'),
        ('unseen_participants',
         'EPIC_100_unseen_participant_ids_validation.csv', 'participant_id')):
        path = osp.join(folder, name)
        if osp.exists(path):
            values = read_column(path, column)
            is_class = column != 'participant_id'
            meta[key] = [int(v) for v in values] if is_class else values
    return meta


def main() -> None:
    args = parse_args()
    try:
        parts = [load_dump(path) for path in args.dumps]
        sizes = dict(
            verb=parts[0].verb.shape[1], noun=parts[0].noun.shape[1])
        rows = read_narrations(args.annotations, sizes['verb'], sizes['noun'])
        for path, part in zip(args.dumps, parts):
            check_complete(path, part, [row.narration_id for row in rows],
                           sizes)
        equal = [1.] * len(parts)
        fused = fuse(
            parts,
            dict(
                verb=args.verb_weights or equal,
                noun=args.noun_weights or equal))
        if args.out:
            write_dump(args.out, fused)
        if rows[0].verb is None:
            print('the split has no labels: nothing to score')
            return
        figures = score(
            fused, {row.narration_id: (row.verb, row.noun)
                    for row in rows},
            official_meta(osp.dirname(args.annotations)))
    except (ValueError, OSError) as error:
        sys.exit(f'error: {error}')
    for name, value in figures.items():
        print(f'{name:20s} {value:6.2f}')


if __name__ == '__main__':
    main()
