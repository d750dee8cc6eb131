"""Many real processes on this machine against one.

    python -m tests.many COUNT [ENGINE]

trains a tiny CAST with one process and with COUNT, started by torchrun over
loopback, each of which imports all on its own; compares the weights, and
prints how long they took to start and what memory each has.
"""
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from tests.engines import config, put_over
from tests.toy import ROOT, assert_same, weights


def memory(pid: int) -> dict:
    """Of a process, MB: all of it, and shared pages by their share."""
    wanted = dict(Rss='rss', Pss='pss')
    found = {}
    for line in Path(f'/proc/{pid}/smaps_rollup').read_text().splitlines():
        name, _, value = line.partition(':')
        if name in wanted:
            found[wanted[name]] = int(value.split()[0]) / 1e3
    return found


def children(pid: int) -> list:
    tasks = Path(f'/proc/{pid}/task/{pid}/children')
    return [int(x) for x in tasks.read_text().split()]


def train(folder: Path, name: str, count: int, engine: str = 'ddp') -> dict:
    """Train by torchrun; 16 clips an optimizer step or one of each process.

    Returns:
        dict: ``start`` and ``whole``, seconds; ``rss`` and ``pss``, the most
        that any process had, MB.
    """
    clips = max(COUNT, 16)
    cfg = put_over(
        config(
            folder, name, count, **{
                'train_dataloader.batch_size': clips // count,
                'auto_scale_lr.base_batch_size': clips
            }), engine)
    cfg.custom_imports['imports'].append('tests.engines')
    file = folder / f'{name}.py'
    cfg.dump(file)
    began = time.monotonic()
    job = subprocess.Popen([
        sys.executable, '-W', 'ignore', '-m', 'torch.distributed.run',
        '--standalone', '--nproc-per-node', str(count),
        ROOT / 'tools/train.py', file, '--launcher', 'pytorch'
    ], cwd=ROOT, env=dict(
        os.environ, PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1',
        CUDA_VISIBLE_DEVICES=''))
    found = dict(start=None, rss=0., pss=0.)
    while job.poll() is None:
        time.sleep(.5)
        for pid in children(job.pid):
            try:
                now = memory(pid)
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has just ended
            for key, value in now.items():
                found[key] = max(found[key], value)
        log = [*(folder / name).glob('*/vis_data/scalars.json')]
        if found['start'] is None and log and log[0].stat().st_size:
            found['start'] = time.monotonic() - began
    if job.returncode:
        raise RuntimeError(f'{count} processes: exit {job.returncode}')
    return dict(found, whole=time.monotonic() - began)


def main() -> None:
    engine = sys.argv[2] if len(sys.argv) > 2 else 'ddp'
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for name, count in (('one', 1), ('many', COUNT)):
            found = train(folder, name, count, engine if count > 1 else 'ddp')
            print(f'{count} processes: first step after {found["start"]:.1f} '
                  f's, done after {found["whole"]:.1f} s; a process has at '
                  f'most {found["rss"]:.0f} MB, {found["pss"]:.0f} MB where '
                  'what is shared counts by shares', flush=True)
        one, many = (weights(folder / name / 'epoch_2.pth')
                     for name in ('one', 'many'))
        assert_same(one, many, rtol=1e-5, atol=1e-6)
        most = max((one[key].double() - many[key].double()).abs().max()
                   for key in one)
        print(f'weights differ by at most {most:.1e}')


COUNT = int(sys.argv[1]) if __name__ == '__main__' else 16

if __name__ == '__main__':
    torch.set_num_threads(1)
    main()
