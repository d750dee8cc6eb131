import json

import numpy as np
import pytest

from cast_mmaction.datasets.sampling import (ClipSampleFrames,
                                             dense_train_indices,
                                             exact_train_indices,
                                             uniform_train_indices,
                                             whole_train_indices)


@pytest.mark.parametrize('name, options', [
    ('dense_16x4_5clips', dict(mode='dense', num_clips=5)),
    ('uniform_16_2clips', dict(mode='uniform', num_clips=2)),
])
def test_test_views_match_the_golden_ones(shared, name, options):
    golden = json.loads((shared / 'golden/test_views.json').read_text())
    sample = ClipSampleFrames(clip_len=16, test_mode=True, **options)
    for num_frames, clips in golden[name].items():
        results = sample(dict(total_frames=int(num_frames)))
        indices = results['frame_inds'].reshape(options['num_clips'], 16)
        assert indices.tolist() == clips, num_frames
        assert results['num_clips'] == options['num_clips']


@pytest.mark.parametrize('mode', ['dense', 'uniform'])
@pytest.mark.parametrize('num_frames', [1, 5, 15, 16, 17, 63, 64, 65, 300])
@pytest.mark.parametrize('options', [
    dict(),
    dict(test_mode=True),
    dict(test_mode=True, num_clips=3),
    dict(exact=True),
    dict(test_mode=True, test_starts='first'),
    dict(test_mode=True, num_clips=3, test_starts='ends'),
    dict(test_mode=True, num_clips=3, test_starts='centers'),
])
def test_indices_are_in_order_and_inside(mode, num_frames, options):
    sample = ClipSampleFrames(mode, **options)
    for _ in range(20):
        results = sample(dict(total_frames=num_frames, start_index=7))
        clips = results['frame_inds'].reshape(-1, 16)
        assert len(clips) == results['num_clips']
        assert (np.diff(clips) >= 0).all()
        assert clips.min() >= 7 and clips.max() < 7 + num_frames


@pytest.mark.parametrize('num_frames', range(1, 17))
def test_short_video_gives_every_frame(num_frames):
    indices = uniform_train_indices(num_frames, 16, np.random)
    assert set(indices) == set(range(num_frames))


def test_uniform_training_takes_any_frame_of_each_segment():
    rng = np.random.RandomState(0)
    seen = np.stack(
        [uniform_train_indices(50, 16, rng) for _ in range(200)])
    for segment in range(16):
        assert set(seen[:, segment]) == set(range(segment * 3,
                                                  segment * 3 + 3))


def test_dense_training_covers_a_window_at_any_place():
    rng = np.random.RandomState(0)
    seen = np.stack(
        [dense_train_indices(70, 16, 4, rng) for _ in range(200)])
    assert set(seen[:, 0]) == set(range(7))
    assert (seen[:, -1] - seen[:, 0] == 63).all()
    assert set(np.diff(seen).ravel()) <= {4, 5}


def test_dense_training_on_a_short_video_ends_with_the_last_frame():
    indices = dense_train_indices(10, 16, 4, np.random)
    assert indices.tolist() == [0, 4, 8] + [9] * 13


def test_exact_training_steps_as_stated_from_every_place_that_fits():
    rng = np.random.RandomState(0)
    seen = np.stack(
        [exact_train_indices(120, 8, 16, rng) for _ in range(200)])
    assert set(np.diff(seen).ravel()) == {16}
    assert set(seen[:, 0]) == set(range(8))  # 7 * 16 + 1 = 113 frames
    assert seen.max() == 119


def test_exact_training_on_a_short_video_ends_with_the_last_frame():
    indices = exact_train_indices(40, 8, 16, np.random)
    assert indices.tolist() == [0, 16, 32] + [39] * 5


def test_every_frame_of_the_whole_video_can_be_drawn():
    rng = np.random.RandomState(0)
    seen = np.stack([whole_train_indices(39, 8, rng) for _ in range(400)])
    assert set(seen.ravel()) == set(range(39))
    floored = np.stack([uniform_train_indices(39, 8, rng)
                        for _ in range(400)])
    assert set(floored.ravel()) == set(range(32))  # CAST's never see the rest
    # Part i: from round(i * 38 / 8) to round((i + 1) * 38 / 8).
    assert set(seen[:, 1]) == set(range(5, 11))


# Published codes on 300 frames, 8 x 16 (and 8 x 32 for one clip).
@pytest.mark.parametrize('test_starts, num_clips, starts', [
    ('strided', 3, [0, 80, 176]),
    ('ends', 3, [0, 94, 187]),
    ('centers', 3, [28, 86, 144]),
    ('ends', 1, [93]),
    ('first', 1, [0]),
])
def test_where_test_clips_begin(test_starts, num_clips, starts):
    sample = ClipSampleFrames(
        'dense',
        clip_len=8,
        frame_interval=16,
        num_clips=num_clips,
        test_mode=True,
        test_starts=test_starts)
    clips = sample(dict(total_frames=300))['frame_inds'].reshape(-1, 8)
    assert clips[:, 0].tolist() == starts
    assert (np.diff(clips) == 16).all()


@pytest.mark.parametrize('options, message', [
    (dict(mode='sparse'), "'dense' or 'uniform'"),
    (dict(mode='dense', clip_len=0), 'at least 1'),
    (dict(mode='dense', num_clips=5), 'test_mode'),
    (dict(mode='dense', test_starts='middle'), 'strided, ends, centers'),
    (dict(mode='dense', num_clips=2, test_mode=True, test_starts='first'),
     'num_clips=1'),
])
def test_wrong_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        ClipSampleFrames(**options)
