"""Measure speed and memory against named baselines.

    python tools/benchmarks/benchmark.py model            # against the eager twin
    python tools/benchmarks/benchmark.py model --table experts
    python tools/benchmarks/benchmark.py model --table growth
    python tools/benchmarks/benchmark.py kernels          # attention by window
    python tools/benchmarks/benchmark.py float8           # frozen products in float8
    python tools/benchmarks/benchmark.py data             # video, augmentation, loader
    python tools/benchmarks/benchmark.py sound            # what sound adds to a clip
    python tools/benchmarks/benchmark.py storage          # shards against files
    python tools/benchmarks/benchmark.py train            # share of waiting for data
    python tools/benchmarks/benchmark.py log              # after many iterations

Contenders take turns; figures are medians with [smallest, largest].
docs/performance.md explains the tables.
"""
import argparse
import importlib
from typing import Optional, Sequence

import arguments

COMMANDS = dict(
    model=arguments.model,
    kernels=arguments.kernels,
    float8=arguments.float8,
    data=arguments.data,
    sound=arguments.sound,
    storage=arguments.storage,
    train=arguments.train,
    log=arguments.log)


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """The arguments of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest='command', required=True)
    for name, add_arguments in COMMANDS.items():
        command = commands.add_parser(name, help=add_arguments.__doc__)
        add_arguments(command)
        command.add_argument('--rounds', type=int, default=5)
        command.add_argument(
            '--threads', type=int, help="CPU threads; default PyTorch's")
        command.add_argument(
            '--device', help='default: the GPU, if there is one')
        command.add_argument(
            '--clock',
            choices=arguments.CLOCKS,
            default='wall',
            help='cpu: seconds of CPU, for a machine that others use too')
        command.add_argument(
            '--json', help='also write tables to JSON.<table>.json')
    return parser.parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Run one subcommand.

    Args:
        argv: The command line; None for the real one.
    """
    args = parse_args(argv)
    import torch
    from cast_mmaction.precision import products_in_tf32
    from mmengine.registry import init_default_scope
    args.device = args.device or (
        'cuda' if torch.cuda.is_available() else 'cpu')
    if args.threads:
        torch.set_num_threads(args.threads)
    if args.device != 'cpu':
        products_in_tf32()  # as trainings have them
    init_default_scope('mmaction')
    importlib.import_module(f'benchmark_{args.command}').run(args)


if __name__ == '__main__':
    main()
