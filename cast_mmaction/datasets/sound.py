"""The sound of a video: a stretch of it, mono, at the rate that is asked for.

Time counts from the first frame of the video, whatever the offsets and time
bases of the two streams are. Sound that is not there is `MissingSound`, never
silence.
"""
from contextlib import nullcontext
from typing import Iterator, List, NamedTuple, Tuple

import numpy as np

# Peak below which a sound is silent: three steps of 16 bits. Codecs turn
# digital silence into something of this size.
SILENT_PEAK = 1e-4
# Seconds decoded before the start: the first frame after a jump is not whole.
RUN_UP = 0.1
# Seconds on both sides that only the resampling filter sees.
MARGIN = 0.02
# Seconds by which stamps may be wrong: some containers round them to 1/1000.
STAMP_ERROR = 0.003
# Loudest sample of the integer formats, by NumPy's name.
FULL_SCALE = dict(uint8=2**7, int16=2**15, int32=2**31, int64=2**63)


class MissingSound(RuntimeError):
    """A video has no sound, or not where it is needed."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f'{path}: {reason}')
        self.path = path
        self.reason = reason

    def __reduce__(self) -> Tuple:  # crosses worker processes
        return type(self), (self.path, self.reason)


class Sound(NamedTuple):
    """A stretch of sound.

    Attributes:
        samples: Mono, (N, ), float32 from -1 to 1; 0 where nothing is.
        begin: First sample that is there.
        end: One past the last sample that is there.
        share: Part of the stretch that is there, from 0 to 1.
    """
    samples: np.ndarray
    begin: int
    end: int
    share: float


def read_sound(path: str,
               start: float,
               num_samples: int,
               sample_rate: int,
               container=None) -> Sound:
    """Read a stretch of sound.

    Channels are averaged. Only this part of the file is decoded.

    Args:
        path (str): A video, or a file of sound alone.
        start (float): Seconds after the first frame of the video, or after
            the beginning of the sound where there is no video.
        num_samples (int): Length of the stretch.
        sample_rate (int): Samples a second to give back.
        container (av.InputContainer, optional): The file, where it is open
            already. It stays open; whoever reads on has to seek first.

    Raises:
        MissingSound: If there is no such file or audio track, or the stretch
            is damaged, silent, or wholly outside of the track.
    """
    import av
    duration = num_samples / sample_rate
    where = f'from {start:.2f} s to {start + duration:.2f} s'
    try:
        with av.open(path) if container is None else nullcontext(
                container) as file:
            runs = _read_runs(file, path, start - MARGIN,
                              duration + 2 * MARGIN)
    except FileNotFoundError:
        raise MissingSound(path, 'there is no such file')
    except (av.FFmpegError, OSError) as error:
        raise MissingSound(
            path, f'its sound is damaged {where} ({error.strerror})')
    rates = {run.rate for run in runs}
    if not rates:
        raise MissingSound(path, f'has no sound {where}')
    if len(rates) > 1:
        raise MissingSound(path, f'changes its sampling rate {where}')
    rate, = rates
    whole, there = _place(runs, rate, duration + 2 * MARGIN)
    samples = whole if rate == sample_rate else _resample(
        whole, rate, sample_rate)
    skip = round(MARGIN * sample_rate)
    samples = samples[skip:skip + num_samples]
    samples = np.pad(samples, (0, num_samples - len(samples)))
    there = there[round(MARGIN * rate):][:round(duration * rate)]
    places = np.flatnonzero(there)
    if not len(places):
        raise MissingSound(path, f'has no sound {where}')
    if np.abs(samples).max() < SILENT_PEAK:
        raise MissingSound(path, f'is silent {where}')
    scale = num_samples / len(there)
    return Sound(samples, round(places[0] * scale),
                 round((places[-1] + 1) * scale), len(places) / len(there))


class Run(NamedTuple):
    """Sound without a gap: seconds after the start of the stretch, mono
    samples (N, ), samples a second."""
    time: float
    samples: np.ndarray
    rate: int


def _read_runs(container, path: str, start: float,
               duration: float) -> List[Run]:
    """All sound of a stretch, seconds after the first frame of the video."""
    import av
    if not container.streams.audio:
        raise MissingSound(path, 'has no audio track')
    stream = container.streams.audio[0]
    first = (*container.streams.video, stream)[0]
    start += float((first.start_time or 0) * first.time_base)
    # Pictures need not be fetched; older PyAV cannot say so.
    levels = getattr(av.stream, 'Discard', None)
    pictures = container.streams.video if levels else ()
    for other in pictures:
        other.discard = levels.all
    try:
        return list(_decode(container, stream, start, start + duration))
    finally:
        for other in pictures:
            other.discard = levels.default


def _decode(container, stream, start: float, stop: float) -> Iterator[Run]:
    """The runs that reach into `start` to `stop`, seconds of the container."""
    import av
    if not stream.codec_context.is_open:
        stream.thread_count = 1
    unit = float(stream.time_base)
    container.seek(int(max(start - RUN_UP, 0) / unit), stream=stream)
    fifo, begin, after = None, start, start
    kind = None
    for frame in container.decode(stream):
        # A frame without a stamp follows the one before.
        time = after if frame.pts is None else frame.pts * unit
        if time >= stop:
            break
        end = time + frame.samples / frame.sample_rate
        if end <= start:
            continue
        this = frame.format.name, frame.layout.name, frame.sample_rate
        if this != kind or abs(time - after) > STAMP_ERROR:
            if fifo is not None:
                yield Run(begin - start, _mono(fifo.read()), kind[2])
            fifo, begin, after, kind = av.AudioFifo(), time, time, this
        after += frame.samples / frame.sample_rate
        frame.pts = None  # or it would have to count samples
        fifo.write(frame)
    if fifo is not None:
        yield Run(begin - start, _mono(fifo.read()), kind[2])


def _mono(frame) -> np.ndarray:
    """Mean of the channels, (N, ), float32 from -1 to 1."""
    samples = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, len(frame.layout.channels)).T
    mean = samples.mean(axis=0, dtype=np.float32)
    name = samples.dtype.name
    if name in FULL_SCALE:
        if name == 'uint8':
            mean = mean - FULL_SCALE[name]
        mean = mean / np.float32(FULL_SCALE[name])
    return mean


def _place(runs: List[Run], rate: int,
           duration: float) -> Tuple[np.ndarray, np.ndarray]:
    """Samples where they belong, and which places have any."""
    samples = np.zeros(round(duration * rate), np.float32)
    there = np.zeros(len(samples), bool)
    for time, run, _ in runs:
        place = round(time * rate)
        run = run[max(-place, 0):]
        place = max(place, 0)
        run = run[:max(len(samples) - place, 0)]
        samples[place:place + len(run)] = run
        there[place:place + len(run)] = True
    return samples, there


def _resample(samples: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    import av
    frame = av.AudioFrame.from_ndarray(samples[None], 'fltp', 'mono')
    frame.sample_rate = rate
    resampler = av.AudioResampler('fltp', 'mono', new_rate)
    parts = resampler.resample(frame) + resampler.resample(None)
    return np.concatenate([part.to_ndarray()[0] for part in parts])
