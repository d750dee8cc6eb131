"""Test a trained recognizer."""
import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # --help does not wait for what takes seconds
    from mmengine.config import Config


def parse_args() -> argparse.Namespace:
    """The arguments of MMAction2's own tools/test.py."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'config',
        help='config file, or the name of one: cast_mmaction::demo/'
        'cast_demo.py, or that of a model of the index')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--work-dir', help='where logs go')
    parser.add_argument(
        '--dump',
        help='write all predictions to this .pkl file, and to an .npz beside '
        'it')
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
    args = parser.parse_args()
    if args.dump and not args.dump.endswith(('.pkl', '.pickle')):
        parser.error('--dump writes a pickle: name a .pkl file')
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def build_config(args: argparse.Namespace) -> 'Config':
    """Read the config and let the command line change it."""
    from cast_mmaction.config_names import read_config
    from cast_mmaction.engine.sizes import state_classes
    from cast_mmaction.options import as_options, check_options
    cfg = read_config(args.config)
    options = as_options(args.cfg_options)
    check_options(cfg, options)
    cfg.launcher = args.launcher
    cfg.merge_from_dict(options)
    state_classes(cfg)
    cfg.work_dir = args.work_dir or cfg.get(
        'work_dir', f'work_dirs/{Path(args.config).stem}')
    cfg.load_from, cfg.resume = args.checkpoint, False
    if args.dump:
        if not isinstance(cfg.test_evaluator, (list, tuple)):
            cfg.test_evaluator = [cfg.test_evaluator]
        cfg.test_evaluator = [
            *cfg.test_evaluator,
            dict(type='DumpPlainResults', out_file_path=args.dump)
        ]
    return cfg


def run(cfg: 'Config') -> None:
    """Build the runner and test."""
    from cast_mmaction.engine import QuietRunner
    from mmaction.registry import RUNNERS
    runner = RUNNERS.build(cfg) if 'runner_type' in cfg else \
        QuietRunner.from_cfg(cfg)
    runner.test()


def main() -> None:
    """Test, and leave the other processes in good order."""
    args = parse_args()
    from cast_mmaction.engine import leave_process_group
    from cast_mmaction.one_line import errors_in_one_line
    with errors_in_one_line():
        run(build_config(args))
        leave_process_group()


if __name__ == '__main__':
    main()
