import os
import signal
import subprocess
from functools import partial

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from cast_mmaction.engine.hooks import _keep_serving
from tests.toy import assert_same, toy_config, weights


class At(Hook):
    """Calls a function after the iteration of a number."""

    def __init__(self, iteration, function):
        self.iteration, self.function = iteration, function

    def after_train_iter(self, runner, **kwargs):
        if runner.iter == self.iteration:
            self.function()


def start(work_dir, hook=None, **changes):
    runner = Runner.from_cfg(toy_config(work_dir, **changes))
    if hook:
        runner.register_hook(hook)
    return runner


@pytest.mark.parametrize('accumulation', [1, 3])
def test_stops_before_the_weights_are_touched(tmp_path, accumulation):
    runner = start(
        tmp_path, **{
            'train_dataloader.dataset.poison': 7,
            'optim_wrapper.accumulative_counts': accumulation
        })
    with pytest.raises(FloatingPointError, match='epoch 1.*weights were not'):
        runner.train()
    for parameter in runner.model.parameters():
        assert parameter.isfinite().all()
    for state in runner.optim_wrapper.optimizer.state.values():
        assert all(x.isfinite().all() for x in state.values())


def test_the_message_names_the_losses(tmp_path):
    runner = start(tmp_path, **{'train_dataloader.dataset.poison': 7})
    with pytest.raises(FloatingPointError, match="'loss_cls': nan"):
        runner.train()


def test_without_the_hook_nothing_stops(tmp_path):
    """Fails once MMEngine stops by itself: then the hook can go."""
    runner = start(
        tmp_path,
        epochs=1,
        without='non_finite',
        **{'train_dataloader.dataset.poison': 7})
    runner.train()
    assert not any(x.isfinite().all() for x in runner.model.parameters())


class Overflow:
    """A loss scaler whose gradients overflow at one step."""

    def __init__(self, optimizer, at):
        self.optimizer, self.at, self.step_number = optimizer, at, 0

    def step(self, **kwargs):
        self.step_number += 1
        if self.step_number != self.at:
            self.optimizer.step(**kwargs)

    def get_scale(self):
        return 32768.


def test_skipped_steps_are_logged(tmp_path, monkeypatch):
    runner = start(tmp_path, epochs=1)
    messages = []
    monkeypatch.setattr(runner.logger, 'warning', messages.append)
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    scaler = Overflow(runner.optim_wrapper.optimizer, at=2)
    runner.optim_wrapper.loss_scaler = scaler
    monkeypatch.setattr(
        type(runner.optim_wrapper), 'step',
        lambda self, **kwargs: scaler.step(**kwargs))
    runner.train()
    skipped = [x for x in messages if 'skipped' in x]
    assert len(skipped) == 1
    assert '1 so far' in skipped[0] and '32768' in skipped[0]


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
    assert (tmp_path /
            'part/last_checkpoint').read_text().endswith('preempted.pth')
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


def test_a_checkpoint_of_another_model(tmp_path):
    start(tmp_path, epochs=1).train()
    checkpoint = str(tmp_path / 'epoch_1.pth')
    other = start(
        tmp_path, load_from=checkpoint, **{'model.width': 12})
    with pytest.raises(ValueError, match='epoch_1.pth.*another shape: '
                       'backbone.0.weight'):
        other.test()


def test_missing_and_unknown_keys(tmp_path):
    start(tmp_path, epochs=1).train()
    content = torch.load(tmp_path / 'epoch_1.pth', weights_only=True)
    content['state_dict']['neck.weight'] = content['state_dict'].pop(
        'head.weight')
    torch.save(content, tmp_path / 'other.pth')
    changes = dict(load_from=str(tmp_path / 'other.pth'))
    with pytest.raises(ValueError, match='missing: head.weight; '
                       'unknown to this model: neck.weight'):
        start(tmp_path, **changes).test()
    changes['default_hooks.strict_load.allowed'] = ['head.', 'neck.']
    start(tmp_path, **changes).test()


def test_without_the_hook_a_wrong_checkpoint_passes(tmp_path):
    """Fails once MMEngine refuses: then the hook can go."""
    torch.save(dict(state_dict={}), tmp_path / 'empty.pth')
    start(
        tmp_path,
        without='strict_load',
        load_from=str(tmp_path / 'empty.pth')).test()
