import pytest
import torch
import torch.nn.functional as F

from cast_mmaction.checkpoints import CheckpointError
from cast_mmaction.checkpoints.positions import fit_positions

CLIP = 'backbone.spatial.embedding.positions'
TIME = 'backbone.layers.0.exchange.t2s.key_positions.time'
SPACE = 'backbone.layers.0.exchange.s2t.query_positions.space'


def fit_one(key, table, shape):
    fitted, resized = fit_positions({key: table}, {key: shape})
    return fitted[key], resized


def test_equal_lengths_are_untouched():
    table = torch.randn(5, 8)
    fitted, resized = fit_one(CLIP, table, (5, 8))
    assert fitted is table and not resized


def test_over_space_the_class_token_keeps_its_position():
    table = torch.randn(1 + 9, 8)
    fitted, resized = fit_one(CLIP, table, (1 + 16, 8))
    assert torch.equal(fitted[0], table[0])
    grid = table[1:].view(1, 3, 3, 8).permute(0, 3, 1, 2)
    grid = F.interpolate(grid, (4, 4), mode='bicubic', antialias=True)
    torch.testing.assert_close(fitted[1:], grid[0].flatten(1).T)
    assert resized == {CLIP: '10 -> 17 over space, bicubic, antialiased'}


def test_tables_of_the_exchange_have_no_class_token():
    table = torch.ones(9, 8).half()
    fitted, _ = fit_one(SPACE, table, (4, 8))
    torch.testing.assert_close(fitted, torch.ones(4, 8))


def test_over_time_linear():
    table = torch.arange(4.)[:, None].expand(4, 8)
    fitted, resized = fit_one(TIME, table, (8, 8))
    expected = torch.tensor([0, .25, .75, 1.25, 1.75, 2.25, 2.75, 3])
    torch.testing.assert_close(fitted[:, 0], expected)
    assert resized == {TIME: '4 -> 8 over time, linear'}


def test_another_width_is_left_to_the_strict_loading():
    fitted, resized = fit_one(CLIP, torch.randn(10, 8), (17, 16))
    assert fitted.shape == (10, 8) and not resized


def test_other_tensors_are_untouched():
    fitted, resized = fit_one('backbone.norm.weight', torch.ones(3, 4), (4, 4))
    assert fitted.shape == (3, 4) and not resized


def test_patches_that_make_no_square_are_named():
    with pytest.raises(CheckpointError, match=f'{CLIP}: 7 patches'):
        fit_one(CLIP, torch.randn(8, 4), (17, 4))
