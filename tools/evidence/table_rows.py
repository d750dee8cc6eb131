"""Trainings and tests of a table's rows; see ``run_table.py``."""
import argparse
import json
import os
import resource
import runpy
import subprocess
import sys
import time
import traceback
from concurrent.futures import (ProcessPoolExecutor, ThreadPoolExecutor,
                                as_completed)
from multiprocessing import get_context
from pathlib import Path
from threading import Event
from typing import (Dict, Iterator, List, NamedTuple, Optional, Sequence,
                    Tuple)

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch.utils.flop_counter import FlopCounterMode

import cast_mmaction  # noqa: F401
from cast_mmaction.atomic_write import atomic_write
from cast_mmaction.engine.sizes import clip_size
from cast_mmaction.evaluation.balance import newest_log
from mmaction.registry import MODELS

from table_report import TASKS, Figures, write_report
from tables import ABLATIONS, CONFIGS, peers

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / 'configs/cast_demo.py'
CAST_BASE = "_base_ = './cast.py'"
WHERE = dict(
    demo='the generated set of the demo',
    paper='EPIC-KITCHENS-100 validation')
# Processes start from one that has imported everything.
FORKS = get_context('forkserver')
FORKS.set_forkserver_preload(['cast_mmaction', 'mmaction.apis'])


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


def write_config(run: Run, profile: str) -> Path:
    """The config of a run, on disk.

    A peer has one for either profile. In the demo that of an ablation is the row's own text on another base: a row changes what
    every CAST has, so that its change fits any.

    Raises:
        ValueError: if the row has another base than the others.
    """
    row = ABLATIONS / f'{run.config}.py'
    peer = peers().get(run.config)
    if peer:
        return CONFIGS / f'{peer["demo" if profile == "demo" else "real"]}.py'
    if profile == 'paper':
        return row
    base = DEMO
    folder = run.folder / 'config'
    folder.mkdir(parents=True, exist_ok=True)
    if run.experts:
        spatial, temporal = (
            dict(pretrained=str(run.experts.resolve() / f'{role}.pth'))
            for role in ('spatial', 'temporal'))
        base = folder.resolve() / 'base.py'
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
    print(f'== {run.folder}', flush=True)
    begin = time.monotonic()
    used = train(run, gpus, config)
    seconds = time.monotonic() - begin
    checkpoint = test(run, gpus, config, '--dump',
                      run.folder / 'predictions.pkl')
    logged = newest_log(run.folder / 'test')
    figures = {task: logged[f'all/{task}_top1'] for task in TASKS}
    figures.update(
        harmonic_mean=logged['all/harmonic_mean'],
        seconds=seconds,
        **(used or {}),
        **measure(config, run.options, checkpoint))
    with atomic_write(result) as temporary:
        temporary.write_text(json.dumps(figures, indent=1))
    print(f'   {run.folder}: action {figures["action"]:.1f}', flush=True)
    return figures


def train(run: Run, gpus: int, config: Path) -> Figures:
    """Trains, or goes on; gives back what :func:`call` does."""
    return call('train', run, gpus, config, '--work-dir', run.folder, '--seed',
                run.seed, '--resume', *_options(run))


def test(run: Run, gpus: int, config: Path, *arguments) -> str:
    """Tests the last checkpoint, with more arguments for tools/test.py, and
    gives back its path."""
    checkpoint = (run.folder / 'last_checkpoint').read_text().strip()
    call('test', run, gpus, config, checkpoint, '--work-dir',
         run.folder / 'test', *arguments, *_options(run))
    return checkpoint


def _options(run: Run) -> List[str]:
    return ['--cfg-options', *run.options] if run.options else []


def check_settings(run: Run, cfg: Config) -> None:
    """Stops where a folder was begun with other settings."""
    settings = run.folder / 'settings.json'
    wanted = json.dumps(
        dict(config=cfg.to_dict(), options=run.options, experts=run.experts),
        default=str)
    if not settings.exists():
        with atomic_write(settings) as temporary:
            temporary.write_text(wanted)
    elif settings.read_text() != wanted:
        raise SystemExit(
            f'{run.folder} was begun with another config or other options; '
            'choose another --work-dir, or delete that folder')


