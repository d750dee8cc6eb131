"""Frames whose colours are converted where the model is."""
import platform
import random

import av
import numpy as np
import pytest
import torch
from mmaction.registry import DATASETS, TRANSFORMS
from mmengine.config import Config
from mmengine.dataset import Compose

from cast_mmaction.datasets import planes as planes_module
from cast_mmaction.datasets.deferring import (BEYOND, defer_augmentation,
                                              finished)
from cast_mmaction.datasets.loading import VideoDecode, VideoInit
from cast_mmaction.datasets.planes import (Conversion, OtherFormat,
                                           PlaneCollector, cut, parts, to_rgb)
from cast_mmaction.datasets.pyav_reader import PyAVReader
from cast_mmaction.datasets.video import UnreadableVideo
from tests.decoders import needs_torchcodec
from tests.faults.videos import write_video
from tests.test_datasets.test_video import NOT_BY_DECORD, READABLE
from tests.toy import ROOT

# Elsewhere FFmpeg rounds otherwise.
LARGEST = 0 if platform.machine() in ('x86_64', 'AMD64') else 3
OTHERS = ['odd_341x257.mp4', 'rotated_90_3_frames.mov']
# Before it all colours are taken for BT.601, and nothing is left to others.
pytestmark = pytest.mark.skipif(
    int(av.__version__.split('.')[0]) < 17, reason='needs PyAV 17')


def rgb(planes):
    """(T, H, W, 3)."""
    frames = to_rgb(torch.from_numpy(planes.values), planes.conversion)
    return frames.permute(0, 2, 3, 1).numpy()


def assert_same(found, expected):
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() <= LARGEST


