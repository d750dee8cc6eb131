import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from mmengine.runner import Runner

from cast_mmaction.watched_loader import TIMEOUT, WatchedLoader
from tests.toy import ROOT, SAMPLES, ToyDataset, toy_config


def gone(pid, seconds=20.):
    """Whether a process ends within some time."""
    for _ in range(int(seconds * 10)):
        try:
            os.kill(pid, 0)
            with open(f'/proc/{pid}/stat') as file:
                if file.read().rpartition(')')[2].split()[0] == 'Z':
                    return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(.1)
    return False


def test_names_the_sample_that_does_not_come(tmp_path):
    loader = WatchedLoader(
        ToyDataset(hang=str(tmp_path / 'pid')),
        batch_size=2,
        num_workers=1,
        timeout=2)
    batches = iter(loader)
    next(batches)
    with pytest.raises(
            TimeoutError,
            match=r'within 2 s. The workers are at sample 3 \(clips/3.mp4\)'):
        next(batches)
    del batches
    assert gone(int((tmp_path / 'pid').read_text()))


def test_another_error_of_a_worker_stays_what_it_is():
    loader = WatchedLoader([1, 'a'], batch_size=2, num_workers=1)
    with pytest.raises(TypeError):
        list(loader)


@pytest.mark.parametrize('workers, given, timeout', [(0, None, 0),
                                                     (1, None, TIMEOUT),
                                                     (1, 30, 30)])
def test_every_runner_has_one(tmp_path, workers, given, timeout):
    """With the samples of PyTorch's."""
    changes = {'train_dataloader.num_workers': workers}
    if given:
        changes['train_dataloader.timeout'] = given
    cfg = toy_config(tmp_path, **changes)
    loader = Runner.build_dataloader(cfg.train_dataloader, seed=0)
    assert loader.timeout == timeout
    assert loader.num_workers == workers
    seen = torch.cat([batch['inputs'] for batch in loader])
    assert len(seen) == SAMPLES
    if workers:
        assert loader._at.tolist() == [-1]


def test_loaders_without_limit_defect():
    from tests.test_compat import host
    assert 'AssertionError' in host(
        'from mmengine.runner import runner; '
        'assert hasattr(runner.DataLoader, "_watched")')


ORPHAN = """
import signal, sys
import cast_mmaction
from cast_mmaction.watched_loader import WatchedLoader
from tests.toy import ToyDataset
signal.signal(signal.SIGTERM, signal.SIG_IGN)
list(WatchedLoader(ToyDataset(hang=sys.argv[1]), batch_size=2, num_workers=1))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != 'linux', reason="the kernel's service")
def test_no_worker_outlives_its_parent(tmp_path):
    note = tmp_path / 'pid'
    parent = subprocess.Popen([sys.executable, '-c', ORPHAN, str(note)],
                              env=dict(os.environ, PYTHONPATH=str(ROOT)))
    while not note.exists() or not note.read_text():
        assert parent.poll() is None
        time.sleep(.1)
    parent.send_signal(signal.SIGKILL)
    parent.wait(timeout=20)
    assert gone(int(note.read_text()))
