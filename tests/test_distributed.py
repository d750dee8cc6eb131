"""Two processes, on one machine or two, learn what one does."""
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.machines import free_port
from tests.toy import ROOT, assert_same, curve, toy_config, weights

pytestmark = pytest.mark.slow
TRAIN, TEST = ROOT / 'tools/dist_train.sh', ROOT / 'tools/dist_test.sh'


def environment(**more):
    """Of a machine without a GPU."""
    return dict(os.environ, CUDA_VISIBLE_DEVICES='', OMP_NUM_THREADS='1',
                **more)


def dump(folder, name, **changes):
    """A config file of a toy training in ``folder/name``."""
    cfg = toy_config(folder / name, **changes)
    cfg.pop('experiment_name')  # processes that start again are other runs
    path = folder / f'{name}.py'
    cfg.dump(path)
    return path


def run(*command, **more):
    done = subprocess.run([str(x) for x in command],
                          env=environment(**more),
                          capture_output=True,
                          text=True,
                          timeout=200)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """One process that learns from batches of four."""
    folder = tmp_path_factory.mktemp('single')
    config = dump(folder, 'run', epochs=4, **{
        'default_hooks.checkpoint.max_keep_ckpts': -1,
        'custom_hooks': [dict(type='Accident')]
    })
    run(TRAIN, config, 1, RATES=str(folder / 'rates.txt'))
    return folder


@pytest.fixture(scope='module')
def single(trained):
    """What it learns."""
    return weights(trained / 'run/epoch_4.pth')


def test_two_processes_equal_one(tmp_path, single):
    config = dump(tmp_path, 'run', batch=2, epochs=4)
    run(TRAIN, config, 2)
    checkpoint = tmp_path / 'run/epoch_4.pth'
    assert_same(single, weights(checkpoint), rtol=1e-5, atol=1e-6)

    log = run(TEST, config, checkpoint, 2, '--dump', tmp_path / 'out.pkl',
              '--cfg-options', 'log_level=INFO')
    assert 'acc/top1' in log
    assert (tmp_path / 'out.pkl').is_file()


