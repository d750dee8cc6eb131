"""Print the table of the demo: what its four models got right.

    python tools/demo/table.py work_dirs
"""
import argparse
import json
from pathlib import Path
from typing import Dict

ROWS = dict(
    spatial_demo='spatial expert alone',
    temporal_demo='temporal expert alone',
    independent_demo='both with adapters, no exchange',
    cast_demo='CAST')
COLUMNS = ('verb', 'noun', 'action')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('folder', type=Path, help='where the work dirs are')
    folder = parser.parse_args().folder
    print(format_table({name: read_result(folder / name) for name in ROWS}))


def read_result(work_dir: Path) -> Dict[str, float]:
    """Top-1 accuracies, per cent, of the last test in a work dir.

    Raises:
        FileNotFoundError: If nothing was tested there.
    """
    # <time>/<time>.json: what the runner writes after a test.
    for path in sorted(work_dir.glob('*/*.json'), reverse=True):
        figures = json.loads(path.read_text())
        if 'all/action_top1' in figures:
            return {key: figures[f'all/{key}_top1'] for key in COLUMNS}
    raise FileNotFoundError(f'{work_dir}: holds no result of a test')


def format_table(results: Dict[str, Dict[str, float]]) -> str:
    """A Markdown table, and by how much CAST leads."""
    width = max(map(len, ROWS.values()))
    lines = [
        f'| {"top-1, %":{width}} | verb | noun | action |',
        f'|-{"-" * width}-|-----:|-----:|-------:|'
    ]
    for name, label in ROWS.items():
        verb, noun, action = (results[name][key] for key in COLUMNS)
        lines.append(f'| {label:{width}} | {verb:4.1f} | {noun:4.1f} | '
                     f'{action:6.1f} |')
    lead = (results['cast_demo']['action'] -
            results['independent_demo']['action'])
    return '\n'.join([
        *lines, '', 'The exchange is worth '
        f'{lead:.1f} points of action. Chance: 12.5, 12.5 and 1.6.'
    ])


if __name__ == '__main__':
    main()
