import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from cast_mmaction.engine import StepSeedHook, hooks
from tests.toy import start


def test_every_step_of_every_process_draws_for_itself(monkeypatch):

    def draws(seed, rank, iteration):
        monkeypatch.setattr(hooks, 'get_rank', lambda: rank)
        StepSeedHook().before_train_iter(
            SimpleNamespace(seed=seed, iter=iteration), 0)
        return random.random(), np.random.rand(), torch.rand(1).item()

    base = draws(0, 0, 0)
    assert draws(0, 0, 0) == base
    for other in (draws(1, 0, 0), draws(0, 1, 0), draws(0, 0, 1)):
        assert all(x != y for x, y in zip(base, other))


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