def test_two_machines_equal_one(tmp_path, single):
    """On loopback, one process each."""
    config = dump(tmp_path, 'run', batch=2, epochs=4)
    port = free_port()
    machines = [
        subprocess.Popen([str(TRAIN), str(config), '1'],
                         env=environment(
                             NNODES='2',
                             NODE_RANK=str(rank),
                             MASTER_ADDR='127.0.0.1',
                             PORT=port)) for rank in range(2)
    ]
    assert [x.wait(timeout=120) for x in machines] == [0, 0]
    assert_same(
        single, weights(tmp_path / 'run/epoch_4.pth'), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('number, processes', [(signal.SIGKILL, 2),
                                               (signal.SIGTERM, 2),
                                               (signal.SIGTERM, 1)])
def test_stopped_then_resumed_equals_uninterrupted(tmp_path, single, number,
                                                   processes):
    """SIGTERM as a scheduler sends it, SIGKILL without a chance to save."""
    config = dump(
        tmp_path,
        'run',
        batch=2,
        epochs=4,
        # torchrun signals the workers, too; these live until the end
        **{
            'train_dataloader.num_workers': 1,
            'train_dataloader.persistent_workers': True
        })
    slow = tmp_path / 'slow.py'
    slow.write_text(f"_base_ = '{config}'\n"
                    'custom_hooks = [dict(type="SlowHook")]\n')
    training = subprocess.Popen([str(TRAIN), str(slow), '2'],
                                env=environment(),
                                start_new_session=True)
    first = tmp_path / 'run/epoch_1.pth'
    for _ in range(600):
        if first.is_file():
            break
        time.sleep(.1)
    time.sleep(1)  # into the second epoch, whose workers are busy
    if number == signal.SIGKILL:
        os.killpg(training.pid, number)
    else:
        training.send_signal(number)
    assert training.wait(timeout=60) != 0
    assert not (tmp_path / 'run/epoch_4.pth').exists()
    assert (tmp_path / 'run/preempted.pth').exists() == (
        number == signal.SIGTERM)

    # Fewer processes make up for it with accumulation.
    run(TRAIN, config, processes, '--resume', '--cfg-options',
        f'optim_wrapper.accumulative_counts={2 // processes}')
    assert_same(
        single, weights(tmp_path / 'run/epoch_4.pth'), rtol=1e-5, atol=1e-6)


def appears(path, others, seconds=150):
    """Wait for a file that is written while others run."""
    end = time.monotonic() + seconds
    while not path.is_file():
        assert time.monotonic() < end, f'{path} does not come'
        assert all(x.poll() is None for x in others)
        time.sleep(.1)


def workers(agent):
    return [int(x) for x in Path(
        f'/proc/{agent.pid}/task/{agent.pid}/children').read_text().split()]


def test_a_lost_process_and_a_lost_machine(tmp_path, trained):
    """All come back after the first; one machine goes on after the second.

    Nothing is shared: each has a folder, and no option says ``--resume``.
    """
    config = dump(tmp_path, 'run', batch=2, epochs=4, **{
        'custom_hooks': [dict(type='Accident'), dict(type='SlowHook')],
        'default_hooks.checkpoint.max_keep_ckpts': -1
    })
    port, machines = free_port(), []
    for name in 'ab':
        (tmp_path / name).mkdir()
        machines.append(
            subprocess.Popen([str(TRAIN), str(config), '1', '--work-dir',
                              'runs'],
                             cwd=tmp_path / name,
                             env=environment(
                                 NNODES='1:2',
                                 RESTARTS='3',
                                 RATES='rates.txt',
                                 PORT=port),
                             start_new_session=True))
        time.sleep(1)  # the first one is where they meet
    first, second = machines
    runs = tmp_path / 'a/runs'
    try:
        appears(runs / 'epoch_1.pth', machines)
        time.sleep(.5)
        os.kill(workers(first)[0], signal.SIGKILL)
        appears(runs / 'epoch_2.pth', machines)
        assert_same(
            weights(trained / 'run/epoch_2.pth'),
            weights(runs / 'epoch_2.pth'),
            rtol=1e-5,
            atol=1e-6)
        os.kill(second.pid, signal.SIGSTOP)  # a machine has no last words
        for pid in [*workers(second), second.pid]:
            os.kill(pid, signal.SIGKILL)
        assert first.wait(timeout=200) == 0
    finally:
        for agent in machines:
            for pid in workers(agent) if agent.poll() is None else []:
                os.kill(pid, signal.SIGKILL)
            agent.kill()
            agent.wait()
    assert_same(
        weights(trained / 'run/epoch_4.pth'),
        weights(runs / 'epoch_4.pth'),
        rtol=1e-5,
        atol=1e-6)
    assert not list((tmp_path / 'b').glob('**/*.pth'))
    changed = curve(tmp_path / 'a/rates.txt')
    whole = curve(trained / 'rates.txt')
    assert {changed[x][0] for x in whole} == {2, 4}
    assert {x: changed[x][1] for x in whole} == {
        x: rate for x, (_, rate) in whole.items()
    }


@pytest.mark.parametrize('sample, words', [
    ('poison', 'the loss is not finite'),
    ('steep', 'the loss is finite, its gradients are not')])
def test_what_is_not_finite_in_one_process_stops_both(tmp_path, sample,
                                                      words):
    config = dump(
        tmp_path, 'run', batch=2, **{f'train_dataloader.dataset.{sample}': 7})
    done = subprocess.run([str(TRAIN), str(config), '2'],
                          env=environment(),
                          capture_output=True,
                          text=True,
                          timeout=120)
    assert done.returncode != 0
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f'error: {words}') and '(process ' in last
    assert 'Traceback' not in done.stderr
    log, = (tmp_path / 'run').glob('*/*.log')
    assert log.read_text().count(f'FloatingPointError: {words}') == 2
    assert not (tmp_path / 'run/epoch_1.pth').exists()
