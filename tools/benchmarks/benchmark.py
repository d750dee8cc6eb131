"""Measure speed and memory against named baselines.

    python tools/benchmarks/benchmark.py model            # against the eager twin
    python tools/benchmarks/benchmark.py model --table experts
    python tools/benchmarks/benchmark.py model --table growth
    python tools/benchmarks/benchmark.py kernels          # attention by window
    python tools/benchmarks/benchmark.py data             # video, augmentation, loader
    python tools/benchmarks/benchmark.py sound            # what sound adds to a clip
    python tools/benchmarks/benchmark.py storage          # shards against files
    python tools/benchmarks/benchmark.py train            # share of waiting for data
    python tools/benchmarks/benchmark.py log              # after many iterations

Contenders take turns; figures are medians with [smallest, largest].
docs/performance.md explains the tables.
"""
import argparse
from typing import Optional, Sequence

import benchmark_data
import benchmark_kernels
import benchmark_log
import benchmark_model
import benchmark_sound
import benchmark_storage
import benchmark_train
import torch
from benchmarking import CLOCKS
from mmengine.registry import init_default_scope

import cast_mmaction  # noqa: F401  (registers)
from cast_mmaction.precision import products_in_tf32

COMMANDS = dict(
    model=benchmark_model,
    kernels=benchmark_kernels,
    data=benchmark_data,
    sound=benchmark_sound,
    storage=benchmark_storage,
    train=benchmark_train,
    log=benchmark_log)


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Run one subcommand.

    Args:
        argv: The command line; None for the real one.
    """
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest='command', required=True)
    for name, module in COMMANDS.items():
        command = commands.add_parser(name, help=module.__doc__)
        module.add_arguments(command)
        command.add_argument('--rounds', type=int, default=5)
        command.add_argument(
            '--threads', type=int, help="CPU threads; default PyTorch's")
        command.add_argument(
            '--device',
            default='cuda' if torch.cuda.is_available() else 'cpu')
        command.add_argument(
            '--clock',
            choices=CLOCKS,
            default='wall',
            help='cpu: seconds of CPU, for a machine that others use too')
        command.add_argument(
            '--json', help='also write tables to JSON.<table>.json')
    args = parser.parse_args(argv)
    if args.threads:
        torch.set_num_threads(args.threads)
    if args.device != 'cpu':
        products_in_tf32()  # as trainings have them
    init_default_scope('mmaction')
    COMMANDS[args.command].run(args)


if __name__ == '__main__':
    main()
