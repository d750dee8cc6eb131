import random

import numpy as np
import pytest
from mmaction.registry import TRANSFORMS

from cast_mmaction.datasets.erasing import ClipRandomErasing


def clip(frames=4, height=48, width=64):
    return [np.full((height, width, 3), 7, np.uint8) for _ in range(frames)]


def seed(number):
    random.seed(number)
    np.random.seed(number)


def test_one_box_for_all_frames():
    erase = TRANSFORMS.build(dict(type='ClipRandomErasing', prob=1.))
    for number in range(20):
        seed(number)
        source = clip()
        out = np.stack(erase(dict(imgs=source))['imgs'])
        changed = (out != 7).any(axis=-1)  # (T, H, W)
        rows, cols = changed.any(axis=(0, 2)), changed.any(axis=(0, 1))
        box = out[:, rows][:, :, cols]
        for side in (rows, cols):  # without gaps
            assert np.ptp(np.flatnonzero(side)) + 1 == side.sum()
        area = rows.sum() * cols.sum() / (48 * 64)
        assert .015 < area < .35
        # Noise in all of the box, in every frame its own.
        assert (box == 7).mean() < .02
        assert not np.array_equal(box[0], box[1])
        assert all((frame == 7).all() for frame in source)


def test_the_share_of_clips():
    seed(0)
    erase = ClipRandomErasing(.25)
    hits = sum((erase(dict(imgs=clip(1, 8, 8)))['imgs'][0] != 7).any()
               for _ in range(800))
    assert 160 < hits < 240


def test_the_seed_decides():
    def run():
        seed(3)
        return np.stack(ClipRandomErasing(1.)(dict(imgs=clip()))['imgs'])

    assert np.array_equal(run(), run())


def test_no_probability():
    with pytest.raises(ValueError, match='prob=25'):
        ClipRandomErasing(25)
