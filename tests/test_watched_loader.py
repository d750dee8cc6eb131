import os
import pickle
import signal
import subprocess
import sys
import time

import pytest
import torch
from mmengine.runner import FlexibleRunner, Runner

from cast_mmaction import workers
from cast_mmaction.parcels import Parcel
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


@pytest.mark.parametrize('runner', [Runner, FlexibleRunner])
def test_a_runner_takes_a_loader_that_is_built_already(runner):
    loader = torch.utils.data.DataLoader(ToyDataset())
    assert runner.build_dataloader(loader) is loader
    made = runner.build_dataloader(toy_config('unused').val_dataloader)
    assert isinstance(made, WatchedLoader)


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


@pytest.mark.parametrize('number, given, timeout', [(0, None, 0),
                                                     (1, None, TIMEOUT),
                                                     (1, 30, 30)])
def test_every_runner_has_one(tmp_path, number, given, timeout):
    """With the samples of PyTorch's."""
    changes = {'train_dataloader.num_workers': number}
    if given:
        changes['train_dataloader.timeout'] = given
    cfg = toy_config(tmp_path, **changes)
    loader = Runner.build_dataloader(cfg.train_dataloader, seed=0)
    assert loader.timeout == timeout
    assert loader.num_workers == number
    seen = torch.cat([batch['inputs'] for batch in loader])
    assert len(seen) == SAMPLES
    if number:
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


FEW = """
import resource, sys, torch
from mmaction.structures import ActionDataSample
from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader
from cast_mmaction.watched_loader import WatchedLoader

class Clips(torch.utils.data.Dataset):
    def __len__(self):
        return 512

    def __getitem__(self, index):
        clip = torch.full((1, 3, 4, 32, 32), index % 251, dtype=torch.uint8)
        return dict(inputs=clip, data_samples=ActionDataSample().set_gt_label(
            torch.tensor([index])))

hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, hard))
loader = dict(ours=WatchedLoader, pytorch=DataLoader)[sys.argv[1]](
    Clips(), batch_size=64, num_workers=4, collate_fn=pseudo_collate)
# Held, as a device that lags behind holds them.
batches = list(loader)
seen = [int(x.gt_label) for batch in batches for x in batch['data_samples']]
assert seen == list(range(512)), seen
for batch in batches:
    for clip, sample in zip(batch['inputs'], batch['data_samples']):
        assert clip.shape == (1, 3, 4, 32, 32)
        assert (clip == int(sample.gt_label) % 251).all()
print('all came')
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != 'linux', reason='limits of Linux')
@pytest.mark.parametrize('loader', ['ours', 'pytorch'])
def test_large_batches_come_with_few_open_files(loader):
    """1,024 files are few for 64 clips and labels x 8 batches; 128 are not
    for 8 tensors."""
    files = dict(ours=128, pytorch=1024)[loader]
    done = subprocess.run(
        [sys.executable, '-c', FEW.replace('FILES', str(files)), loader],
        capture_output=True,
        text=True,
        timeout=120,
        env=dict(os.environ, PYTHONPATH=str(ROOT)))
    if loader == 'ours':
        assert done.returncode == 0 and 'all came' in done.stdout, done
    else:  # once this fails, parcels can go
        assert done.returncode != 0, 'PyTorch shares whole batches now'


def test_a_parcel_holds_what_was_put_in():
    large = [torch.full((3, 200, 200), i, dtype=torch.uint8) for i in (1, 2)]
    batch = dict(
        inputs=large,
        alone=torch.arange(20000.),
        labels=[torch.tensor([3]), torch.tensor(True),
                torch.zeros(2, dtype=torch.bfloat16)],
        unequal=[torch.rand(7, 10000), torch.rand(10001, 7).T],
        gaps=[torch.rand(200, 200)[:, ::2], torch.rand(1).expand(200, 200)],
        names=('a', None))
    parcel = Parcel(batch)
    assert len(parcel._tensors) == 4  # open files
    found = pickle.loads(pickle.dumps(parcel)).open()
    assert found.keys() == batch.keys()
    assert found['inputs'][0].data_ptr() < found['inputs'][1].data_ptr()
    assert found.pop('names') == batch.pop('names')
    torch.testing.assert_close(found, batch, rtol=0, atol=0)
    assert type(found['inputs']) is list
    # Nothing is turned on its way.
    assert found['unequal'][1].stride() == (1, 7)


@pytest.mark.parametrize('cores, quota, launcher, expected', [
    (64, None, {}, 16),
    (64, None, dict(LOCAL_WORLD_SIZE='8'), 7),
    (64, '400000 100000', {}, 3),
    (64, 'max 100000', dict(SLURM_NTASKS_PER_NODE='16'), 3),
    (2, '50000 100000', dict(LOCAL_WORLD_SIZE='4'), 1),
])
def test_workers_by_cores_and_processes(tmp_path, monkeypatch, cores, quota,
                                        launcher, expected):
    monkeypatch.setattr(
        os, 'sched_getaffinity', lambda process: set(range(cores)))
    monkeypatch.setattr(workers, 'QUOTA', tmp_path / 'cpu.max')
    for name in workers.PROCESSES:
        monkeypatch.delenv(name, raising=False)
    for name, value in launcher.items():
        monkeypatch.setenv(name, value)
    if quota:
        (tmp_path / 'cpu.max').write_text(quota + '\n')
    assert workers.auto_workers() == expected


def test_auto_in_a_config(tmp_path, monkeypatch):
    cfg = toy_config(tmp_path, **{'train_dataloader.num_workers': 'auto'})
    monkeypatch.setenv('LOCAL_WORLD_SIZE', '1000')
    loader = Runner.build_dataloader(cfg.train_dataloader, seed=0)
    assert loader.num_workers == 1
    assert sum(len(batch['inputs']) for batch in loader) == SAMPLES
    assert cfg.train_dataloader.num_workers == 'auto'
    cfg.train_dataloader.num_workers = 'all'
    with pytest.raises(ValueError, match="num_workers='all'.*'auto'"):
        Runner.build_dataloader(cfg.train_dataloader)


def test_workers_by_number_only_defect():
    from tests.test_compat import host
    assert 'Error' in host(
        'from mmengine.runner import Runner; Runner.build_dataloader(dict('
        'dataset=[1], sampler=None, batch_size=1, num_workers="auto"))')
