"""Pipeline steps for the sound of a clip, and what is missing of it.

A spectrogram is (views, 1, frames, bins), float32, not normalised: the data
preprocessor does that. A sample without sound is marked, not filled with
silence: ``has_audio`` (views, ) bool goes to the model, the reason
``missing_sound`` (str, empty if all is well) to the metrics.
"""
from collections import Counter
from typing import Dict, List, Optional, Tuple

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor

from mmaction.registry import HOOKS, TRANSFORMS
from ..models.audio_visual import AUDIOSET_MEAN
from ..spectrograms.fbank import frame_length, frame_shift, num_frames
from ..spectrograms.form import Spectrograms, masked
from .sound import MissingSound, read_recording
from .unreadable import report_reasons
from .video import PyAVReader

SHIFT = 0.01  # seconds from frame to frame of a spectrogram


def spread_windows(room: int, num_clips: int, num_crops: int) -> List[int]:
    """Where the windows of a test video's views begin.

    Every view of a clip hears another part, around the middle: with 2 clips
    of 3 crops from 1/4 to 2/3 of the room. A single view hears the middle.

    Args:
        room (int): Frames that a window can move.
        num_clips (int): Clips of the video.
        num_crops (int): Crops of each clip.

    Returns:
        list[int]: One per view, in the order of the views: crop by crop.
    """
    if num_clips * num_crops == 1:
        return [room // 2]
    return [
        room * (num_crops * clip + crop + 3) // (num_clips * num_crops + 6)
        for crop in range(num_crops) for clip in range(num_clips)
    ]


@TRANSFORMS.register_module()
class AudioDecode(BaseTransform):
    """Read the sound of the segment, as spectrograms of `num_frames` frames.

    A longer segment gives a window of that many frames: a random one in
    training, one per view in testing; only that part is decoded. A shorter
    one is filled with zeros at its end, as are the places that the track does
    not cover.

    The sound is missing if the file has no track, if it covers less than
    `min_share` of the segment or window, or is silent, damaged or shorter
    than 25 ms. Put this step between `ClipSampleFrames` and `VideoDecode`:
    the video's file is then opened once.

    Required keys: ``video_reader``, ``total_frames``, ``num_clips``;
    ``filename`` or ``frame_dir``. Optional keys: ``start_time`` and
    ``stop_time`` (seconds), without which the segment is the whole video;
    ``avg_fps``; ``unreadable``. Added keys: ``audio``, ``has_audio``,
    ``missing_sound``; in seconds from the start of the segment ``imgs_times``
    (views, frames), of the clips' frames, and ``audio_times`` (views, 2),
    begin and end of the spectrograms.

    Args:
        num_frames (int): Frames of 10 ms that the model takes.
        num_mel_bins (int): Defaults to 128.
        sample_rate (int): To which every sound is brought, Hz. Defaults to
            16000, at which AST was trained.
        num_crops (int): Crops of each clip, as the step that crops makes
            them. Defaults to 1.
        test_mode (bool): Fixed places instead of a random one. Defaults to
            False.
        file (str, optional): Where the sound is, if not in the video: such as
            ``'data/ek100/audio/{stem}.flac'``, with ``{stem}`` of the video's
            name and any key of the sample, such as ``{narration_id}``.
        trimmed (bool): The files of `file` hold the segments, not the
            whole videos. Defaults to False.
        min_share (float): Defaults to 0.9.
        missing (str): ``'mark'`` the sample, or ``'error'``. Defaults to
            ``'mark'``.
        defer (bool): Leave it to the data preprocessor, on the device of the
            model, to make the spectrograms; what `SpecAugment` draws, too.
            ``audio`` is then the sound, (N, ), and the added key ``sound``
            (dict) says what is to be made of it: the step that packs needs
            it among its ``meta_keys``. Same numbers, within rounding.
            Defaults to False.

    Raises:
        MissingSound: If sound is missing, with ``missing='error'``.
        ValueError: If an option is wrong, or a folder of frames comes without
            times.
    """

    def __init__(self,
                 num_frames: int,
                 num_mel_bins: int = 128,
                 sample_rate: int = 16000,
                 num_crops: int = 1,
                 test_mode: bool = False,
                 file: Optional[str] = None,
                 trimmed: bool = False,
                 min_share: float = 0.9,
                 missing: str = 'mark',
                 defer: bool = False) -> None:
        if missing not in ('mark', 'error'):
            raise ValueError(
                f"missing must be 'mark' or 'error', but got {missing!r}")
        if min(num_frames, num_mel_bins, num_crops) < 1:
            raise ValueError(
                'num_frames, num_mel_bins and num_crops must be at least 1, '
                f'but got {num_frames}, {num_mel_bins}, {num_crops}')
        if sample_rate < 1000 or sample_rate % 100:
            raise ValueError(f'sample_rate={sample_rate} must be a multiple '
                             'of 100 Hz, 1000 at least')
        if not 0 <= min_share <= 1:
            raise ValueError(f'min_share={min_share} is not from 0 to 1')
        if num_crops > 1 and not test_mode:
            raise ValueError(f'num_crops={num_crops} is for test_mode=True; '
                             'training takes one view of a video')
        if trimmed and file is None:
            raise ValueError('trimmed=True is for the files of file=...')
        self.num_frames = num_frames
        self.num_mel_bins = num_mel_bins
        self.sample_rate = sample_rate
        self.num_crops = num_crops
        self.test_mode = test_mode
        self.file = file
        self.trimmed = trimmed
        self.min_share = min_share
        self.missing = missing
        self.defer = defer

    def transform(self, results: Dict) -> Dict:
        """Add the spectrograms, or mark the sample."""
        num_views = results['num_clips'] * self.num_crops
        reason = ''
        form = Spectrograms(self.num_frames, self.num_mel_bins,
                            self.sample_rate, (0, ) * num_views)
        try:
            samples, windows, form = self._read(results, form)
        except MissingSound as error:
            if self.missing == 'error' and not results.get('unreadable'):
                raise
            reason = str(error)
            samples, windows = torch.zeros(1), form.windows
        if self.defer:
            results['audio'], results['sound'] = samples, form._asdict()
        else:
            results['audio'] = form.of(samples)
        begin = torch.tensor(windows) * SHIFT
        results['audio_times'] = torch.stack(
            [begin, begin + self.num_frames * SHIFT], dim=1)
        results['imgs_times'] = self._frame_times(results)
        results['has_audio'] = torch.full((num_views, ), not reason)
        results['missing_sound'] = reason
        return results

    def _frame_times(self, results: Dict) -> Tensor:
        frames = results['frame_inds'] - results.get('start_index', 0)
        duration = 0.  # of a blank video
        if not results.get('unreadable'):
            _, duration = self._segment(results)
        times = torch.from_numpy(frames * duration / results['total_frames'])
        # Crop by crop, as the views.
        times = times.float().view(results['num_clips'], -1)
        return times.repeat(self.num_crops, 1)

    def _read(self, results: Dict, form: Spectrograms
              ) -> Tuple[Tensor, List[int], Spectrograms]:
        """The sound, the frames of the segment's spectrogram that the views
        begin with, and how they are made of the sound."""
        path = self._path(results)
        if results.get('unreadable'):
            raise MissingSound(path, 'its video cannot be read')
        start, duration = self._segment(results)
        total = num_frames(
            round(duration * self.sample_rate), self.sample_rate)
        if total < 1:
            raise MissingSound(
                path, f'{duration:.3f} s are too short for a spectrogram')
        windows = self._windows(total, results['num_clips'])
        length = min(total, self.num_frames)
        first, last = min(windows), max(windows) + length
        step = frame_shift(self.sample_rate)
        reader = results['video_reader']
        container = None
        if self.file is None and isinstance(reader, PyAVReader):
            container = reader.container
        elif self.file is None and getattr(reader, 'content', None):
            container = PyAVReader(path, content=reader.content).container
        sound = read_recording(
            path,
            start + first * step / self.sample_rate,
            (last - first - 1) * step + frame_length(self.sample_rate),
            self.sample_rate,
            container=container)
        if sound.share < self.min_share:
            raise MissingSound(
                path, f'its sound covers {sound.share:.0%} of what is needed')
        form = form._replace(
            windows=tuple(window - first for window in windows),
            rate=sound.rate,
            num_samples=sound.num_samples,
            begin=sound.begin,
            end=sound.end)
        return torch.from_numpy(sound.samples), windows, form

    def _path(self, results: Dict) -> str:
        path = results.get('filename') or results['frame_dir']
        if self.file is None:
            return path
        stem = path.rstrip('/').rpartition('/')[2]
        if 'filename' in results:
            stem = stem.rpartition('.')[0]
        try:
            return self.file.format(**{**results, 'stem': stem})
        except KeyError as error:
            raise ValueError(f'file={self.file!r}: samples have no {error}; '
                             f'they have stem, {", ".join(results)}')

    def _segment(self, results: Dict) -> Tuple[float, float]:
        """Start in the file and length, seconds."""
        if 'start_time' in results:
            start, stop = results['start_time'], results['stop_time']
            return 0. if self.trimmed else start, stop - start
        if 'avg_fps' not in results:
            raise ValueError(
                f'{results["frame_dir"]}: how long these frames last is not '
                'known, so that their sound cannot be found; the annotations '
                'need time stamps')
        return 0., results['total_frames'] / results['avg_fps']

    def _windows(self, total: int, num_clips: int) -> List[int]:
        room = max(total - self.num_frames, 0)
        if self.test_mode:
            return spread_windows(room, num_clips, self.num_crops)
        return [np.random.randint(room + 1)]

    def __repr__(self) -> str:
        return (f'{self.__class__.__name__}(num_frames={self.num_frames}, '
                f'num_mel_bins={self.num_mel_bins}, '
                f'sample_rate={self.sample_rate}, '
                f'num_crops={self.num_crops}, test_mode={self.test_mode}, '
                f'file={self.file!r}, trimmed={self.trimmed}, '
                f'min_share={self.min_share}, missing={self.missing!r}, '
                f'defer={self.defer})')


@TRANSFORMS.register_module()
class SpecAugment(BaseTransform):
    """Hide random stretches of time and bands of frequency.

    Required and changed key: ``audio``; or ``sound``, where `AudioDecode` has
    left the spectrograms to the data preprocessor.

    Args:
        num_time_masks (int): Defaults to 2.
        time_mask (int): Frames of a mask, at most one less. Defaults to 70.
        num_frequency_masks (int): Defaults to 2.
        frequency_mask (int): Bins of a mask, at most one less. Defaults to
            20.
        value (float): What is put there; becomes 0 where the preprocessor
            subtracts the same. Defaults to the mean of AudioSet.
    """

    def __init__(self,
                 num_time_masks: int = 2,
                 time_mask: int = 70,
                 num_frequency_masks: int = 2,
                 frequency_mask: int = 20,
                 value: float = AUDIOSET_MEAN) -> None:
        self.masks = [(-2, time_mask)] * num_time_masks
        self.masks += [(-1, frequency_mask)] * num_frequency_masks
        self.value = value

    def transform(self, results: Dict) -> Dict:
        """Draw the masks and write them."""
        size = self._size(results)
        drawn = []
        for axis, most in self.masks:
            width = np.random.randint(min(most, size[axis]))
            start = np.random.randint(size[axis] - width + 1)
            drawn.append((axis, start, width, self.value))
        if 'sound' in results:
            form = results['sound']
            results['sound'] = dict(form, masks=(*form['masks'], *drawn))
        else:
            results['audio'] = masked(results['audio'].clone(), drawn)
        return results

    @staticmethod
    def _size(results: Dict) -> Tuple[int, int]:
        if 'sound' in results:
            form = results['sound']
            return form['num_frames'], form['num_mel_bins']
        return tuple(results['audio'].shape[-2:])

    def __repr__(self) -> str:
        return (f'{self.__class__.__name__}(masks={self.masks}, '
                f'value={self.value})')


@HOOKS.register_module()
class MissingSoundHook(Hook):
    """Count the clips without sound of all processes and list them.

    After every epoch the number is logged and
    ``<work_dir>/missing_sound.txt`` is written: how often, and why.
    """
    file_name = 'missing_sound.txt'

    def __init__(self) -> None:
        self.reasons: Counter = Counter()

    def _after_iter(self,
                    runner: Runner,
                    batch_idx: int,
                    data_batch: Optional[dict] = None,
                    outputs=None,
                    mode: str = 'train') -> None:
        for sample in (data_batch or {}).get('data_samples', []):
            if sample.get('missing_sound'):
                self.reasons[sample.missing_sound] += 1

    def _after_epoch(self, runner: Runner, mode: str = 'train') -> None:
        report_reasons(runner, self.reasons, self.file_name, 'have no sound')
