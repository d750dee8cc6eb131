"""Which frames of a video make a clip.

The functions are pure: a number of frames in, indices out, so that they can be
compared with the evaluation protocol line by line. `ClipSampleFrames` is their
place in a pipeline.
"""
from typing import Dict

import numpy as np
from mmcv.transforms import BaseTransform

from mmaction.registry import TRANSFORMS


def dense_test_indices(num_frames: int, clip_len: int, interval: int,
                       num_clips: int) -> np.ndarray:
    """Clips of every `interval`-th frame, spread evenly over the video.

    A video too short for one clip repeats its last strided frame. One clip is
    taken from the middle.

    Returns:
        np.ndarray: Indices, (num_clips, clip_len).
    """
    strided = np.arange(0, num_frames, interval)
    room = max(len(strided) - clip_len, 0)
    if num_clips == 1:
        starts = np.array([room // 2])
    else:
        starts = np.arange(num_clips) * room // (num_clips - 1)
    places = starts[:, None] + np.arange(clip_len)
    return strided[np.minimum(places, len(strided) - 1)]


def window_test_indices(num_frames: int, clip_len: int, interval: int,
                        num_clips: int, starts: str) -> np.ndarray:
    """Clips of every `interval`-th frame that begin at any frame.

    A video too short for a clip repeats its last frame.

    Args:
        num_frames (int): Frames of the video.
        clip_len (int): Frames of a clip.
        interval (int): Distance of a clip's frames.
        num_clips (int): Clips of the video.
        starts (str): See ``test_starts`` of :class:`ClipSampleFrames`.

    Returns:
        np.ndarray: Indices, (num_clips, clip_len).
    """
    order = np.arange(num_clips)
    if starts == 'first':
        places = np.zeros(num_clips)
    elif starts == 'centers':
        room = max(num_frames - clip_len * interval + 1, 0)
        places = np.floor((order + .5) * room / num_clips)
    else:  # 'ends'
        room = max(num_frames - (clip_len - 1) * interval - 1, 0)
        places = np.round(order * room / (num_clips - 1)) if (
            num_clips > 1) else np.array([room // 2])
    indices = places.astype(int)[:, None] + np.arange(clip_len) * interval
    return np.minimum(indices, num_frames - 1)


def uniform_test_indices(num_frames: int, clip_len: int,
                         num_clips: int) -> np.ndarray:
    """One frame from each of `clip_len` equal segments, per clip.

    The clips together take `num_clips` evenly spread frames of every segment,
    in turn. One clip takes the middle frames.

    Returns:
        np.ndarray: Indices, (num_clips, clip_len).
    """
    segment = num_frames / clip_len
    starts = segment * np.arange(clip_len)
    if num_clips == 1:
        offsets = np.array([segment / 2])
    else:
        offsets = segment * np.arange(num_clips) / num_clips
    indices = np.sort((offsets[:, None] + starts).astype(int), axis=None)
    return indices.reshape(clip_len, num_clips).T


def dense_train_indices(num_frames: int, clip_len: int, interval: int,
                        rng: np.random.RandomState) -> np.ndarray:
    """Indices spread over a window of ``clip_len * interval`` frames.

    The window lies at a random place. A video shorter than the window gives
    every `interval`-th frame, then its last frame again and again.

    Returns:
        np.ndarray: Indices, (clip_len, ).
    """
    window = clip_len * interval
    if num_frames < window:
        strided = np.arange(0, num_frames, interval)
        padding = np.full(clip_len - len(strided), num_frames - 1)
        return np.concatenate([strided, padding])
    start = rng.randint(num_frames - window + 1)
    places = np.linspace(0, window, clip_len).astype(int)
    return start + np.minimum(places, window - 1)


def exact_train_indices(num_frames: int, clip_len: int, interval: int,
                        rng: np.random.RandomState) -> np.ndarray:
    """Every `interval`-th frame from a random place where the clip fits.

    A shorter video is taken from its first frame, its last one again and
    again.

    Returns:
        np.ndarray: Indices, (clip_len, ).
    """
    room = max(num_frames - (clip_len - 1) * interval, 1)
    indices = rng.randint(room) + np.arange(clip_len) * interval
    return np.minimum(indices, num_frames - 1)


def uniform_train_indices(num_frames: int, clip_len: int,
                          rng: np.random.RandomState) -> np.ndarray:
    """One random frame from each of `clip_len` equal segments.

    A video with fewer frames than `clip_len` gives every frame at least once,
    in order.

    Returns:
        np.ndarray: Indices, (clip_len, ).
    """
    if num_frames < clip_len:
        return np.arange(clip_len) * num_frames // clip_len
    segment = num_frames // clip_len
    return np.arange(clip_len) * segment + rng.randint(segment, size=clip_len)


def whole_train_indices(num_frames: int, clip_len: int,
                        rng: np.random.RandomState) -> np.ndarray:
    """One random frame from each of `clip_len` parts of the whole video.

    The parts are ``(num_frames - 1) / clip_len`` long and share their
    borders, rounded to whole frames.

    Returns:
        np.ndarray: Indices, (clip_len, ).
    """
    borders = np.round(
        np.arange(clip_len + 1) * (num_frames - 1) / clip_len).astype(int)
    return rng.randint(borders[:-1], borders[1:] + 1)


TEST_STARTS = ('strided', 'ends', 'centers', 'first')


# The second name is that of 0.1; it goes with the next release.
@TRANSFORMS.register_module(name=['ClipSampleFrames', 'CASTSampleFrames'])
class ClipSampleFrames(BaseTransform):
    """Choose the frames of a clip, or of all test clips of a video.

    Required keys: ``total_frames``, and optionally ``start_index`` (number of
    the first frame, 0 for video files). Added keys: ``frame_inds``
    ((num_clips * clip_len, ), int64), ``clip_len``, ``frame_interval``,
    ``num_clips``.

    Args:
        mode (str): ``'dense'`` takes neighbouring frames, `frame_interval`
            apart; ``'uniform'`` spreads the clip over the whole video.
        clip_len (int): Frames of a clip. Defaults to 16.
        frame_interval (int): Distance of the frames of a dense clip.
            Defaults to 4.
        num_clips (int): Clips per video. Training takes one. Defaults to 1.
        test_mode (bool): Fixed places instead of random ones. Defaults to
            False.
        exact (bool): Training clips as EVL, AIM, ST-Adapter and TimeSformer's
            SSv2 take them. Dense: the frames lie exactly `frame_interval`
            apart; else they are spread over a window of ``clip_len *
            frame_interval`` frames (CAST, TimeSformer on Kinetics). Uniform:
            the segments cover the whole video; else they have a whole number
            of frames and the last few are never drawn (CAST). Defaults to
            False.
        test_starts (str): Where the dense test clips begin. ``'strided'``:
            among every `frame_interval`-th frame, from the first to the last
            possible, one clip in the middle (CAST); ``'ends'``: the same
            among all frames (EVL, ST-Adapter); ``'centers'``: in the middles
            of `num_clips` equal parts (AIM); ``'first'``: one clip from the
            first frame (TimeSformer). Defaults to ``'strided'``.

    Raises:
        ValueError: If an option is not one of the above.
    """

    def __init__(self,
                 mode: str,
                 clip_len: int = 16,
                 frame_interval: int = 4,
                 num_clips: int = 1,
                 test_mode: bool = False,
                 exact: bool = False,
                 test_starts: str = 'strided') -> None:
        if mode not in ('dense', 'uniform'):
            raise ValueError(
                f"mode must be 'dense' or 'uniform', but got {mode!r}")
        if min(clip_len, frame_interval, num_clips) < 1:
            raise ValueError(
                'clip_len, frame_interval and num_clips must be at least 1, '
                f'but got {clip_len}, {frame_interval}, {num_clips}')
        if num_clips > 1 and not test_mode:
            raise ValueError(
                f'num_clips={num_clips} is for test_mode=True; training takes '
                'one clip of a video')
        if test_starts not in TEST_STARTS:
            raise ValueError(f'test_starts={test_starts!r}; use one of '
                             f'{", ".join(TEST_STARTS)}')
        if test_starts == 'first' and num_clips > 1:
            raise ValueError(f"test_starts='first' gives {num_clips} times "
                             'the same clip; set num_clips=1')
        self.mode = mode
        self.clip_len = clip_len
        self.frame_interval = frame_interval
        self.num_clips = num_clips
        self.test_mode = test_mode
        self.exact = exact
        self.test_starts = test_starts

    def transform(self, results: Dict) -> Dict:
        """Add the indices of the frames to read."""
        indices = self._indices(results['total_frames'])
        indices = indices.reshape(-1) + results.get('start_index', 0)
        results['frame_inds'] = indices
        results['clip_len'] = self.clip_len
        results['frame_interval'] = self.frame_interval
        results['num_clips'] = self.num_clips
        return results

    def _indices(self, num_frames: int) -> np.ndarray:
        if self.mode == 'uniform':
            if self.test_mode:
                return uniform_test_indices(num_frames, self.clip_len,
                                            self.num_clips)
            draw = whole_train_indices if self.exact else uniform_train_indices
            return draw(num_frames, self.clip_len, np.random)
        if not self.test_mode:
            draw = exact_train_indices if self.exact else dense_train_indices
            return draw(num_frames, self.clip_len, self.frame_interval,
                        np.random)
        clip = (num_frames, self.clip_len, self.frame_interval, self.num_clips)
        if self.test_starts == 'strided':
            return dense_test_indices(*clip)
        return window_test_indices(*clip, self.test_starts)

    def __repr__(self) -> str:
        return (f'{self.__class__.__name__}(mode={self.mode!r}, '
                f'clip_len={self.clip_len}, '
                f'frame_interval={self.frame_interval}, '
                f'num_clips={self.num_clips}, test_mode={self.test_mode}, '
                f'exact={self.exact}, test_starts={self.test_starts!r})')
