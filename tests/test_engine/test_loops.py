import pytest
import torch
from mmengine.runner import Runner
from torch import nn

from cast_mmaction.engine import loops
from tests.toy import SAMPLES, ToyModel, toy_config


def test_an_epoch_is_made_of_whole_steps(tmp_path):
    runner = Runner.from_cfg(
        toy_config(tmp_path, **{'optim_wrapper.accumulative_counts': 4}))
    runner.train()
    assert len(runner.train_dataloader) == 4  # of 6
    assert runner.iter == runner.max_iters == 12
    assert runner.param_schedulers[0].total_steps == 3
    assert runner.param_schedulers[0].warmup_steps == 1


def test_every_sample_without_accumulation(tmp_path, monkeypatch):
    seen = []
    forward = ToyModel.forward

    def count(self, inputs, labels, mode='tensor'):
        if mode == 'loss':
            seen.append(len(inputs))
        return forward(self, inputs, labels, mode)

    monkeypatch.setattr(ToyModel, 'forward', count)
    Runner.from_cfg(toy_config(tmp_path, batch=5, epochs=1)).train()
    assert sum(seen) == SAMPLES and seen[-1] == 4


def test_an_epoch_shorter_than_a_step(tmp_path):
    runner = Runner.from_cfg(
        toy_config(tmp_path, **{'optim_wrapper.accumulative_counts': 7}))
    with pytest.raises(ValueError, match='6 batches.*takes 7'):
        runner.train()


@pytest.fixture
def seen(monkeypatch):
    """The types that a model computed in; the CPU stands in for a GPU."""
    found = []

    def spy(self, inputs, labels, mode='tensor'):
        x = nn.functional.linear(inputs, self.backbone[0].weight)
        found.append(str(x.dtype).removeprefix('torch.'))
        if mode == 'loss':
            return dict(loss=x.float().mean())
        return [dict(hit=x) for x in labels]

    monkeypatch.setattr('cast_mmaction.precision.HALVES_ON', 'cpu')
    monkeypatch.setattr(loops, 'on_this_machine', lambda x: x)
    monkeypatch.setattr(ToyModel, 'forward', spy)
    return found


@pytest.mark.parametrize('loop', ['ValLoop', 'PrecisionValLoop'])
def test_validates_as_it_trains(tmp_path, monkeypatch, seen, loop):
    """The host's loop does not; once it does, ours can go."""
    monkeypatch.setattr(loops, 'of_config', lambda cfg: 'bfloat16')
    runner = Runner.from_cfg(
        toy_config(tmp_path, **{'val_cfg.type': loop}))
    runner.val()
    assert set(seen) == {
        'bfloat16' if 'Precision' in loop else 'float32'
    }
    seen.clear()
    runner.test()  # and not once more, and no longer than it should
    runner.model(torch.zeros(1, 8), torch.zeros(1))
    assert seen == ['bfloat16'] * (len(seen) - 1) + ['float32']


@pytest.mark.parametrize('told, expected', [(None, 'bfloat16'),
                                            ('float32', 'float32')])
def test_tests_as_the_checkpoint_was_trained(tmp_path, monkeypatch, seen,
                                             told, expected):
    with monkeypatch.context() as training:
        training.setattr('cast_mmaction.precision.of_config',
                         lambda cfg: 'bfloat16')
        Runner.from_cfg(toy_config(tmp_path, epochs=1)).train()
    content = torch.load(tmp_path / 'epoch_1.pth', weights_only=True)
    assert content['meta']['precision'] == 'bfloat16'
    seen.clear()
    Runner.from_cfg(
        toy_config(
            tmp_path,
            load_from=str(tmp_path / 'epoch_1.pth'),
            **{'test_cfg.precision': told})).test()
    assert set(seen) == {expected}


def test_validates_as_it_trains_on_another_checkpoint(tmp_path, monkeypatch,
                                                      seen):
    """Not as that has been trained."""
    with monkeypatch.context() as training:
        training.setattr('cast_mmaction.precision.of_config',
                         lambda cfg: 'bfloat16')
        Runner.from_cfg(toy_config(tmp_path, epochs=1)).train()
    seen.clear()
    Runner.from_cfg(
        toy_config(
            tmp_path / 'then',
            epochs=1,
            load_from=str(tmp_path / 'epoch_1.pth'))).train()
    assert set(seen) == {'float32'}


def test_a_precision_that_is_none(tmp_path, seen):
    runner = Runner.from_cfg(
        toy_config(tmp_path, **{'test_cfg.precision': 'float8'}))
    with pytest.raises(ValueError, match="'float8', which is none of float32"):
        runner.test()
