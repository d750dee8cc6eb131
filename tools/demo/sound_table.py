"""Print the table of the set with sound: what each model got right.

    python tools/demo/sound_table.py work_dirs/sound \\
        --labels data/demo_sound/test.csv

Beside verb, noun and action: the two halves of a noun, what the moving shape
looks like and of what material it is.
"""
import argparse
import csv
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING, Dict, List, Tuple

import numpy as np

import shapes
import sounds

if TYPE_CHECKING:  # --help does not wait for what takes seconds
    from cast_mmaction.evaluation.predictions import Predictions

ROWS = dict(
    spatial='spatial expert alone',
    temporal='temporal expert alone',
    audio='audio expert alone',
    cast='CAST (space and time)',
    cava='CAVA (space and sound)',
    late_sound='CAST, sound in the heads alone',
    ca2st='**CA2ST**')
CHANCE = dict(verb=12.5, look=12.5, material=50., noun=6.2, action=0.8)
Labels = Dict[str, Tuple[int, int]]  # narration -> verb, noun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('folder', type=Path, help='with ROW/SEED/...')
    parser.add_argument('--labels', type=Path, required=True, help='test.csv')
    args = parser.parse_args()
    from cast_mmaction.evaluation.predictions import load_dump
    with open(args.labels, newline='') as file:
        labels = {
            row['narration_id']: (int(row['verb']), int(row['noun']))
            for row in csv.DictReader(file)
        }
    runs = {
        name: [
            accuracies(load_dump(str(path)), labels)
            for path in sorted(args.folder.glob(f'{name}/*/predictions.npz'))
        ]
        for name in ROWS
    }
    print(format_table(runs))


def accuracies(predictions: 'Predictions', labels: Labels) -> Dict[str, float]:
    """Per cent right, by the keys of ``CHANCE``."""
    verbs, nouns = np.array([labels[x] for x in predictions.narration_ids]).T
    scores = np.exp(predictions.noun).reshape(-1, len(sounds.MATERIALS),
                                              len(shapes.NOUNS))
    material, look = np.divmod(nouns, len(shapes.NOUNS))
    verb = predictions.verb.argmax(axis=1) == verbs
    noun = predictions.noun.argmax(axis=1) == nouns
    right = dict(
        verb=verb,
        look=scores.sum(axis=1).argmax(axis=1) == look,
        material=scores.sum(axis=2).argmax(axis=1) == material,
        noun=noun,
        action=verb & noun)
    return {key: 100 * float(right[key].mean()) for key in CHANCE}


def format_table(runs: Dict[str, List[Dict[str, float]]]) -> str:
    """Markdown: mean and standard deviation over the runs of a row."""
    lines = [
        '| top-1, % | runs | ' + ' | '.join(CHANCE) + ' |',
        '|---' * (2 + len(CHANCE)) + '|',
        '| chance | | ' + ' | '.join(map(str, CHANCE.values())) + ' |'
    ]
    for name, title in ROWS.items():
        if not runs[name]:
            continue
        cells = []
        for key in CHANCE:
            values = [run[key] for run in runs[name]]
            spread = f' ± {stdev(values):.1f}' if len(values) > 1 else ''
            cells.append(f'{mean(values):.1f}{spread}')
        lines.append(f'| {title} | {len(runs[name])} | ' +
                     ' | '.join(cells) + ' |')
    return '\n'.join(lines)


if __name__ == '__main__':
    main()
