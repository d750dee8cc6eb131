"""The sound of a video: a stretch of it, mono, at the rate that is asked for.

Time counts from the first frame of the video, whatever the offsets and time
bases of the two streams are. Sound that is not there is `MissingSound`, never
silence.
"""
from contextlib import nullcontext
from typing import Iterator, List, NamedTuple, Tuple

import numpy as np
import torch

from ..spectrograms.resampling import (MARGIN, at_rate, by_ffmpeg,
                                       has_matrix)
from .fault import FaultyFile

# Peak below which a sound is silent: three steps of 16 bits. Codecs turn
# digital silence into something of this size.
SILENT_PEAK = 1e-4
# Seconds decoded before the start: the first frame after a jump is not whole.
RUN_UP = 0.1
# Seconds by which stamps may be wrong: some containers round them to 1/1000.
STAMP_ERROR = 0.003
# Frames that are put together at a time: they stay in the CPU's cache.
RUN = 64
# FFmpeg's formats of samples: type, silence and loudest sample.
FORMATS = dict(
    u8=(np.uint8, 2**7, 2**7),
    s16=(np.int16, 0, 2**15),
    s32=(np.int32, 0, 2**31),
    s64=(np.int64, 0, 2**63),
    flt=(np.float32, 0, 1),
    dbl=(np.float64, 0, 1))


class MissingSound(FaultyFile):
    """A video has no sound, or not where it is needed."""


class Recording(NamedTuple):
    """A stretch of sound as it was recorded; its numbers are plain ones.

    Attributes:
        samples: Mono, (N, ), float32 from -1 to 1; 0 where nothing is. There
            are `MARGIN` seconds more on both sides.
        rate: Samples a second, of which `at_rate` can make `sample_rate`.
        num_samples: Length of the stretch in samples of `sample_rate`, like
            the following.
        begin: First sample that is there.
        end: One past the last sample that is there.
        share: Part of the stretch that is there, from 0 to 1.
    """
    samples: np.ndarray
    rate: int
    num_samples: int
    begin: int
    end: int
    share: float


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
    """Read a stretch of sound, at the rate that is asked for.

    Args: as `read_recording`, which also says what is raised.
    """
    found = read_recording(path, start, num_samples, sample_rate, container)
    samples = at_rate(
        torch.from_numpy(found.samples), found.rate, num_samples, sample_rate)
    return Sound(samples.numpy(), found.begin, found.end, found.share)


def read_recording(path: str,
                   start: float,
                   num_samples: int,
                   sample_rate: int,
                   container=None) -> Recording:
    """Read a stretch of sound, at the rate that the file has.

    Channels are averaged. Only this part of the file is decoded.

    Args:
        path (str): A video, or a file of sound alone.
        start (float): Seconds after the first frame of the video, or after
            the beginning of the sound where there is no video.
        num_samples (int): Length of the stretch, at `sample_rate`.
        sample_rate (int): Samples a second that it is wanted at.
        container (av.InputContainer, optional): The file, where it is open
            already. It stays open; whoever reads on has to seek first.

    Raises:
        MissingSound: If there is no such file or audio track, or the stretch
            is damaged, silent, or wholly outside of the track.
    """
    import av
    duration = num_samples / sample_rate
    where = f'from {start:.2f} s to {start + duration:.2f} s'
    long = duration + 2 * MARGIN
    try:
        with av.open(path) if container is None else nullcontext(
                container) as file:
            pieces = _read_pieces(file, path, start - MARGIN, long)
    except FileNotFoundError:
        raise MissingSound(path, 'there is no such file')
    except (av.FFmpegError, OSError) as error:
        raise MissingSound(
            path, f'its sound is damaged {where} ({error.strerror})')
    rates = {piece.rate for piece in pieces}
    if not rates:
        raise MissingSound(path, f'has no sound {where}')
    if len(rates) > 1:
        raise MissingSound(path, f'changes its sampling rate {where}')
    rate, = rates
    samples = _join(pieces, round(long * rate))
    margin, length = round(MARGIN * rate), round(duration * rate)
    begin, end, covered = _extent(pieces, margin, length)
    if not covered:
        raise MissingSound(path, f'has no sound {where}')
    inside = samples[margin:margin + length]
    if max(inside.max(), -inside.min()) < SILENT_PEAK:
        raise MissingSound(path, f'is silent {where}')
    if not has_matrix(rate, sample_rate):
        samples, rate = by_ffmpeg(samples, rate, sample_rate), sample_rate
    scale = num_samples / length
    return Recording(samples, rate, num_samples, round(begin * scale),
                     round(end * scale), covered / length)


