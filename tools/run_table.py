"""Run the rows of one of the paper's ablations and set the figures beside it.

    tools/run_table.py table1d --profile demo --gpus 2 --seeds 0 1 2
    tools/run_table.py table1d --profile paper --gpus 8

Rows are trained and tested one after another. What is finished is skipped,
what broke off goes on from its last checkpoint: call it again. Tables share
their runs. `demo` puts each row's change on configs/cast_demo.py, whose data
and experts tools/quickstart.sh makes; `paper` runs the row as it is.

With several --lrs every row searches its learning rate: trained on the first
nine tenths of the training list, judged by the actions of the rest. The test
set has no say.
"""
import argparse
import json
import subprocess
import time
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

import cast_mmaction  # noqa: F401
from cast_mmaction.engine.files import whole_file
from cast_mmaction.evaluation.balance import newest_log
from mmaction.registry import MODELS

from table_report import (ABLATIONS, TASKS, Figures, load_tables,
                          write_report)

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / 'configs/cast_demo.py'
CAST_BASE = "_base_ = './cast.py'"
WHERE = dict(
    demo='the generated set of the demo',
    paper='EPIC-KITCHENS-100 validation')


class Run(NamedTuple):
    """One training.

    Attributes:
        config: Name of the row's config.
        experts: Folder of the pair of experts (demo); None as configured.
        folder: Where the run leaves its files.
        seed: Seed of all random draws.
        options: As ``--cfg-options`` of tools/train.py.
    """
    config: str
    experts: Optional[Path]
    folder: Path
    seed: int
    options: Tuple[str, ...]


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
    parser.add_argument(
        '--gpus',
        type=int,
        default=1,
        help='on this machine; without any GPU, processes')
    parser.add_argument(
        '--experts',
        type=Path,
        nargs='+',
        metavar='DIR',
        help='folders of other pre-trained pairs for the demo, each with '
        'spatial.pth and temporal.pth')
    parser.add_argument(
        '--lrs',
        type=float,
        nargs='+',
        metavar='LR',
        help='learning rates to choose from, row by row')
    parser.add_argument(
        '--rows',
        nargs='+',
        metavar='CONFIG',
        help='only these rows, by the names of their configs')
    parser.add_argument(
        '--work-dir', type=Path, default=Path('work_dirs/tables'))
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        default=[],
        help='as in tools/train.py, for every row')
    args = parser.parse_args(argv)
    table = tables[args.table]
    if args.profile not in table['profiles']:
        parser.error(f'{args.table} needs experts or a depth that the demo '
                     'has not: use --profile paper')
    if args.experts and args.profile != 'demo':
        parser.error('--experts is for --profile demo')
    for folder in args.experts or ():
        for role in ('spatial', 'temporal'):
            if not (folder / f'{role}.pth').is_file():
                parser.error(f'{folder / role}.pth: there is no such file')
    configs = [row['config'] for row in table['rows']]
    for name in args.rows or ():
        if name not in configs:
            parser.error(f'{args.table} has no row {name!r}; its rows: '
                         f'{", ".join(configs)}')
    args.rows = [x for x in configs if x in (args.rows or configs)]
    return args


def write_config(run: Run, profile: str) -> Path:
    """The config of a run, on disk.

    In the demo it is the row's own text on another base: a row changes what
    every CAST has, so that its change fits any.

    Raises:
        ValueError: if the row has another base than the others.
    """
    row = ABLATIONS / f'{run.config}.py'
    if profile == 'paper':
        return row
    base = DEMO
    folder = run.folder / 'config'
    folder.mkdir(parents=True, exist_ok=True)
    if run.experts:
        spatial, temporal = (
            dict(pretrained=str(run.experts.resolve() / f'{role}.pth'))
            for role in ('spatial', 'temporal'))
        base = folder / 'base.py'
        backbone = dict(spatial=spatial, temporal=temporal)
        base.write_text(f'_base_ = {str(DEMO)!r}\n'
                        f'model = {dict(backbone=backbone)!r}\n')
    text = row.read_text() if run.config != 'cast' else CAST_BASE
    if CAST_BASE not in text:
        raise ValueError(f'{row}: a row of the demo needs {CAST_BASE}')
    path = folder / f'{run.config}.py'
    path.write_text(text.replace(CAST_BASE, f'_base_ = {str(base)!r}'))
    return path


def execute(run: Run, profile: str, gpus: int) -> Figures:
    """Trains and tests, unless that is done; gives back the figures."""
    run.folder.mkdir(parents=True, exist_ok=True)
    config = write_config(run, profile)
    check_settings(run, Config.fromfile(config))
    result = run.folder / 'result.json'
    if result.exists():
        return json.loads(result.read_text())
    options = ['--cfg-options', *run.options] if run.options else []
    begin = time.monotonic()
    call('dist_train.sh', config, gpus, '--work-dir', run.folder, '--seed',
         run.seed, '--resume', *options)
    seconds = time.monotonic() - begin
    checkpoint = (run.folder / 'last_checkpoint').read_text().strip()
    call('dist_test.sh', config, checkpoint, gpus, '--work-dir',
         run.folder / 'test', *options)
    logged = newest_log(run.folder / 'test')
    figures = {task: logged[f'all/{task}_top1'] for task in TASKS}
    figures.update(
        harmonic_mean=logged['all/harmonic_mean'],
        seconds=seconds,
        **measure(config, run.options, checkpoint))
    with whole_file(result) as temporary:
        temporary.write_text(json.dumps(figures, indent=1))
    return figures


