"""Run the rows of one of the paper's ablations and set the figures beside it.

    tools/evidence/run_table.py table1d --profile demo --jobs 2 --seeds 0 1 2
    tools/evidence/run_table.py table1d --profile paper --gpus 8
    tools/evidence/run_table.py peers --profile demo

Rows are trained and tested one after another, or --jobs at a time, with their
output in output.log and their scores in predictions.pkl of their folders, for
tools/results/fuse_results.py and the like. What is finished is skipped, what broke
off goes on from its last checkpoint: call it again. Tables share their runs.
`demo` puts each row's change on configs/cast_demo.py, whose data and experts
tools/quickstart.sh makes; `paper` runs the row as it is.

With several --lrs every row searches its learning rate, with the first seed
and the first pair of experts: trained on the first nine tenths of the training
list, judged by the actions of the rest. The test set has no say.
"""
import argparse
from pathlib import Path
from typing import Optional, Sequence

from tables import load_tables


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
        help='of each training; without any GPU, processes')
    parser.add_argument(
        '--jobs',
        type=int,
        default=1,
        help='trainings at a time, on CPUs')
    parser.add_argument(
        '--experts',
        type=Path,
        nargs='+',
        default=[None],
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
        action='extend',
        default=[],
        help='as in tools/train.py, for every row')
    args = parser.parse_args(argv)
    table = tables[args.table]
    if args.profile not in table['profiles']:
        parser.error(f'{args.table} needs experts or a depth that the demo '
                     'has not: use --profile paper')
    if args.experts != [None] and (args.profile != 'demo'
                                   or args.table == 'peers'):
        parser.error('--experts is for --profile demo, and not for peers')
    for folder in filter(None, args.experts):
        for role in ('spatial', 'temporal'):
            if not (folder / f'{role}.pth').is_file():
                parser.error(f'{folder / role}.pth: there is no such file')
    configs = [row['config'] for row in table['rows']]
    for name in args.rows or ():
        if name not in configs:
            parser.error(f'{args.table} has no row {name!r}; its rows: '
                         f'{", ".join(configs)}')
    if args.jobs > 1 and gpus():
        parser.error('--jobs is for CPUs: trainings would share the GPUs; '
                     'give each of them more with --gpus')
    args.rows = [x for x in configs if x in (args.rows or configs)]
    return args


def gpus() -> int:
    """How many there are; asked only where it matters."""
    import torch
    return torch.cuda.device_count()


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Runs what is missing; the report grows with every run."""
    args = parse_args(argv)
    from table_rows import run
    run(args)


if __name__ == '__main__':
    main()