class Piece(NamedTuple):
    """Sound without a gap: its first sample's number in the stretch, mono
    samples (N, ), samples a second."""
    place: int
    samples: np.ndarray
    rate: int


def _read_pieces(container, path: str, start: float,
                 duration: float) -> List[Piece]:
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


def _decode(container, stream, start: float, stop: float) -> Iterator[Piece]:
    """The pieces that reach into `start` to `stop`, seconds of the container.
    """
    if not stream.codec_context.is_open:
        stream.thread_count = 1
    unit = float(stream.time_base)
    container.seek(int(max(start - RUN_UP, 0) / unit), stream=stream)
    run, kind, began = [], None, 0
    place, after = None, start
    for frame in container.decode(stream):
        # A frame without a stamp follows the one before.
        time = after if frame.pts is None else frame.pts * unit
        if time >= stop:
            break
        rate = frame.sample_rate
        if time + frame.samples / rate <= start:
            continue
        this = frame.format.name, frame.layout.name, rate
        gap = place is None or abs(time - after) > STAMP_ERROR
        if run and (gap or this != kind or len(run) == RUN):
            yield Piece(began, _mono(run), kind[-1])
            run = []
        if gap:
            place, after = round((time - start) * rate), time
        if not run:
            began, kind = place, this
        run.append(frame)
        place += frame.samples
        after += frame.samples / rate
    if run:
        yield Piece(began, _mono(run), kind[-1])


def _mono(frames) -> np.ndarray:
    """Mean of the channels of frames of one kind, (N, ), float32 from -1 to
    1."""
    kind, count = frames[0].format, frames[0].layout.nb_channels
    dtype, silence, loudest = FORMATS[kind.name.removesuffix('p')]
    # By hand: PyAV's to_ndarray() takes as long as it takes to decode AAC.
    if kind.is_planar:
        planes = [[
            np.frombuffer(plane, dtype, frame.samples)
            for plane in frame.planes
        ] for frame in frames]
        channels = list(map(np.concatenate, zip(*planes)))
    else:
        channels = np.concatenate([
            np.frombuffer(frame.planes[0], dtype, count * frame.samples)
            for frame in frames
        ]).reshape(-1, count).T
    mean = channels[0].astype(np.float32)
    for channel in channels[1:]:
        mean += channel
    mean /= np.float32(count)
    if loudest > 1:
        mean -= np.float32(silence)
        mean /= np.float32(loudest)
    return mean


def _join(pieces: List[Piece], length: int) -> np.ndarray:
    """The stretch: pieces where they belong, 0 where there is none."""
    whole = np.zeros(length, np.float32)
    for place, samples, _ in pieces:
        samples = samples[max(-place, 0):]
        place = max(place, 0)
        samples = samples[:max(length - place, 0)]
        whole[place:place + len(samples)] = samples
    return whole


def _extent(pieces: List[Piece], start: int,
            length: int) -> Tuple[int, int, int]:
    """First sample that any piece has, one past the last, and how many they
    have together, of `length` samples from `start` on."""
    first, last, covered = length, 0, 0
    for place, samples, _ in sorted(pieces, key=lambda piece: piece.place):
        begin = max(place - start, 0)
        end = min(place - start + len(samples), length)
        if begin < end:
            first = min(first, begin)
            covered += max(end - max(begin, last), 0)
            last = max(last, end)
    return first, last, covered
