"""Fuse dumped results of several models and score them.

    tools/results/fuse_results.py cast.pkl slowfast.pkl --verb-weights 1 2 \\
        --annotations EPIC_100_validation.csv --out fused.pkl
    tools/results/fuse_results.py a.pkl b.pkl --weights 1 2 --out fused.pkl

The weighted mean of the probabilities is taken per task. One dump alone is
scored as it is. Tail classes and unseen participants are read from the
official files beside the annotations, as far as they are there. --f1 also
writes the F1 of every class and super-class. Dumps of one label (Kinetics,
SSv2) hold their labels: no annotations, --weights.
"""
import argparse
import csv
import os.path as osp
from typing import Dict, List, Optional, Sequence


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """The arguments of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'dumps', nargs='+', help='results of tools/test.py --dump')
    for name in ('--verb-weights', '--noun-weights', '--weights'):
        parser.add_argument(
            name,
            type=float,
            nargs='+',
            help='one per dump; equal if left out'
            + (' (of one label)' if name == '--weights' else ''))
    parser.add_argument(
        '--annotations',
        help='official CSV, or list, of the split; not for one label')
    parser.add_argument(
        '--out', help='write the fused results, as --dump does')
    parser.add_argument(
        '--f1',
        help='write this CSV: F1 of the classes, and of the super-classes '
        'weighted by support; needs the official class files beside the '
        'annotations')
    return parser.parse_args(argv)


def official_meta(folder: str) -> dict:
    """Tail classes and unseen participants, where their files are there."""
    from cast_mmaction.datasets.epic_annotations import read_column
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


def write_f1(path: str, fused, labels: dict, folder: str) -> None:
    """The F1 report as a CSV; prints that of the super-classes."""
    from cast_mmaction.atomic_write import atomic_write
    from cast_mmaction.datasets.epic_annotations import read_classes
    from cast_mmaction.evaluation.f1_report import F1Row, f1_report
    classes = {
        task: read_classes(osp.join(folder, f'EPIC_100_{task}_classes.csv'))
        for task in ('verb', 'noun')
    }
    rows = f1_report(fused, labels, classes)
    with atomic_write(path) as part, open(part, 'w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(F1Row._fields)
        writer.writerows(rows)
    for row in rows:
        if row.level != 'class':
            print(f'F1 {row.task} {row.name:16s} {row.f1:6.2f}')


def names_in(dumps: List[str]) -> Dict[str, List[str]]:
    """Names of the classes, as metainfo, from the first dump that has some."""
    from cast_mmaction.class_names import KEYS
    from cast_mmaction.evaluation.dumps import read_names
    for path in dumps:
        names = read_names(path)
        if names:
            return {KEYS[task]: x for task, x in names.items()}
    return {}


def fuse_labels(args: argparse.Namespace) -> Dict[str, float]:
    """Fuses dumps of one label; gives back the figures."""
    from cast_mmaction.evaluation.one_label import (fuse_one_label,
                                                    load_one_label,
                                                    score_one_label,
                                                    write_one_label)
    if args.annotations or args.f1 or args.verb_weights or args.noun_weights:
        raise ValueError(f'{args.dumps[0]} is of one label: it takes '
                         '--weights and --out alone')
    fused = fuse_one_label([load_one_label(path) for path in args.dumps],
                           args.weights)
    if args.out:
        write_one_label(args.out, fused, names_in(args.dumps))
    return score_one_label(fused)


def show(figures: Dict[str, float]) -> None:
    for name, value in figures.items():
        print(f'{name:20s} {value:6.2f}')


def run(args: argparse.Namespace) -> None:
    """Fuse, write and score."""
    from cast_mmaction.datasets.epic_annotations import read_narrations
    from cast_mmaction.evaluation.dumps import read_samples
    from cast_mmaction.evaluation.one_label import is_one_label
    from cast_mmaction.evaluation.predictions import (check_complete, fuse,
                                                      load_dump, score,
                                                      write_dump)
    if is_one_label(read_samples(args.dumps[0])):
        show(fuse_labels(args))
        return
    if not args.annotations or args.weights:
        raise ValueError(f'{args.dumps[0]} is of verbs and nouns: it '
                         'takes --annotations, and --verb-weights and '
                         '--noun-weights')
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
        write_dump(args.out, fused, names_in(args.dumps))
    if rows[0].verb is None:
        print('the split has no labels: nothing to score')
        return
    labels = {row.narration_id: (row.verb, row.noun) for row in rows}
    folder = osp.dirname(args.annotations)
    figures = score(fused, labels, official_meta(folder))
    if args.f1:
        write_f1(args.f1, fused, labels, folder)
    show(figures)


def main(argv: Optional[Sequence[str]] = None) -> None:
    """The command."""
    args = parse_args(argv)
    from cast_mmaction.one_line import refusals_in_one_line
    with refusals_in_one_line():
        run(args)


if __name__ == '__main__':
    main()
