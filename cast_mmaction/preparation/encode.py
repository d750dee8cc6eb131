"""A video made small: short side, key frames, a segment of it.

ffmpeg does it, or PyAV where there is no ffmpeg. Both stop at the first frame
that cannot be decoded: a made-up frame would look like a good one afterwards.
"""
import errno
import os.path as osp
import re
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import List, NamedTuple, Optional, Tuple

import numpy as np

from ..atomic_write import atomic_write
from ..datasets.video import PyAVReader, UnreadableVideo
from ..process_signals import die_with_parent

# Finer than x264's own crf of 23: what comes in has lost something already.
QUALITY = dict(preset='fast', crf='21')
AUDIO_RATE = 128_000  # bits a second
NO_SPACE = 'No space left on device'
# '[h264 @ 0x5652bad4a580] '
PLACE_IN_FFMPEG = re.compile(r'^(\[[^\]]* @ 0x[0-9a-f]+\] )+')


class Order(NamedTuple):
    """A file to make.

    Attributes:
        source: The video.
        target: The file, in an existing folder; empty: only read the source.
        short_side: Pixels that the shorter side has at most.
        key_frames: Frames from one key frame to the next.
        start: Seconds after the first frame, with `stop` the segment to cut.
        stop: Seconds.
    """
    source: str
    target: str = ''
    short_side: int = 320
    key_frames: int = 30
    start: Optional[float] = None
    stop: Optional[float] = None


class _Plan(NamedTuple):
    """What is to come out: size after rotation, frames, and where to cut."""
    width: int
    height: int
    frames: int
    seek: float
    seconds: float


def encoder() -> str:
    """What makes the files: the path of ffmpeg, or 'pyav'.

    Raises:
        FileNotFoundError: If there is neither; it says what to install.
    """
    ffmpeg = shutil.which('ffmpeg')
    if ffmpeg:
        return ffmpeg
    try:
        import av
        av.codec.Codec('libx264', 'w')
    except (ImportError, ValueError) as error:
        raise FileNotFoundError(
            'no program to make videos with: install the package ffmpeg '
            '(apt-get install ffmpeg, conda install -c conda-forge ffmpeg) '
            f'or PyAV (pip install av) ({error})') from error
    return 'pyav'


def make(order: Order) -> None:
    """Make a file; it appears whole or not at all.

    Raises:
        UnreadableVideo: If the source cannot be read, or ffmpeg cannot.
        OSError: If the disk is full.
    """
    plan = _plan(order)
    program = encoder()
    with atomic_write(order.target) as temporary:
        if program == 'pyav':
            _with_pyav(order, plan, temporary)
        else:
            _with_ffmpeg(program, order, plan, temporary)
        made = len(PyAVReader(str(temporary)))
        if made != plan.frames:
            raise UnreadableVideo(
                order.source, f'only {made} of {plan.frames} frames can be '
                'decoded')


def _plan(order: Order) -> _Plan:
    reader = PyAVReader(order.source, order.start, order.stop)
    frames, fps = len(reader), reader.fps
    # ffmpeg counts from the first of all streams, readers from the pictures'.
    shown = reader.shown_at - (reader.container.start_time or 0) / 1e6
    first, = reader.read([0])
    height, width = first.shape[:2]
    scale = min(order.short_side / min(width, height), 1)
    width, height = (max(2 * round(x * scale / 2), 2)
                     for x in (width, height))
    if order.start is None:
        return _Plan(width, height, frames, 0., 0.)
    # From half a frame before the first one, so that rounding takes none.
    return _Plan(width, height, frames, max(shown - 0.5 / fps, 0.),
                 order.stop - order.start)


