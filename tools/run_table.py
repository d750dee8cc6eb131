"""Run the rows of one of the paper's ablations and set the figures beside it.

    tools/run_table.py table1d --profile demo --seeds 0 1 2
    tools/run_table.py table1d --profile paper --gpus 8

Rows are trained and tested one after another. What is finished is skipped,
what broke off goes on from its last checkpoint: call it again. Tables share
their runs. `demo` puts each row's change on configs/cast_demo.py, whose data
and experts tools/quickstart.sh makes; `paper` runs the row as it is.
"""
import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import mean, stdev
from typing import Dict, List, NamedTuple, Optional, Sequence

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

import cast_mmaction  # noqa: F401
from cast_mmaction.evaluation import harmonic_mean
from cast_mmaction.evaluation.balance import newest_log
from cast_mmaction.visualization.charts import Panel, Spread, bar_chart
from mmaction.registry import MODELS

ROOT = Path(__file__).resolve().parent.parent
ABLATIONS = ROOT / 'configs/cast/ablations'
DEMO = ROOT / 'configs/cast_demo.py'
CAST_BASE = "_base_ = './cast.py'"
TASKS = ('verb', 'noun', 'action')


class Run(NamedTuple):
    """One training: a row with one seed on one pair of experts.

    Attributes:
        config: Name of the row's config.
        seed: Seed of all random draws.
        experts: Folder of the pair of experts (demo); None as configured.
        folder: Where the run leaves its files.
    """
    config: str
    seed: int
    experts: Optional[Path]
    folder: Path


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    tables = load_tables()['tables']
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'table',
        choices=tables,
        metavar='TABLE',
        help=f'one of {", ".join(tables)}')
    parser.add_argument(
        '--profile', choices=['demo', 'paper'], default='demo')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0])
    parser.add_argument('--gpus', type=int, default=1, help='on this machine')
    parser.add_argument(
        '--experts',
        type=Path,
        nargs='+',
        help='folders of other pre-trained pairs for the demo, each with '
        'spatial.pth and temporal.pth')
    parser.add_argument(
        '--rows',
        nargs='+',
        metavar='CONFIG',
        help='only these rows, by the names of their configs')
    parser.add_argument(
        '--work-dir', type=Path, default=ROOT / 'work_dirs/tables')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        default=[],
        help='as in tools/train.py, for every row')
    args = parser.parse_args(argv)
    if args.profile not in tables[args.table]['profiles']:
        parser.error(f'{args.table} needs experts or a depth that the demo '
                     'has not: use --profile paper')
    if args.experts and args.profile != 'demo':
        parser.error('--experts is for --profile demo')
    for folder in args.experts or ():
        for role in ('spatial', 'temporal'):
            if not (folder / f'{role}.pth').is_file():
                parser.error(f'{folder / role}.pth: there is no such file')
    configs = [row['config'] for row in tables[args.table]['rows']]
    for name in args.rows or ():
        if name not in configs:
            parser.error(f'{args.table} has no row {name!r}; its rows: '
                         f'{", ".join(configs)}')
    return args


def load_tables() -> dict:
    """The paper's tables, see tables.json beside the rows."""
    return json.loads((ABLATIONS / 'tables.json').read_text())


def plan(args: argparse.Namespace) -> List[Run]:
    """All runs of a table, row by row."""
    rows = load_tables()['tables'][args.table]['rows']
    return [
        Run(
            row['config'], seed, experts, args.work_dir / args.profile /
            (experts.name if experts else 'experts') / row['config'] /
            f'seed{seed}') for row in rows
        if not args.rows or row['config'] in args.rows
        for experts in args.experts or [None] for seed in args.seeds
    ]


def write_config(run: Run, profile: str) -> Path:
    """The config of a run, on disk.

    In the demo it is the row's own text on another base: a row changes what
    every CAST has, so that its change fits any.
    """
    row = ABLATIONS / f'{run.config}.py'
    if profile == 'paper':
        return row
    base = DEMO
    if run.experts:
        spatial, temporal = (
            dict(pretrained=str(run.experts.resolve() / f'{role}.pth'))
            for role in ('spatial', 'temporal'))
        base = run.folder / 'base.py'
        backbone = dict(spatial=spatial, temporal=temporal)
        base.write_text(f'_base_ = {str(DEMO)!r}\n'
                        f'model = {dict(backbone=backbone)!r}\n')
    text = row.read_text() if run.config != 'cast' else CAST_BASE
    if CAST_BASE not in text:
        raise ValueError(f'{row}: a row of the demo needs {CAST_BASE}')
    text = text.replace(CAST_BASE, f'_base_ = {str(base)!r}')
    path = run.folder / f'{run.config}.py'
    path.write_text(text)
    return path


def execute(run: Run, args: argparse.Namespace) -> Dict[str, float]:
    """Trains and tests, unless that is done; gives back the figures."""
    result = run.folder / 'result.json'
    settings = run.folder / 'settings.json'
    run.folder.mkdir(parents=True, exist_ok=True)
    config = write_config(run, args.profile)
    wanted = dict(
        cfg_options=args.cfg_options,
        config=Config.fromfile(config).to_dict(),
        experts=str(run.experts))
    wanted = json.loads(json.dumps(wanted, default=str))
    if not settings.exists():
        settings.write_text(json.dumps(wanted))
    elif json.loads(settings.read_text()) != wanted:
        raise SystemExit(
            f'{run.folder} was begun with another config or --cfg-options; '
            'choose another --work-dir, or delete that folder')
    if result.exists():
        return json.loads(result.read_text())

    options = ['--cfg-options', *args.cfg_options] if args.cfg_options else []
    begin = time.monotonic()
    _call('dist_train.sh', config, args.gpus, '--work-dir', run.folder,
          '--seed', run.seed, '--resume', *options)
    seconds = time.monotonic() - begin
    checkpoint = (run.folder / 'last_checkpoint').read_text().strip()
    _call('dist_test.sh', config, checkpoint, args.gpus, '--work-dir',
          run.folder / 'test', *options)
    figures = newest_log(run.folder / 'test')
    trained, steps = _measure(config, checkpoint)
    figures = dict(
        {task: figures[f'all/{task}_top1'] for task in TASKS},
        harmonic_mean=figures['all/harmonic_mean'],
        trainable=trained,
        steps=steps,
        seconds=seconds)
    part = result.with_suffix('.part')
    part.write_text(json.dumps(figures, indent=1))
    part.replace(result)
    return figures