def call(script: str, run: Run, gpus: int, config: Path,
         *arguments) -> Figures:
    """Runs tools/train.py or tools/test.py; stops if it fails.

    Args:
        script: 'train' or 'test'.
        run: Whose it is.
        gpus: Processes; several are launched by dist_train.sh or dist_test.sh.
        config: The config.
        arguments: What else is on the command line.

    Returns:
        What it took, see :func:`run_script`; of GPUs their 'memory' alone.
    """
    command = [str(x) for x in (config, *arguments)]
    log = run.folder / 'output.log'
    used: Figures = {}
    if gpus == 1:
        with ProcessPoolExecutor(1, FORKS) as process:
            future = process.submit(run_script, script, command, log)
            failure = future.exception()
            used = {} if failure else future.result()
    else:
        positionals = 1 if script == 'train' else 2  # the test's checkpoint
        command.insert(positionals, str(gpus))
        launcher = ROOT / f'tools/dist_{script}.sh'
        with open(log, 'a') as out:
            failure = subprocess.run(['bash', str(launcher), *command],
                                     stdout=out, stderr=out).returncode
    if failure:
        last = '\n'.join(log.read_text().splitlines()[-20:])
        raise SystemExit(f'{last}\n{script}.py failed ({failure!r}), all of '
                         f'its output is in {log}; call this again to go on')
    return {**used, **gpu_memory(run.folder)}


def gpu_memory(folder: Path) -> Figures:
    """Megabytes that a training has held on a GPU, from its log."""
    logs = sorted(folder.glob('*/vis_data/scalars.json'))
    lines = logs[-1].read_text().splitlines() if logs else []
    found = [json.loads(line).get('memory', 0) for line in lines]
    return dict(memory=max(found)) if any(found) else {}


def run_script(script: str, arguments: List[str], log: Path) -> Figures:
    """Runs a script of this folder in this process, its output in a file.

    Returns:
        'cpu_seconds' and, in megabytes, 'memory': the most that the process
        had beyond what it began with.
    """
    before = resource.getrusage(resource.RUSAGE_SELF)
    with open(log, 'a') as out:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(out.fileno(), stream.fileno())
    sys.argv = [script, *arguments]
    try:
        runpy.run_path(str(ROOT / f'tools/{script}.py'), run_name='__main__')
    except Exception:
        traceback.print_exc()
        raise
    after = resource.getrusage(resource.RUSAGE_SELF)
    return dict(
        cpu_seconds=after.ru_utime + after.ru_stime - before.ru_utime -
        before.ru_stime,
        memory=(after.ru_maxrss - before.ru_maxrss) / 1024)


def build_model(cfg: Config) -> torch.nn.Module:
    """The model of a config, to look at: without weights and input."""
    init_default_scope('mmaction')
    model = dict(cfg.model)
    model.pop('data_preprocessor')
    own = MODELS.get(model['backbone']['type']).__module__
    # Some of the host's look at values while they are built.
    where = 'meta' if own.startswith('cast_mmaction') else 'cpu'
    with torch.device(where):
        return MODELS.build(model).to('meta')


