"""Train and test every row of docs/sound.md, with three seeds.

    tools/evidence/run_sound.py work_dirs/sound --jobs 2

What is done is skipped, what broke off goes on from its last checkpoint. All
rows of a seed come before those of the next.
"""
import argparse
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # --help does not wait for what takes seconds
    from table_rows import Run

ROWS = ('ca2st', 'cava', 'cast', 'audio', 'temporal', 'spatial', 'late_sound')


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=Path, help='where results go')
    parser.add_argument('--rows', nargs='+', choices=ROWS, default=ROWS)
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument(
        '--jobs', type=int, default=2, help='trainings at a time')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action='extend',
        default=[],
        help='as in tools/train.py, for every row')
    args = parser.parse_args()
    from table_rows import Run
    os.environ.setdefault('OMP_NUM_THREADS', '1')  # jobs share the cores
    runs = [
        Run(row, None, args.folder / row / f'seed{seed}', seed,
            tuple(args.cfg_options))
        for seed in args.seeds for row in args.rows
    ]
    with ThreadPoolExecutor(args.jobs) as pool:
        for run in pool.map(execute, runs):
            print(f'{run.folder} is done', flush=True)


def execute(run: 'Run') -> 'Run':
    """Trains and tests, unless that is done."""
    from table_rows import ROOT, test, train
    done = run.folder / 'done'
    if done.exists():
        return run
    config = ROOT / f'configs/demo/sound/{run.config}.py'
    if run.config == 'ca2st':
        config = ROOT / 'configs/demo/ca2st_demo.py'
    run.folder.mkdir(parents=True, exist_ok=True)
    train(run, 1, config)
    test(run, 1, config, '--dump', run.folder / 'predictions.pkl')
    done.touch()
    return run


if __name__ == '__main__':
    main()
