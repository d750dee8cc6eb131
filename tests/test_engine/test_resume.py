"""A resumed run goes on as if it had always been like that."""
import copy
import os
import re
import signal

import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from cast_mmaction.checkpoints import CheckpointError
from tests.toy import SAMPLES, assert_same, toy_config, weights

OTHER_BATCHES = {'optim_wrapper.accumulative_counts': 2}  # of two clips each
COSINE = [  # the host's, as lists that hand over to each other
    dict(type='LinearLR', start_factor=.1, by_epoch=True, begin=0, end=1,
         convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', eta_min_ratio=.1, by_epoch=True, begin=1,
         end=3)
]


class Curve(Hook):
    """Learning rate and clips of every iteration; a signal after one."""

    def __init__(self, stop_at=None):
        self.rates, self.stop_at = [], stop_at

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        groups = runner.optim_wrapper.optimizer.param_groups
        rates = tuple(group['lr'] for group in groups)
        self.rates += [rates] * len(data_batch['labels'])

    def after_train_iter(self, runner, **kwargs):
        if runner.iter == self.stop_at:
            os.kill(os.getpid(), signal.SIGTERM)


def train(work_dir, stop_at=None, **changes):
    """The rates by clip, and the runner."""
    runner = Runner.from_cfg(toy_config(work_dir, **changes))
    curve = Curve(stop_at)
    runner.register_hook(curve)
    if stop_at is None:
        runner.train()
    else:
        with pytest.raises(SystemExit):
            runner.train()
    return curve.rates, runner


class StopAfterTwo(Hook):

    def after_train_epoch(self, runner):
        runner.train_loop.stop_training = runner.epoch == 1


@pytest.mark.parametrize('schedule', [None, COSINE])
@pytest.mark.parametrize('stop_at', [7, 11])
def test_other_batches_keep_the_curve(tmp_path, schedule, stop_at):
    """In the middle of the second epoch, and at its end."""
    changes = {} if schedule is None else dict(param_scheduler=schedule)
    whole, _ = train(tmp_path / 'whole', **changes)
    assert len(whole) == 3 * SAMPLES
    first, _ = train(tmp_path / 'part', stop_at=stop_at, **changes)
    done = len(first)
    assert SAMPLES < done <= 2 * SAMPLES
    then, runner = train(
        tmp_path / 'part', batch=2, resume=True, **OTHER_BATCHES, **changes)
    assert runner.iter == 36  # of two clips
    if schedule is None:  # one value a step
        assert first + then == whole
    else:  # the host's warm-up moves every iteration; it is over here
        assert first == whole[:done]
        np.testing.assert_allclose(then, whole[done:])
    assert_same(
        weights(tmp_path / 'whole/epoch_3.pth'),
        weights(tmp_path / 'part/epoch_3.pth'),
        rtol=1e-5,
        atol=1e-6)


def test_half_the_batch_has_half_the_rate(tmp_path):
    """By the config's rule; over the clips the curve has one form."""
    rule = {'auto_scale_lr.enable': True}
    whole, _ = train(tmp_path / 'whole', **rule)
    first, _ = train(tmp_path / 'part', stop_at=7, **rule)
    then, _ = train(tmp_path / 'part', batch=2, resume=True, **rule)
    steps = [x[-1] for x in then[::4]]
    assert steps == pytest.approx([x[-1] / 2 for x in whole[len(first)::4]])


def test_a_step_that_would_be_cut_is_done_again(tmp_path):
    first, _ = train(tmp_path, stop_at=7)
    seen = len(first) - SAMPLES
    assert seen == 12
    rates, runner = train(tmp_path, batch=8, resume=True)
    assert runner.iter == 9
    assert len(rates) == 2 * SAMPLES - 8


def test_another_data_set_starts_its_epoch_again(tmp_path, monkeypatch):
    train(tmp_path, stop_at=7)
    monkeypatch.setattr('tests.toy.SAMPLES', 20)
    rates, runner = train(tmp_path, resume=True)
    assert runner.iter == 15 and len(rates) == 2 * 20


def warnings(runner, monkeypatch):
    found = []
    monkeypatch.setattr(runner.logger, 'warning', found.append)
    return found


def resumed(work_dir, monkeypatch, **changes):
    """Rates and warnings of the third epoch."""
    runner = Runner.from_cfg(toy_config(work_dir, resume=True, **changes))
    said, curve = warnings(runner, monkeypatch), Curve()
    runner.register_hook(curve)
    runner.train()
    return curve.rates, said


@pytest.fixture
def two_epochs(tmp_path):
    runner = Runner.from_cfg(toy_config(tmp_path))
    runner.register_hook(StopAfterTwo())
    runner.train()
    return tmp_path


def test_the_same_options_are_not_spoken_of(two_epochs, monkeypatch):
    _, said = resumed(two_epochs, monkeypatch)
    assert not said


@pytest.mark.parametrize('changes, message', [
    ({'optim_wrapper.optimizer.lr': .02}, 'initial_lr was.*is 0.0'),
    ({'optim_wrapper.optimizer.weight_decay': .5}, 'weight_decay was.*is 0.5'),
    ({'epochs': 6}, None),
    ({'param_scheduler.0.eta_min_ratio': .5}, None),
])
def test_a_changed_option_is_used_and_said(two_epochs, monkeypatch, tmp_path,
                                           changes, message):
    rates, said = resumed(two_epochs, monkeypatch, **changes)
    whole, runner = train(tmp_path / 'whole', **changes)
    assert rates == whole[2 * SAMPLES:]
    if message:
        assert any(re.search(message, x) for x in said)


def test_a_long_schedule_ends_as_it_would(tmp_path):
    """A run that is over stays at the end of its schedule."""
    train(tmp_path, epochs=2)
    rates, _ = train(tmp_path, epochs=2, resume=True)
    assert rates == []


def change_meta(path, change):
    content = torch.load(path, weights_only=True)
    change(content)
    torch.save(content, path)


@pytest.mark.parametrize('change, message', [
    (lambda x: x['meta'].pop('iter'), "lacks iter in 'meta'"),
    (lambda x: x.pop('message_hub'), 'lacks log_scalars.*load_from'),
    (lambda x: x.update(optimizer=dict(state={}, param_groups=[])),
     'groups of'),
])
def test_what_is_missing_is_named(two_epochs, change, message):
    change_meta(two_epochs / 'epoch_2.pth', change)
    path = str(two_epochs / 'epoch_2.pth')
    runner = Runner.from_cfg(
        toy_config(two_epochs, resume=True, load_from=path))
    with pytest.raises(CheckpointError, match=f'epoch_2.pth.*{message}'):
        runner.train()


def test_another_version_is_told(two_epochs, monkeypatch):
    change_meta(two_epochs / 'epoch_2.pth',
                lambda x: x['meta'].update(cast_mmaction='0.0.1'))
    _, said = resumed(two_epochs, monkeypatch)
    assert any('cast_mmaction 0.0.1, this is' in x for x in said)


def test_a_training_in_iterations_is_refused_on_other_batches(tmp_path):
    changes = {
        'train_cfg': dict(
            _delete_=True, type='IterBasedTrainLoop', max_iters=8,
            val_interval=4),
        'default_hooks.checkpoint.by_epoch': False,
        'default_hooks.checkpoint.interval': 4,
        'param_scheduler': [
            dict(type='ConstantLR', factor=1., by_epoch=False)
        ],
        'log_processor.by_epoch': False,
    }
    train(tmp_path, **copy.deepcopy(changes))
    with pytest.raises(CheckpointError, match='clips per batch 2 instead'):
        train(tmp_path, batch=2, resume=True, **changes)
