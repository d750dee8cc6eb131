import os
import signal
import subprocess
from functools import partial

import pytest
import torch
from torch.utils.data import DataLoader

from cast_mmaction.engine.preemption import _keep_serving
from tests.toy import At, assert_same, start, weights


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize('iteration', [2, 5, 8])
def test_preempted_equals_uninterrupted(tmp_path, number, iteration):
    changes = {'model.dropout': .5}
    start(tmp_path / 'whole', **changes).train()

    former = signal.getsignal(number)
    runner = start(tmp_path / 'part',
                   At(iteration, lambda: os.kill(os.getpid(), number)),
                   **changes)
    with pytest.raises(SystemExit) as stop:
        runner.train()
    assert stop.value.code == 128 + number
    assert signal.getsignal(number) is former
    # At the end of an epoch that is on the disk, and validation is left.
    name = 'epoch_1.pth' if iteration == 5 else 'preempted.pth'
    assert (tmp_path / 'part/last_checkpoint').read_text().endswith(name)
    # the epoch of the signal is resumed behind it, not repeated
    resumed = start(tmp_path / 'part', resume=True, **changes)
    resumed.train()
    assert resumed.iter == 18
    assert len(resumed.message_hub.get_scalar('train/loss').data[0]) == 18
    assert_same(
        weights(tmp_path / 'whole/epoch_3.pth'),
        weights(tmp_path / 'part/epoch_3.pth'))
    assert not (tmp_path / 'part/preempted.pth').exists()


def test_preempted_between_optimizer_steps(tmp_path):
    changes = {'optim_wrapper.accumulative_counts': 4}
    start(tmp_path / 'whole', **changes).train()
    runner = start(tmp_path / 'part',
                   At(4, lambda: os.kill(os.getpid(), signal.SIGTERM)),
                   **changes)
    with pytest.raises(SystemExit):
        runner.train()
    content = torch.load(tmp_path / 'part/preempted.pth', weights_only=True)
    assert content['meta']['iter'] == 8
    start(tmp_path / 'part', resume=True, **changes).train()
    assert_same(
        weights(tmp_path / 'whole/epoch_3.pth'),
        weights(tmp_path / 'part/epoch_3.pth'))


def test_preempted_with_another_batch_size(tmp_path):
    """The epoch starts again when its batches are other ones."""
    runner = start(tmp_path,
                   At(8, lambda: os.kill(os.getpid(), signal.SIGTERM)))
    with pytest.raises(SystemExit):
        runner.train()
    resumed = start(tmp_path, batch=2, resume=True)
    resumed.train()
    assert resumed.iter == 36


def test_workers_heed_their_parent_alone():
    """A worker that ignored its parent, too, would keep it from ending."""
    loader = DataLoader(
        range(100),
        num_workers=1,
        worker_init_fn=partial(_keep_serving, None))
    batches = iter(loader)
    next(batches)
    worker, = batches._workers
    subprocess.run(['kill', '-TERM', str(worker.pid)], check=True)
    subprocess.run(['kill', '-INT', str(worker.pid)], check=True)
    for _ in range(50):
        next(batches)
    assert worker.is_alive()
    os.kill(worker.pid, signal.SIGTERM)
    worker.join(timeout=10)
    assert worker.exitcode == 0


def test_another_loop_keeps_its_last_checkpoint(tmp_path):
    runner = start(tmp_path,
                   At(8, lambda: os.kill(os.getpid(), signal.SIGTERM)),
                   **{'train_cfg.type': 'EpochBasedTrainLoop'})
    with pytest.raises(SystemExit):
        runner.train()
    assert (tmp_path / 'last_checkpoint').read_text().endswith('epoch_1.pth')