def _call(script: str, *arguments) -> None:
    command = ['bash', str(ROOT / 'tools' / script), *map(str, arguments)]
    if subprocess.run(command).returncode:
        raise SystemExit(f'{script} failed, see above; call this again to go '
                         f'on. It was: {" ".join(command)}')


def build_model(cfg: Config) -> torch.nn.Module:
    """The model of a config, to look at: without weights and input."""
    init_default_scope('mmaction')
    cfg = dict(cfg.model)
    cfg.pop('data_preprocessor')
    with torch.device('meta'):
        return MODELS.build(cfg)


def _measure(config: Path, checkpoint: str) -> tuple:
    """Trained parameters, and optimizer steps of the whole training."""
    cfg = Config.fromfile(config)
    model = build_model(cfg)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    meta = torch.load(
        checkpoint, map_location='cpu', weights_only=True)['meta']
    return trained, meta['iter'] // cfg.optim_wrapper.get(
        'accumulative_counts', 1)


def gather(runs: List[Run],
           figures: Dict[Run, dict]) -> Dict[str, Dict[str, Spread]]:
    """Mean and spread of every figure over the runs of a config."""
    gathered: Dict[str, Dict[str, Spread]] = {}
    for config in dict.fromkeys(run.config for run in runs):
        of_row = [figures[run] for run in runs
                  if run.config == config and run in figures]
        if of_row:
            gathered[config] = {
                key: Spread(
                    mean(x[key] for x in of_row),
                    stdev(x[key] for x in of_row)
                    if len(of_row) > 1 else None)
                for key in of_row[0]
            }
    return gathered


def report(args: argparse.Namespace, runs: List[Run],
           figures: Dict[Run, dict]) -> str:
    """Writes TABLE.md and TABLE.png beside the runs; gives back the text."""
    data = load_tables()
    table = data['tables'][args.table]
    where = ('the generated set of the demo'
             if args.profile == 'demo' else 'EPIC-KITCHENS-100 validation')
    lines = [
        f'# {args.table}: {table["title"]}', '',
        f'Here: {where}; {len(args.seeds)} seed(s) {args.seeds}, top-1 in per '
        'cent, mean ± standard deviation. Paper: '
        f'{data["figures"]} ({data["source"]}).', ''
    ]
    pairs = args.experts or [None]
    for pair in pairs:
        if len(pairs) > 1:
            lines += [f'## Experts {pair.name}', '']
        lines += _markdown(
            table, gather([r for r in runs if r.experts == pair], figures))
    everything = gather(runs, figures)
    if len(pairs) > 1:
        lines += ['## All pairs and seeds', '', *_markdown(table, everything)]
    if 'note' in table:
        lines += [table['note'], '']
    folder = args.work_dir / args.profile
    text = '\n'.join(lines)
    (folder / f'{args.table}.md').write_text(text, encoding='utf-8')
    rows = [row for row in table['rows'] if row['config'] in everything]
    bar_chart(
        folder / f'{args.table}.png', [
            Panel(
                task, [row['row'] for row in rows], {
                    'here': [everything[r['config']][task] for r in rows],
                    'paper': [r.get('paper', {}).get(task) for r in rows],
                }) for task in TASKS
        ], f'{table["title"]} (here: {where})')
    return text


def _markdown(table: dict, gathered: Dict[str,
                                          Dict[str, Spread]]) -> List[str]:
    columns = [
        'row', *TASKS, 'H.M.', 'trained M', 'steps', 'seconds',
        *(f'paper {task}' for task in TASKS), 'paper H.M.', 'paper trained M'
    ]
    lines = ['| ' + ' | '.join(columns) + ' |', '|---' * len(columns) + '|']
    for row in table['rows']:
        here = gathered.get(row['config'])
        if here is None:
            continue
        paper = row.get('paper', {})
        both = [paper[task] for task in TASKS[:2]] if paper else []
        cells = [
            row['row'], *(_cell(here[key])
                          for key in (*TASKS, 'harmonic_mean')),
            f'{here["trainable"].mean / 1e6:.3f}', f'{here["steps"].mean:.0f}',
            f'{here["seconds"].mean:.0f}',
            *(f'{paper.get(task, "-")}' for task in TASKS),
            f'{harmonic_mean(*both):.1f}' if both else '-',
            f'{paper.get("trainable", "-")}'
        ]
        lines.append('| ' + ' | '.join(cells) + ' |')
    return lines + ['']


def _cell(value: Spread) -> str:
    if value.deviation is None:
        return f'{value.mean:.1f}'
    return f'{value.mean:.1f} ± {value.deviation:.1f}'


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Runs what is missing; the report grows with every run."""
    args = parse_args(argv)
    runs = plan(args)
    figures: Dict[Run, dict] = {}
    for i, run in enumerate(runs, 1):
        print(f'[{i}/{len(runs)}] {run.folder}', flush=True)
        figures[run] = execute(run, args)
        text = report(args, runs, figures)
    print(text)


if __name__ == '__main__':
    sys.exit(main())
