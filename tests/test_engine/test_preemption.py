import os
import signal
import socket
import subprocess
import sys
import time
from functools import partial

import pytest
import torch
from torch.utils.data import DataLoader

from cast_mmaction.process_signals import keep_serving
from tests.test_watched_loader import gone
from tests.toy import ROOT, At, assert_same, start, toy_config, weights


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


def test_workers_heed_their_parent_alone():
    """A worker that ignored its parent, too, would keep it from ending."""
    loader = DataLoader(
        range(100),
        num_workers=1,
        worker_init_fn=partial(keep_serving, None))
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


# whole processes


def slow_config(folder, hooks=(), **changes):
    """The config file of a training with slow iterations."""
    cfg = toy_config(folder / 'run', batch=2, epochs=4, **changes)
    cfg.custom_hooks = [dict(type='SlowHook'), *hooks]
    cfg.dump(folder / 'run.py')
    return str(folder / 'run.py')


def processes(folder, count=1, hooks=(), **changes):
    """Processes that train, each started by hand."""
    config = slow_config(folder, hooks, **changes)
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    environment = dict(
        os.environ,
        CUDA_VISIBLE_DEVICES='',
        OMP_NUM_THREADS='1',
        PYTHONPATH=str(ROOT),
        MASTER_ADDR='127.0.0.1',
        MASTER_PORT=str(port),
        WORLD_SIZE=str(count))
    command = [
        sys.executable,
        str(ROOT / 'tools/train.py'), config, '--launcher',
        'pytorch' if count > 1 else 'none'
    ]
    return [
        subprocess.Popen(
            command,
            env=dict(environment, RANK=str(rank), LOCAL_RANK=str(rank)),
            stderr=open(folder / f'{rank}.err', 'w')) for rank in range(count)
    ]


def until(path, process):
    """Wait for a file that a process makes."""
    for _ in range(1200):
        if path.exists():
            return
        assert process.poll() is None, 'the process has ended'
        time.sleep(.1)
    raise AssertionError(f'{path} was not made')


@pytest.mark.slow
def test_no_process_leaves_before_the_file_is_written(tmp_path):
    """Launchers end the writer as soon as another process has left."""
    writer, other = processes(
        tmp_path, 2, [dict(type='SlowWriter', seconds=5.)])
    until(tmp_path / 'run/epoch_1.pth', writer)
    other.send_signal(signal.SIGTERM)  # the writer hears of it from this one
    assert other.wait(timeout=100) == 128 + signal.SIGTERM
    assert (tmp_path / 'run/preempted.pth').exists()
    assert writer.wait(timeout=100) == 128 + signal.SIGTERM


@pytest.mark.slow
def test_a_second_signal_ends_at_once(tmp_path):
    process, = processes(tmp_path, 1, [dict(type='SlowWriter', seconds=1000.)])
    until(tmp_path / 'run/last_validation', process)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGTERM)  # as launchers pass it on
    until(tmp_path / 'run/writing', process)
    time.sleep(4)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=5) == 128 + signal.SIGTERM
    assert 'a second signal' in (tmp_path / '0.err').read_text()
    assert not (tmp_path / 'run/preempted.pth').exists()
    assert (tmp_path / 'run/epoch_1.pth').exists()


@pytest.mark.slow
def test_a_hung_worker_does_not_make_it_deaf(tmp_path):
    note = tmp_path / 'pid'
    process, = processes(
        tmp_path, 1, **{
            'train_dataloader.num_workers': 1,
            'train_dataloader.dataset.hang': str(note),
            'default_hooks.preemption.patience': 2.
        })
    until(note, process)
    time.sleep(2)  # the batches before that one are trained
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 128 + signal.SIGTERM
    error = (tmp_path / '0.err').read_text()
    assert 'no sign of life for 2 s' in error
    assert 'run_epoch' in error  # where it was
    assert gone(int(note.read_text()))


@pytest.mark.slow
def test_a_lost_process_ends_the_others(tmp_path):
    first, second = processes(
        tmp_path, 2, **{'train_dataloader.num_workers': 1})
    until(tmp_path / 'run/epoch_1.pth', first)
    workers = subprocess.run(['pgrep', '-P', str(first.pid)],
                             capture_output=True,
                             text=True).stdout.split()
    second.kill()
    assert first.wait(timeout=60) != 0
    assert all(gone(int(worker)) for worker in workers)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != 'linux', reason="the kernel's service")
def test_a_training_outlives_its_launcher_only_to_save(tmp_path):
    launcher = subprocess.Popen(
        [str(ROOT / 'tools/dist_train.sh'),
         slow_config(tmp_path), '1'],
        env=dict(os.environ, CUDA_VISIBLE_DEVICES='', OMP_NUM_THREADS='1'))
    until(tmp_path / 'run/epoch_1.pth', launcher)
    children = subprocess.run(['pgrep', '-P', str(launcher.pid)],
                              capture_output=True,
                              text=True).stdout.split()
    launcher.kill()
    assert children and all(gone(int(x), 60.) for x in children)
    assert (tmp_path / 'run/preempted.pth').exists()