def check_settings(run: Run, cfg: Config) -> None:
    """Stops where a folder was begun with other settings."""
    settings = run.folder / 'settings.json'
    wanted = json.dumps(
        dict(config=cfg.to_dict(), options=run.options, experts=run.experts),
        default=str)
    if not settings.exists():
        with whole_file(settings) as temporary:
            temporary.write_text(wanted)
    elif settings.read_text() != wanted:
        raise SystemExit(
            f'{run.folder} was begun with another config or other options; '
            'choose another --work-dir, or delete that folder')


def call(script: str, *arguments) -> None:
    """Runs one of the launch scripts; stops if it fails."""
    command = ['bash', str(ROOT / 'tools' / script), *map(str, arguments)]
    if subprocess.run(command).returncode:
        raise SystemExit(f'{script} failed, see above; call this again to go '
                         f'on. It was: {" ".join(command)}')


def build_model(cfg: Config) -> torch.nn.Module:
    """The model of a config, to look at: without weights and input."""
    init_default_scope('mmaction')
    model = dict(cfg.model)
    model.pop('data_preprocessor')
    with torch.device('meta'):
        return MODELS.build(model)


def measure(config: Path, options: Sequence[str],
            checkpoint: str) -> Figures:
    """Trained parameters, learning rate and optimizer steps of a training."""
    cfg = Config.fromfile(config)
    for option in options:
        key, _, value = option.partition('=')
        if key == 'optim_wrapper.optimizer.lr':
            cfg.optim_wrapper.optimizer.lr = float(value)
    meta = torch.load(
        checkpoint, map_location='cpu', weights_only=True)['meta']
    return dict(
        trainable=sum(p.numel() for p in build_model(cfg).parameters()
                      if p.requires_grad),
        lr=cfg.optim_wrapper.optimizer.lr,
        steps=meta['iter'] // cfg.optim_wrapper.get('accumulative_counts', 1))


def hold_out(cfg: Config, folder: Path) -> Tuple[str, ...]:
    """Splits the training list; gives back the options that use the parts."""
    dataset = cfg.train_dataloader.dataset
    path = ROOT / dataset.get('data_root', '') / dataset.ann_file
    header, *rows = path.read_text().splitlines(keepends=True)
    count = len(rows) * 9 // 10
    folder.mkdir(parents=True, exist_ok=True)
    options = []
    for split, part in (('train', rows[:count]), ('test', rows[count:])):
        out = (folder / f'{split}.csv').resolve()
        with whole_file(out) as temporary:
            temporary.write_text(header + ''.join(part))
        options.append(f'{split}_dataloader.dataset.ann_file={out}')
    return tuple(options)


def search(first: Run, args: argparse.Namespace) -> Optional[str]:
    """The option with the learning rate that suits a row best.

    Every rate has the same budget: one run like ``first``.
    """
    if not args.lrs:
        return None
    options = [f'optim_wrapper.optimizer.lr={lr}' for lr in args.lrs]
    if len(options) == 1:
        return options[0]
    folder = first.folder.parent / 'search'
    parts = hold_out(
        Config.fromfile(write_config(first, args.profile)), folder)
    scores = {}
    for lr, option in zip(args.lrs, options):
        run = first._replace(
            folder=folder / f'lr{lr:g}',
            options=(*first.options, *parts, option))
        scores[option] = execute(run, args.profile, args.gpus)['action']
        print(f'{run.folder}: action {scores[option]:.1f}', flush=True)
    return max(scores, key=scores.get)


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Runs what is missing; the report grows with every row."""
    args = parse_args(argv)
    out = args.work_dir / args.profile
    pairs: Dict[str, Dict[str, List[Figures]]] = {}
    for config in args.rows:
        for experts in args.experts or [None]:
            pair = experts.name if experts else 'experts'
            runs = [
                Run(config, experts, out / pair / config / f'seed{seed}', seed,
                    tuple(args.cfg_options)) for seed in args.seeds
            ]
            lr = search(runs[0], args)
            for run in runs:
                if lr:
                    run = run._replace(options=(*run.options, lr))
                print(f'== {run.folder}', flush=True)
                pairs.setdefault(pair, {}).setdefault(config, []).append(
                    execute(run, args.profile, args.gpus))
        text = write_report(args.table, out, WHERE[args.profile], pairs)
    print(text)


if __name__ == '__main__':
    main()