def measure(config: Path, options: Sequence[str],
            checkpoint: str) -> Figures:
    """Trained parameters, multiply-adds (G a view), learning rate and
    optimizer steps of a training."""
    cfg = Config.fromfile(config)
    for option in options:
        key, _, value = option.partition('=')
        if key == 'optim_wrapper.optimizer.lr':
            cfg.optim_wrapper.optimizer.lr = float(value)
    meta = torch.load(
        checkpoint, map_location='cpu', weights_only=True)['meta']
    model = build_model(cfg)
    return dict(
        trainable=sum(
            p.numel() for p in model.parameters() if p.requires_grad),
        giga=multiply_adds(model, cfg) / 1e9,
        lr=cfg.optim_wrapper.optimizer.lr,
        steps=meta['iter'] // cfg.optim_wrapper.get('accumulative_counts', 1))


def multiply_adds(model: torch.nn.Module, cfg: Config) -> float:
    """Of the backbone on one view of the test, attention included."""
    frames, side = clip_size(cfg, 'test')
    shape = (1, 3, frames, side, side)
    if cfg.model.type == 'Recognizer2D':
        shape = (frames, 3, side, side)
    model.requires_grad_(False).eval()
    with torch.device('meta'), FlopCounterMode(display=False) as counter:
        model.backbone(torch.empty(shape))
    return counter.get_total_flops() / 2


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
        with atomic_write(out) as temporary:
            temporary.write_text(header + ''.join(part))
        options.append(f'{split}_dataloader.dataset.ann_file={out}')
    return tuple(options)


def plan(args: argparse.Namespace, config: str, experts: Optional[Path],
         seed: int) -> Run:
    """The run of a row with a pair of experts and a seed."""
    pair = experts.name if experts else 'experts'
    folder = args.work_dir / args.profile / pair / config / f'seed{seed}'
    return Run(config, experts, folder, seed, tuple(args.cfg_options))


def execute_all(runs: Sequence[Run],
                args: argparse.Namespace) -> Iterator[Tuple[Run, Figures]]:
    """Executes runs, gives them back as they finish; after a failure none is
    begun."""
    failed = Event()

    def attempt(run: Run) -> Optional[Figures]:
        if failed.is_set():
            return None
        try:
            return execute(run, args.profile, args.gpus)
        except BaseException:
            failed.set()
            raise

    with ThreadPoolExecutor(args.jobs) as pool:
        futures = {pool.submit(attempt, run): run for run in runs}
        for future in as_completed(futures):
            if future.result() is not None:
                yield futures[future], future.result()


def choose_rates(args: argparse.Namespace) -> Dict[str, Tuple[str, ...]]:
    """The option with the learning rate that suits each row best.

    Every rate of every row has the same budget: a run with the first seed and
    the first pair of experts.
    """
    options = [f'optim_wrapper.optimizer.lr={lr}' for lr in args.lrs or ()]
    if len(options) < 2:
        return {config: tuple(options) for config in args.rows}
    runs = []
    for config in args.rows:
        first = plan(args, config, args.experts[0], args.seeds[0])
        folder = first.folder.parent / 'search'
        parts = hold_out(
            Config.fromfile(write_config(first, args.profile)), folder)
        runs += [
            first._replace(
                folder=folder / f'lr{lr:g}',
                options=(*first.options, *parts, option))
            for lr, option in zip(args.lrs, options)
        ]
    scores: Dict[str, Dict[str, float]] = {}
    for run, figures in execute_all(runs, args):
        scores.setdefault(run.config,
                          {})[run.options[-1]] = figures['action']
    # Of equals the first: which run ended first must not matter.
    return {
        config: (max(options, key=scores[config].get), )
        for config in args.rows
    }


def run(args: argparse.Namespace) -> None:
    """Runs what is missing; the report grows with every run."""
    if args.jobs > 1:
        os.environ.setdefault('OMP_NUM_THREADS', '1')  # jobs share the cores
    rates = choose_rates(args)
    runs = [
        plan(args, config, experts, seed) for config in args.rows
        for experts in args.experts for seed in args.seeds
    ]
    runs = [run._replace(options=run.options + rates[run.config])
            for run in runs]
    pairs: Dict[str, Dict[str, List[Figures]]] = {}
    for run, figures in execute_all(runs, args):
        pair = run.folder.parent.parent.name
        pairs.setdefault(pair, {}).setdefault(run.config, []).append(figures)
        text = write_report(args.table, args.work_dir / args.profile,
                            WHERE[args.profile], pairs)
    print(text)
