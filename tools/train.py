"""Train a recognizer."""
import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, List

if TYPE_CHECKING:  # --help does not wait for what takes seconds
    from mmengine.config import Config

HALVES = ('float16', 'bfloat16')
# Beside the tools in a clone and in the wheel.
ENGINES = Path(__file__).resolve().parents[1] / 'configs/_base_/engine'


def parse_args() -> argparse.Namespace:
    """The arguments of MMAction2's own tools/train.py."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'config',
        help='config file, or the name of one: cast_mmaction::demo/'
        'cast_demo.py, or that of a model of the index')
    parser.add_argument('--work-dir', help='where logs and checkpoints go')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        help='go on from this checkpoint; without a value, from the last one '
        'in the work dir, if there is one')
    parser.add_argument(
        '--finetune',
        metavar='CHECKPOINT',
        help='start from all its weights but the classifier; a later '
        '--resume goes on with what has been trained since')
    parser.add_argument(
        '--amp',
        nargs='?',
        const='auto',
        choices=['auto', *HALVES],
        help='mixed precision on a GPU, in bfloat16 where it has that and '
        'none is named; without a GPU the training stays in float32')
    parser.add_argument(
        '--engine',
        choices=sorted(x.stem for x in ENGINES.glob('*.py')),
        help='how several processes share a training: a file of '
        'configs/_base_/engine, put over the config')
    parser.add_argument(
        '--no-validate',
        action='store_true',
        help='do not evaluate during the training')
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate with the total batch size')
    parser.add_argument('--seed', type=int, help='seed of all random draws')
    parser.add_argument(
        '--diff-rank-seed',
        action='store_true',
        help='another seed for every process')
    parser.add_argument(
        '--deterministic',
        action='store_true',
        help='choose deterministic algorithms in cuDNN')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action='extend',
        default=[],
        metavar='KEY=VALUE',
        help='change the config: key=value ..., nested as a.b=1 c="[2,3]"')
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='who has started the processes')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)
    args = parser.parse_args(_amp_without_value(sys.argv[1:]))
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def _amp_without_value(words: List[str]) -> List[str]:
    """Keep ``--amp`` from taking the config behind it for its value."""
    return [
        '--amp=auto' if word == '--amp' and after not in HALVES else word
        for word, after in zip(words, [*words[1:], None])
    ]


def build_config(args: argparse.Namespace) -> 'Config':
    """Read the config and let the command line change it."""
    from cast_mmaction.config_names import read_config
    from cast_mmaction.datasets.deferring import defer_augmentation
    from cast_mmaction.engine.resume import keep_step
    from cast_mmaction.engine.sizes import state_classes
    from cast_mmaction.options import as_options, check_options
    from cast_mmaction.precision import best_half
    from mmengine.config import Config
    cfg = read_config(args.config)
    options = as_options(args.cfg_options)
    check_options(cfg, options)
    cfg.launcher = args.launcher
    if args.engine:
        if 'runner_type' in cfg:
            raise ValueError('--engine is for the runner of type Runner; '
                             f'{args.config} has a {cfg.runner_type}')
        cfg.merge_from_dict(
            Config.fromfile(ENGINES / f'{args.engine}.py').to_dict())
    if args.no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    if args.amp:
        kind = cfg.optim_wrapper.get('type', 'OptimWrapper')
        if kind not in ('OptimWrapper', 'AmpOptimWrapper'):
            raise ValueError('--amp turns an OptimWrapper into an '
                             f'AmpOptimWrapper; {args.config} has a {kind}')
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
        cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')
        if args.amp != 'auto':
            cfg.optim_wrapper.dtype = args.amp
        cfg.optim_wrapper.setdefault('dtype', best_half())
    if args.resume:
        cfg.resume = True
        cfg.load_from = None if args.resume == 'auto' else args.resume
    if args.finetune:
        if not Path(args.finetune).is_file():
            raise ValueError(f'--finetune {args.finetune}: there is no such '
                             'file')
        cfg.custom_hooks = [
            *cfg.get('custom_hooks', []),
            dict(type='FinetuneHook', checkpoint=args.finetune)
        ]
    if args.auto_scale_lr:
        if 'auto_scale_lr' not in cfg:
            raise ValueError('--auto-scale-lr needs '
                             f'auto_scale_lr.base_batch_size in {args.config}')
        cfg.auto_scale_lr.enable = True
    randomness = cfg.get('randomness', dict(seed=None))
    if args.seed is not None:
        randomness['seed'] = args.seed
    if args.diff_rank_seed:
        randomness['diff_rank_seed'] = True
    if args.deterministic:
        randomness['deterministic'] = True
    cfg.randomness = randomness
    # What the host's own hook saves could not be loaded again.
    checkpoint = cfg.get('default_hooks', {}).get('checkpoint') or {}
    if checkpoint.get('type') == 'CheckpointHook':
        checkpoint.type = 'SafeCheckpointHook'
    cfg.merge_from_dict(options)
    state_classes(cfg)
    defer_augmentation(cfg)
    keep_step(cfg)
    cfg.work_dir = args.work_dir or cfg.get(
        'work_dir', f'work_dirs/{Path(args.config).stem}')
    return cfg


def run(cfg: 'Config') -> None:
    """Build the runner and train."""
    from cast_mmaction.engine import QuietRunner
    from mmaction.registry import RUNNERS
    runner = RUNNERS.build(cfg) if 'runner_type' in cfg else \
        QuietRunner.from_cfg(cfg)
    runner.train()


def main() -> None:
    """Train, and leave the other processes in good order."""
    args = parse_args()
    from cast_mmaction.engine import leave_process_group
    from cast_mmaction.one_line import errors_in_one_line
    with errors_in_one_line():
        run(build_config(args))
        leave_process_group()


if __name__ == '__main__':
    main()
