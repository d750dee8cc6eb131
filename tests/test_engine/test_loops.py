import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from torch import nn

from cast_mmaction.engine.loops import training_precision
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


@pytest.mark.parametrize('wrapper, dtype', [
    (None, None),
    (dict(type='OptimWrapper'), None),
    (dict(type='AmpOptimWrapper'), torch.float16),
    (dict(type='AmpOptimWrapper', dtype='bfloat16'), torch.bfloat16),
])
def test_precision_of_the_training(monkeypatch, wrapper, dtype):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    assert training_precision(Config(dict(optim_wrapper=wrapper))) == dtype


def test_no_mixed_precision_without_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    cfg = Config(dict(optim_wrapper=dict(type='AmpOptimWrapper')))
    assert training_precision(cfg) is None


@pytest.mark.parametrize('loop', ['ValLoop', 'PrecisionValLoop'])
def test_validates_as_it_trains(tmp_path, monkeypatch, loop):
    """The host's loop does not; once it does, ours can go."""
    found = []

    def spy(self, inputs, labels, mode='tensor'):
        x = nn.functional.linear(inputs, self.backbone[0].weight)
        found.append(x.dtype)
        return [dict(hit=x) for x in labels]

    # The CPU's autocast stands in for the GPU's.
    monkeypatch.setattr('cast_mmaction.engine.loops.training_precision',
                        lambda cfg: torch.bfloat16)
    monkeypatch.setattr(
        'cast_mmaction.engine.loops.autocast',
        lambda kind, dtype: torch.autocast('cpu', dtype))
    monkeypatch.setattr(ToyModel, 'forward', spy)
    runner = Runner.from_cfg(
        toy_config(tmp_path, **{'val_cfg.type': loop}))
    runner.val()
    expected = torch.bfloat16 if 'Precision' in loop else torch.float32
    assert set(found) == {expected}
    assert runner.model.forward.__func__ is spy  # as it was
