"""What ``run_table.py`` reports: figures of runs, with the paper's beside them."""
from pathlib import Path
from statistics import mean, stdev
from typing import Dict, List, Sequence

from tables import load_tables

from cast_mmaction.evaluation import harmonic_mean
from cast_mmaction.visualization.charts import (Panel, Points, Spread,
                                                bar_chart, point_chart)

TASKS = ('verb', 'noun', 'action')
COLUMNS = ('row', *TASKS, 'H.M.', 'trained M', 'lr', 'steps', 'seconds',
           *(f'paper {task}' for task in TASKS), 'paper H.M.',
           'paper trained M')
# Of a table that ranks models; cost and figure of each.
COSTS = dict(giga='multiply-adds G', cpu_seconds='CPU s', memory='memory MB')

Figures = Dict[str, float]


def average(runs: Sequence[Figures]) -> Dict[str, Spread]:
    """Mean and spread of every figure."""
    return {
        key: Spread(
            mean(x[key] for x in runs),
            stdev(x[key] for x in runs) if len(runs) > 1 else None)
        for key in runs[0]
    }


def markdown(table: dict, rows: Dict[str, Dict[str, Spread]]) -> List[str]:
    """One line for every row of a table that has figures.

    Args:
        table: The paper's table.
        rows: Config to averaged figures.
    """
    costs = COSTS if table.get('costs') else {}
    columns = (*COLUMNS, *costs.values())
    lines = ['| ' + ' | '.join(columns) + ' |', '|---' * len(columns) + '|']
    for row in _ranked(table, rows):
        here, paper = rows[row['config']], row.get('paper', {})
        cells = [
            row['row'],
            *(_cell(here[key]) for key in (*TASKS, 'harmonic_mean')),
            f'{here["trainable"].mean / 1e6:.3f}', f'{here["lr"].mean:.3g}',
            f'{here["steps"].mean:.0f}', f'{here["seconds"].mean:.0f}',
            *(str(paper.get(task, '-')) for task in TASKS),
            f'{harmonic_mean(paper["verb"], paper["noun"]):.1f}'
            if paper else '-',
            str(paper.get('trainable', '-')),
            *(f'{here[key].mean:.3g}' if key in here else '-'
              for key in costs)
        ]
        lines.append('| ' + ' | '.join(cells) + ' |')
    return lines + ['']


def _ranked(table: dict, rows: Dict[str, Dict[str, Spread]]) -> List[dict]:
    """The rows with figures; models under one protocol, the best first."""
    known = [row for row in table['rows'] if row['config'] in rows]
    if table.get('costs'):
        known.sort(key=lambda row: -rows[row['config']]['action'].mean)
    return known


def _cell(value: Spread) -> str:
    if value.deviation is None:
        return f'{value.mean:.1f}'
    return f'{value.mean:.1f} ± {value.deviation:.1f}'


def write_report(name: str, folder: Path, where: str,
                 pairs: Dict[str, Dict[str, List[Figures]]]) -> str:
    """Writes NAME.md and NAME.png.

    Args:
        name: Name of the table.
        folder: Where to.
        where: The data that the figures are of.
        pairs: Name of a pair of experts to config to its runs' figures.

    Returns:
        The Markdown text.
    """
    data = load_tables()
    table = data['tables'][name]
    everything: Dict[str, List[Figures]] = {}
    for rows in pairs.values():
        for config, runs in rows.items():
            everything.setdefault(config, []).extend(runs)
    overall = {config: average(runs) for config, runs in everything.items()}
    counts = sorted({len(runs) for runs in everything.values()})
    lines = [
        f'# {name}: {table["title"]}', '',
        f'Here: {where}; {" or ".join(map(str, counts))} run(s) a row, top-1 '
        'in per cent, mean ± standard deviation; seconds of the training '
        'with its start. Paper: '
        f'{table.get("figures", data["figures"])} '
        f'({table.get("source", data["source"])}).', ''
    ]
    if len(pairs) > 1:
        for pair, rows in pairs.items():
            lines += [f'## Experts {pair}', '']
            lines += markdown(
                table, {config: average(runs)
                        for config, runs in rows.items()})
        lines += ['## All pairs', '']
    lines += markdown(table, overall)
    if 'note' in table:
        lines += [table['note'], '']
    text = '\n'.join(lines)
    (folder / f'{name}.md').write_text(text, encoding='utf-8')
    rows = _ranked(table, overall)
    if table.get('costs'):
        _cost_chart(folder / f'{name}.png', table, overall, where)
        return text
    bar_chart(
        folder / f'{name}.png', [
            Panel(
                task, [row['row'] for row in rows], {
                    'here': [overall[row['config']][task] for row in rows],
                    'paper': [row.get('paper', {}).get(task) for row in rows]
                }) for task in TASKS
        ], f'{table["title"]} (here: {where})')
    return text


def _cost_chart(path: Path, table: dict, rows: Dict[str, Dict[str, Spread]],
                where: str) -> None:
    """Accuracy of actions against multiply-adds: here, and as published."""
    here = {
        row['row']: (rows[row['config']]['giga'].mean,
                     rows[row['config']]['action'])
        for row in _ranked(table, rows)
    }
    paper = {
        name: (point['giga'], Spread(point['action']))
        for name, point in table['published'].items()
    }
    labels = ('multiply-adds of a view, G', 'action, top-1 in per cent')
    point_chart(
        path, [
            Points(f'Here: {where}', *labels, here),
            Points(f'Published: {table["source"]}', *labels, paper)
        ], table['title'])
