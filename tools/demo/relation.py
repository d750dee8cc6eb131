"""Was the relation learnt? Which pairs of verbs the runs of a table tell apart.

    python tools/demo/relation.py --labels data/demo/test.csv \\
        work_dirs/tables/demo/*/*/seed*/predictions.pkl

One line per config: per cent right where only the two verbs of a pair stand
for election, among the clips of that pair; and of the four pairs, when it is
one of them that has to be chosen.
"""
import argparse
import csv
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING, Dict, List

import numpy as np

import shapes

if TYPE_CHECKING:  # --help does not wait for what takes seconds
    from cast_mmaction.evaluation.predictions import Predictions

PAIRS = [' or '.join(shapes.VERBS[i:i + 2])
         for i in range(0, len(shapes.VERBS), 2)]
CHANCE = {**dict.fromkeys(PAIRS, 50), 'which pair': 25}  # per cent


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'dumps', type=Path, nargs='+', help='CONFIG/SEED/predictions.pkl ...')
    parser.add_argument('--labels', type=Path, required=True, help='test.csv')
    args = parser.parse_args()
    from cast_mmaction.evaluation.predictions import load_dump
    with open(args.labels, newline='') as file:
        labels = {
            row['narration_id']: int(row['verb'])
            for row in csv.DictReader(file)
        }
    configs: Dict[str, List[Dict[str, float]]] = {}
    for dump in args.dumps:
        configs.setdefault(dump.parent.parent.name, []).append(
            accuracies(load_dump(str(dump)), labels))
    print(format_table(configs))


def accuracies(predictions: 'Predictions',
               labels: Dict[str, int]) -> Dict[str, float]:
    """Per cent right, by the keys of ``CHANCE``.

    Args:
        predictions: Scores of the test clips.
        labels: Their verbs.
    """
    scores = np.exp(predictions.verb).reshape(-1, len(PAIRS), 2)
    verbs = np.array([labels[x] for x in predictions.narration_ids])
    pair, which = verbs // 2, verbs % 2
    right = {
        name: scores[pair == i, i].argmax(1) == which[pair == i]
        for i, name in enumerate(PAIRS)
    }
    right['which pair'] = scores.sum(axis=2).argmax(1) == pair
    return {part: 100 * right[part].mean() for part in CHANCE}


def format_table(configs: Dict[str, List[Dict[str, float]]]) -> str:
    """Markdown: mean and standard deviation over the runs of a config."""
    lines = [
        '| config | runs | ' + ' | '.join(CHANCE) + ' |',
        '|---' * (2 + len(CHANCE)) + '|',
        '| chance | | ' + ' | '.join(map(str, CHANCE.values())) + ' |'
    ]
    for config, runs in sorted(configs.items()):
        cells = []
        for part in CHANCE:
            values = [run[part] for run in runs]
            spread = f' ± {stdev(values):.1f}' if len(values) > 1 else ''
            cells.append(f'{mean(values):.1f}{spread}')
        lines.append(f'| {config} | {len(runs)} | ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines)


if __name__ == '__main__':
    main()