def _with_ffmpeg(program: str, order: Order, plan: _Plan,
                 target: Path) -> None:
    cut: Tuple[List[str], List[str]] = [], []
    if order.start is not None:
        cut = (['-ss', f'{plan.seek:.6f}'],
               ['-t', f'{plan.seconds + 1:.6f}', '-frames:v',
                str(plan.frames)])
    command = [
        program, '-nostdin', '-hide_banner', '-v', 'error', '-xerror', '-y',
        '-err_detect', 'explode', '-threads', '1', *cut[0], '-i',
        f'file:{osp.abspath(order.source)}', *cut[1], '-map', '0:v:0',
        '-map', '0:a:0?', '-sn', '-dn', '-map_metadata', '-1',
        '-filter_threads', '1', '-vf', f'scale={plan.width}:{plan.height}',
        '-pix_fmt', 'yuv420p', '-c:v', 'libx264', '-threads', '1',
        *(x for key, value in QUALITY.items() for x in (f'-{key}', value)),
        '-g', str(order.key_frames), '-keyint_min', str(order.key_frames),
        '-sc_threshold', '0', '-vsync', 'passthrough', '-c:a', 'aac', '-b:a',
        str(AUDIO_RATE),
        '-movflags', '+faststart', '-f', 'mp4', str(target)
    ]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=die_with_parent)
    said = done.stderr.decode(errors='replace').strip()
    if NO_SPACE in said:
        raise OSError(errno.ENOSPC, NO_SPACE, str(target))
    if done.returncode:
        # ffmpeg begins with the cause and ends with what follows from it.
        reason = PLACE_IN_FFMPEG.sub('', said.split('\n')[0])
        reason = reason.replace(f'file:{osp.abspath(order.source)}: ', '')
        raise UnreadableVideo(
            order.source, f'ffmpeg cannot read it ({reason[:200]})')


def _with_pyav(order: Order, plan: _Plan, target: Path) -> None:
    import av
    try:
        with av.open(
                osp.abspath(order.source),
                metadata_errors='replace') as source, av.open(
                    str(target),
                    'w',
                    format='mp4',
                    options=dict(movflags='+faststart')) as out:
            _transcode(order, plan, source, out)
    except (av.FFmpegError, OSError) as error:
        if error.errno == errno.ENOSPC:
            raise OSError(errno.ENOSPC, NO_SPACE, str(target)) from error
        raise UnreadableVideo(
            order.source, f'PyAV cannot read it ({error.strerror})') from error


def _transcode(order: Order, plan: _Plan, source, out) -> None:
    """Write the frames and the sound of a segment with PyAV."""
    import av
    pictures = source.streams.video[0]
    pictures.thread_count = 1
    origin = float((source.start_time or 0) / 1e6)
    begin = origin + plan.seek
    end = begin + plan.seconds if order.start is not None else float('inf')
    stream = out.add_stream(
        'libx264',
        rate=Fraction(pictures.average_rate or 30),
        options=dict(
            QUALITY,
            g=str(order.key_frames),
            keyint_min=str(order.key_frames),
            sc_threshold='0'))
    stream.width, stream.height = plan.width, plan.height
    stream.pix_fmt, stream.thread_count = 'yuv420p', 1
    stream.codec_context.time_base = pictures.time_base
    sound = source.streams.audio[0] if source.streams.audio else None
    voice = None
    if sound is not None:
        voice = out.add_stream('aac', rate=sound.rate)
        voice.layout, voice.bit_rate = sound.layout.name, AUDIO_RATE
    # Whoever is not asked to seek begins at the beginning.
    if order.start is not None:
        source.seek(int(begin * 1e6))
    count = 0
    streams = [x for x in (pictures, sound) if x is not None]
    for frame in source.decode(*streams):
        if frame.pts is None:
            continue
        time = float(frame.pts * frame.time_base)
        if isinstance(frame, av.AudioFrame):
            if begin <= time < end:
                frame.pts -= int(begin / frame.time_base)
                out.mux(voice.encode(frame))
        elif time >= begin and count < plan.frames:
            if frame.is_corrupt:
                raise UnreadableVideo(
                    order.source, f'the frame at {time:.2f} s is damaged')
            picture = _picture(frame, plan)
            picture.pts = frame.pts - int(begin / frame.time_base)
            picture.time_base = frame.time_base
            out.mux(stream.encode(picture))
            count += 1
        elif time >= end:
            break
    out.mux(stream.encode(None))
    if voice is not None:
        out.mux(voice.encode(None))


def _picture(frame, plan: _Plan):
    """A frame upright and in its new size."""
    import av
    turns = frame.rotation // 90 % 4
    if turns:
        frame = av.VideoFrame.from_ndarray(
            np.ascontiguousarray(
                np.rot90(frame.to_ndarray(format='rgb24'), turns)), 'rgb24')
    return frame.reformat(plan.width, plan.height, 'yuv420p')

