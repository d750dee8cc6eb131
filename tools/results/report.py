"""Set the balance of one's own models beside the published rows.

    tools/results/report.py \\
        --method "CAST, ours" ek100=work_dirs/a ssv2=work_dirs/b k400=... \\
        --method "AIM, ours" ek100=work_dirs/c \\
        --out work_dirs/report

Each data set names the work dir of a test (or its .json log). Writes
balance.md, the harmonic means of the paper's table 2, and balance.png, the
bars of its figure 4: verb against noun, SSv2 against K400, and all four.
"""
import argparse
import json
from pathlib import Path
from typing import Dict, List, Optional, Sequence

from cast_mmaction.evaluation.balance import NAMES, balance, read_figures
from cast_mmaction.visualization.charts import Panel, bar_chart

PUBLISHED = Path(__file__).with_name('published.json')
COLUMNS = dict(
    verb='EK100 verb',
    noun='EK100 noun',
    action='EK100 action',
    ek100='H.M. verb, noun',
    ssv2='SSv2',
    k400='K400',
    ssv2_k400='H.M. SSv2, K400',
    all='H.M. of all four')
PANELS = {
    'EPIC-KITCHENS-100': ('verb', 'noun', 'ek100'),
    'SSv2 and K400': ('ssv2', 'k400', 'ssv2_k400'),
    'All': ('all', ),
}


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--method',
        nargs='+',
        action='append',
        default=[],
        metavar=('NAME', 'DATASET=PATH'),
        help=f'data sets: {", ".join(NAMES)}')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/report'))
    args = parser.parse_args(argv)
    for _, *tests in args.method:
        for test in tests:
            dataset, separator, _ = test.partition('=')
            if dataset not in NAMES or not separator:
                parser.error(f'{test!r}: give DATASET=PATH, with a data set '
                             f'of {", ".join(NAMES)}')
    return args


def gather(methods: List[List[str]]) -> Dict[str, Dict[str, float]]:
    """Figures and harmonic means of the published and the own methods."""
    published = json.loads(PUBLISHED.read_text())['methods']
    rows = {f'{name} (published)': row for name, row in published.items()}
    for name, *tests in methods:
        row = rows.setdefault(name, {})
        for test in tests:
            dataset, _, path = test.partition('=')
            row.update(read_figures(dataset, path))
    return {name: {**row, **balance(row)} for name, row in rows.items()}


def markdown(rows: Dict[str, Dict[str, float]]) -> str:
    """The table, one method a line."""
    lines = [
        '| | ' + ' | '.join(COLUMNS.values()) + ' |',
        '|---' * (1 + len(COLUMNS)) + '|'
    ]
    for name, row in rows.items():
        values = (row.get(key) for key in COLUMNS)
        cells = ('-' if x is None else f'{x:.1f}' for x in values)
        lines.append(f'| {name} | ' + ' | '.join(cells) + ' |')
    source = json.loads(PUBLISHED.read_text())['source']
    return '\n'.join([*lines, '', f'Published: {source}.', ''])


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Writes and prints the report."""
    args = parse_args(argv)
    rows = gather(args.method)
    args.out.mkdir(parents=True, exist_ok=True)
    text = markdown(rows)
    (args.out / 'balance.md').write_text(text, encoding='utf-8')
    bar_chart(args.out / 'balance.png', [
        Panel(
            title, list(rows), {
                COLUMNS[key]: [row.get(key) for row in rows.values()]
                for key in keys
            }) for title, keys in PANELS.items()
    ])
    print(text)


if __name__ == '__main__':
    main()
