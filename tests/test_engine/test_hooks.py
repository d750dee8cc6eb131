import pytest
import torch

from tests.toy import start


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
