"""Lazy augmentation against the steps one by one."""
import random

import numpy as np
import pytest
from mmaction.registry import TRANSFORMS
from mmengine.dataset import Compose

from cast_mmaction.datasets.clip_ops import CLIP_OPS, MOVES
from cast_mmaction.datasets.fusing import (MEASURING, WHOLE, View,
                                           augmented_view)
from tests.test_datasets.test_rand_augment import CASES, smooth_clip

# The largest mean difference, in grey levels of 255, between one
# interpolation and several. What tears levels apart shows it more.
MOVED, TORN = 4, 9


def steps(lazy, size=64, flip=.5):
    """The steps of the recipes."""
    option = dict(lazy=lazy)
    found = [
        dict(type='ClipRandAugment', **option),
        dict(type='RandomResizedCrop', **option),
        dict(type='Resize', scale=(size, size), keep_ratio=False, **option),
        dict(type='Flip', flip_ratio=flip, **option)
    ]
    if lazy:
        found.append(dict(type='FuseClip'))
    return Compose([TRANSFORMS.build(step) for step in found])


def run(pipeline, frames, seed=0):
    random.seed(seed), np.random.seed(seed)
    results = pipeline(
        dict(
            imgs=list(frames), img_shape=frames.shape[1:3], modality='RGB'))
    return np.stack(results['imgs']), (random.random(), np.random.rand())


@pytest.fixture(scope='module')
def frames():
    clip = smooth_clip(num_frames=2, height=96, width=128)
    clip.flags.writeable = False  # as VideoDecode gives them
    return clip


@pytest.mark.parametrize('size', [40, 100])
def test_same_seed_gives_the_same_clips(frames, size):
    """With the same draws; that is also: with the same distribution."""
    eager, lazy = steps(False, size), steps(True, size)
    differences, moments = [], []
    for seed in range(80):
        expected, drawn = run(eager, frames, seed)
        found, as_drawn = run(lazy, frames, seed)
        assert found.shape == expected.shape and found.dtype == np.uint8
        assert drawn == as_drawn
        differences.append(np.abs(found.astype(int) - expected).mean())
        moments.append([(x.mean(), x.std()) for x in (expected, found)])
    assert np.mean(differences) < MOVED
    assert np.max(differences) < 3 * TORN
    before, after = np.mean(moments, axis=0)
    np.testing.assert_allclose(after, before, atol=1.)


@pytest.mark.parametrize('name, arguments, largest, mean', CASES)
@pytest.mark.parametrize('view', [
    View((10, 5, 70, 65), (90, 80)),
    View((20, 10, 120, 90), (50, 40)),
    View((0, 0, 128, 96), (100, 96))
])
def test_each_operation(frames, name, arguments, largest, mean, view):
    expected = view.of(CLIP_OPS[name](frames, *arguments), flip=True)
    found = augmented_view(frames, [(name, arguments)], view, flip=True)
    differs = np.abs(found.astype(int) - expected)
    left, top, right, bottom = view.box
    enlarged = right - left <= view.size[0] and bottom - top <= view.size[1]
    if name in WHOLE or enlarged and name not in (*MOVES, *MEASURING):
        assert not differs.any()
    elif name in MOVES:
        assert differs.mean() < MOVED
    else:  # the levels, before or after scaling
        assert differs.mean() < TORN


def test_bare_places_change_with_what_follows(frames):
    view = View((0, 0, 128, 96), (128, 96))
    operations = [('TranslateXRel', (.5, )), ('Invert', ()),
                  ('TranslateYRel', (.5, ))]
    clip = frames
    for name, arguments in operations:
        clip = CLIP_OPS[name](clip, *arguments)
    np.testing.assert_array_equal(
        augmented_view(frames, operations, view), clip)
    assert {127, 128} <= set(clip[0, [0, -1], -1, 0].tolist())


def test_levels_are_those_of_the_whole_frame(frames):
    """Measured after what came before, in a coarse copy."""
    large = frames.repeat(3, axis=1).repeat(3, axis=2)
    view = View((30, 30, 120, 100), (90, 70))
    operations = [('BrightnessIncreasing', (.5, )), ('AutoContrast', ()),
                  ('ShearX', (.1, )), ('ContrastIncreasing', (.4, ))]
    clip = large
    for name, arguments in operations:
        clip = CLIP_OPS[name](clip, *arguments)
    found = augmented_view(large, operations, view).astype(int)
    assert np.abs(found - view.of(clip)).mean() < MOVED
    alone = CLIP_OPS['AutoContrast'](view.of(large))
    assert np.abs(found - alone).mean() > 3 * MOVED


def test_without_augmentation_it_is_the_hosts_fuse(frames):
    lazy = dict(lazy=True)
    shared = [
        dict(type='RandomResizedCrop', **lazy),
        dict(type='Resize', scale=(56, 48), keep_ratio=False, **lazy),
        dict(type='Flip', flip_ratio=1., **lazy)
    ]
    found, expected = (
        run(Compose([TRANSFORMS.build(x) for x in [*shared, last]]),
            frames)[0] for last in (dict(type='FuseClip'), dict(type='Fuse')))
    np.testing.assert_array_equal(found, expected)


def test_after_steps_that_are_not_lazy(frames):
    """As in recipes that put others in place of RandAugment and its crop."""
    pipeline = Compose([
        TRANSFORMS.build(x)
        for x in (dict(type='RandomCrop', size=64),
                  dict(type='Flip', flip_ratio=1., lazy=True),
                  dict(type='FuseClip'))
    ])
    plain = Compose([TRANSFORMS.build(dict(type='RandomCrop', size=64))])
    np.testing.assert_array_equal(
        run(pipeline, frames)[0],
        run(plain, frames)[0][:, :, ::-1])


def test_wrong_neighbours(frames):
    fuse = TRANSFORMS.build(dict(type='FuseClip'))
    with pytest.raises(ValueError, match='no step before it has lazy=True'):
        fuse(dict(imgs=list(frames), img_shape=(96, 128)))
    late = Compose([
        TRANSFORMS.build(dict(type='RandomCrop', size=64, lazy=True)),
        TRANSFORMS.build(dict(type='ClipRandAugment', lazy=True))
    ])
    with pytest.raises(ValueError, match='before the lazy crop'):
        run(late, frames)
    flip = TRANSFORMS.build(
        dict(type='Flip', flip_ratio=1., direction='vertical', lazy=True))
    with pytest.raises(ValueError, match="direction='vertical'"):
        run(Compose([flip, fuse]), frames)