def made_frame(pixel_format='yuv420p', space=2, levels=0, size=(48, 70)):
    """Noise: all levels beside all others."""
    height, width = size
    noise = np.random.default_rng(0).integers(
        0, 256, (height * 3 // 2, width), dtype=np.uint8)
    frame = av.VideoFrame.from_ndarray(noise, format=pixel_format)
    frame.colorspace, frame.color_range, frame.pts = space, levels, 0
    return frame


@pytest.mark.parametrize('space', [1, 2, 5, 6, 9])
@pytest.mark.parametrize('pixel_format, levels', [('yuv420p', 0),
                                                  ('yuv420p', 1),
                                                  ('yuv420p', 2),
                                                  ('yuvj420p', 2)])
def test_colours_are_those_of_the_reader(pixel_format, levels, space):
    frame = made_frame(pixel_format, space, levels)
    collect = PlaneCollector([0], (48, 70))
    collect(frame)
    assert_same(rgb(collect.planes)[0], frame.to_ndarray(format='rgb24'))


class Upended:
    """A picture that is stored from the bottom up."""

    def __init__(self, frame):
        self._frame = frame

    def __getattr__(self, name):
        return getattr(self._frame, name)

    @property
    def line_size(self):
        return -self._frame.line_size

    @property
    def planes(self):
        return [Upended(plane) for plane in self._frame.planes]


def test_frames_that_are_not_alike():
    collect = PlaneCollector([0, 1], (48, 70))
    collect(made_frame())
    for frame in (made_frame(space=7), made_frame(levels=2),
                  made_frame(size=(48, 72)), made_frame(size=(50, 70)),
                  made_frame('yuv422p'), Upended(made_frame())):
        with pytest.raises(OtherFormat):
            collect(frame)


@pytest.mark.parametrize('name', [*READABLE, *NOT_BY_DECORD])
def test_files(shared, name):
    """What is of another format is still there to be read."""
    path = str(shared / 'clips/odd' / name)
    everything = PyAVReader(path)
    chosen = range(0, len(everything), 3)
    expected = np.stack(everything.read(chosen))
    reader = PyAVReader(path)
    planes = reader.read_planes(chosen)
    assert (planes is None) == (name in OTHERS)
    if planes is None:
        found = np.stack(reader.read(chosen))
        np.testing.assert_array_equal(found, expected)
    else:
        assert_same(rgb(planes), expected)
    assert_closed(reader)


def assert_closed(reader):
    with pytest.raises(AssertionError):
        next(reader.container.demux())


@pytest.mark.parametrize('options, planar', [({}, True), ({'tff': '1'}, False)])
def test_fields_of_interlaced_frames(tmp_path, options, planar):
    """FFmpeg takes the colours of each field from its own rows."""
    path = tmp_path / 'fields.mp4'
    write_video(path, 'libx264', 'yuv420p',
                {'x264-params': 'tff=1'} if options else {})
    reader = PyAVReader(str(path))
    planes = reader.read_planes(range(len(reader)))
    assert (planes is not None) == planar
    expected = np.stack(PyAVReader(str(path)).read(range(len(reader))))
    found = rgb(planes) if planar else np.stack(
        reader.read(range(len(reader))))
    assert_same(found, expected)


def test_a_change_in_the_middle(tmp_path, monkeypatch):
    """Of the levels: all is read again, as RGB."""
    path = tmp_path / 'changes.mp4'
    write_video(path, 'libx264', 'yuv420p', {'g': '6', 'bf': '2'})
    path = str(path)
    expected = np.stack(PyAVReader(path).read(range(12)))
    of, seen = Conversion.of, []

    def changing(frame):
        seen.append(frame.pts)
        return of(frame)._replace(black=16 + (len(seen) > 8))

    monkeypatch.setattr(planes_module.Conversion, 'of', changing)
    reader = PyAVReader(path)
    assert reader.read_planes(range(12)) is None
    assert len(seen) == 9
    np.testing.assert_array_equal(np.stack(reader.read(range(12))), expected)
    assert_closed(reader)


def test_an_old_pyav(tmp_path, monkeypatch):
    path = tmp_path / 'short.mp4'
    write_video(path, 'libx264', 'yuv420p', {})
    assert PyAVReader(str(path)).read_planes([0]) is not None
    monkeypatch.setattr(av, '__version__', '16.1.0')
    assert PyAVReader(str(path)).read_planes([0]) is None


def test_a_damaged_file_is_named(shared):
    reader = PyAVReader(str(shared / 'clips/odd/decode_error.mp4'))
    with pytest.raises(UnreadableVideo, match='decode_error.mp4'):
        reader.read_planes(range(len(reader)))
    assert_closed(reader)


def read(path, indices, decoder='pyav', **options):
    results = VideoInit(decoder)(dict(filename=str(path)))
    results['frame_inds'] = np.array(indices)
    return VideoDecode(**options)(results)


def test_frames_that_come_twice(shared):
    path = shared / 'clips/odd/five_frames.mp4'
    for indices in ([0, 1, 4], [4, 0, 4, 2], [3, 3]):
        expected = read(path, indices)
        found = read(path, indices, planes=True)
        assert found['img_shape'] == found['original_shape'] == (256, 340)
        assert found['imgs'].shape == (len(indices), 384, 340)
        frames = to_rgb(torch.from_numpy(found['imgs']), found['conversion'])
        assert_same(frames.permute(0, 2, 3, 1).numpy(),
                    np.stack(expected['imgs']))


@pytest.mark.parametrize('options', [
    dict(short_side=128),
    pytest.param(dict(decoder='torchcodec'), marks=needs_torchcodec)
])
def test_rgb_where_it_is_asked_for(shared, options):
    path = shared / 'clips/odd/five_frames.mp4'
    expected = read(path, [0, 3], **options)
    found = read(path, [0, 3], planes=True, **options)
    assert 'conversion' not in found
    np.testing.assert_array_equal(
        np.stack(found['imgs']), np.stack(expected['imgs']))
    # Not scaled by that:
    assert 'conversion' in read(path, [0], short_side=256, planes=True)


@pytest.mark.parametrize('box', [(0, 0, 70, 48), (3, 5, 11, 6), (4, 2, 9, 47),
                                 (69, 47, 70, 48)])
def test_cut_to_a_box(box):
    collect = PlaneCollector([0], (48, 70))
    collect(made_frame())
    values, conversion = collect.planes
    inner, place = cut(values, box)
    assert inner.size <= (box[2] - box[0] + 2) * (box[3] - box[1] + 2) * 1.5

    def seen(planes, box):
        left, top, right, bottom = box
        frames = to_rgb(torch.from_numpy(planes), conversion)
        return frames[..., top:bottom, left:right]

    assert torch.equal(seen(inner, place), seen(values, box))
    y, u, v = parts(inner)
    assert (u.shape, v.shape) == ((1, y.shape[1] // 2, y.shape[2] // 2), ) * 2


def kinetics(*behind):
    """Its training data, deferred."""
    cfg = Config.fromfile(ROOT / 'configs/_base_/datasets/kinetics400.py')
    cfg.train_dataloader.dataset.pipeline[3:3] = behind
    cfg.augment_on_device = True
    cfg.model = dict(data_preprocessor=dict(type='ActionDataPreprocessor'))
    defer_augmentation(cfg)
    return cfg.train_dataloader.dataset


def test_only_where_no_other_step_looks_at_frames():
    assert kinetics().pipeline[2] == dict(type='VideoDecode', planes=True)
    assert kinetics(dict(type='SpecAugment')).pipeline[2].planes
    for step in (dict(type='ColorJitter'), dict(type='Flip', lazy=False)):
        assert kinetics(step).pipeline[2] == dict(type='VideoDecode')


def clips_of(pipeline, path, seed):
    random.seed(seed), np.random.seed(seed)
    sample = pipeline(
        dict(filename=str(path), label=0, modality='RGB', start_index=0))
    return sample['inputs'], sample['data_samples'].deferred


def test_the_clips_of_the_recipe(shared):
    """The same in the end, and about half the bytes on the way."""
    steps = kinetics().pipeline
    ways = []
    for planes in (False, True):
        steps[2].planes = planes
        ways.append(Compose([TRANSFORMS.build(step) for step in steps]))
    shares = {True: [], False: []}
    for seed, path in enumerate([
            *[shared / 'clips/arm_wrestling.mp4'] * 12,
            *sorted(shared.glob('clips/actions/*.mp4'))[:8]
    ]):
        (sent, drawn), (less, as_drawn) = (
            clips_of(way, path, seed) for way in ways)
        assert drawn.operations == as_drawn.operations
        assert_same(
            finished(less, as_drawn).numpy(),
            finished(sent, drawn).numpy())
        beyond = any(name in BEYOND for name, _ in drawn.operations)
        shares[beyond].append(less.numel() / sent.numel())
    assert set(shares[True]) == {.5}
    assert len(shares[False]) > 2 and max(shares[False]) < .52
    path = shared / 'clips/odd/odd_341x257.mp4'
    (sent, _), (same, drawn) = (clips_of(way, path, 0) for way in ways)
    assert drawn.conversion is None
    assert torch.equal(sent, same)


@pytest.mark.parametrize('num_repeats', [1, 2])
def test_a_data_set(shared, tmp_path, num_repeats):
    """A segment, and two clips of it: neither changes the other."""
    path = shared / 'clips/arm_wrestling.mp4'
    (tmp_path / 'list.txt').write_text(f'{path} 0\n')
    data = kinetics()
    data.update(
        ann_file=str(tmp_path / 'list.txt'),
        data_prefix=dict(video=''),
        num_repeats=num_repeats)
    found = []
    for planes in (False, True):
        data.pipeline[2].planes = planes
        random.seed(3), np.random.seed(3)
        data_set = DATASETS.build(data)
        info = dict(data_set.get_data_info(0), start_time=2.3, stop_time=6.1)
        clips = data_set.pipeline(info)
        clips = clips if isinstance(clips, list) else [clips]
        assert len(clips) == num_repeats
        found.append([
            finished(clip['inputs'], clip['data_samples'].deferred).numpy()
            for clip in clips
        ])
    for one, other in zip(*found):
        assert_same(other, one)
    if num_repeats == 2:
        assert (found[0][0] != found[0][1]).any()
