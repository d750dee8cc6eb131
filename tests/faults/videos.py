"""Damaged videos: each is read, or `UnreadableVideo` names it."""
import faulthandler
import random
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import List, NamedTuple

import av
import numpy as np

from cast_mmaction.contained import contained
from cast_mmaction.datasets.video import READERS, UnreadableVideo

from .mutations import BINARY

# Container, codec, pixels, options: what data sets come in.
KINDS = [
    ('mp4', 'libx264', 'yuv420p', dict(bf='2', g='6')),
    ('mp4', 'mpeg4', 'yuv420p', {}),
    ('mov', 'mjpeg', 'yuvj420p', {}),
    ('webm', 'libvpx-vp9', 'yuv420p', dict(cpu_used='8')),
    ('webm', 'libvpx', 'yuv420p', {}),
    ('avi', 'mpeg4', 'yuv420p', {}),
    ('mkv', 'libx264', 'yuv444p', {}),
    ('mpg', 'mpeg2video', 'yuv420p', {}),
]
SECONDS = 20
MEMORY = 3 * 2**30  # for all the files that a process reads


class Case(NamedTuple):
    """A damaged file to be: which file, damaged how, read by what."""
    source: str
    number: int
    decoder: str
    folder: str


def write_video(path: Path, codec: str, pixels: str, options: dict) -> None:
    """Twelve frames of a moving edge, with sound and a title."""
    with av.open(str(path), 'w') as container:
        container.metadata['title'] = 'a moving edge'
        stream = container.add_stream(codec, rate=12, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pixels
        sound = container.add_stream(
            dict(webm='libopus', mpg='mp2').get(path.suffix[1:], 'aac'),
            rate=48000)
        for number in range(12):
            image = np.zeros((48, 64, 3), np.uint8)
            image[:, 5 * number:] = 40 + 15 * number
            frame = av.VideoFrame.from_ndarray(image, format='rgb24')
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        tone = np.sin(np.arange(9600) / 20).astype(np.float32)
        form = sound.format.name
        wave = av.AudioFrame.from_ndarray(
            np.tile(tone, (2, 1)), format='fltp', layout='stereo')
        wave.sample_rate, wave.time_base = 48000, Fraction(1, 48000)
        wave.pts = 0
        resampler = av.AudioResampler(format=form, layout='stereo', rate=48000)
        for part in resampler.resample(wave):
            container.mux(sound.encode(part))
        container.mux(sound.encode())


def sources(folder: Path, odd: Path) -> List[str]:
    """Whole files of every kind, and the unusual ones if there are any."""
    paths = []
    for number, (suffix, codec, pixels, options) in enumerate(KINDS):
        path = folder / f'{codec}-{number}.{suffix}'
        write_video(path, codec, pixels, options)
        paths.append(str(path))
    if odd.is_dir():
        paths += map(str, sorted(x for x in odd.iterdir() if x.stat().st_size
                                 and x.stat().st_size < 200_000))
    return paths


def damaged(case: Case) -> bytes:
    """The content of a case, always the same."""
    draw = random.Random(f'{Path(case.source).name} {case.number}')
    data = Path(case.source).read_bytes()
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        data = draw.choice(BINARY)(data, draw) or b'\0'
    return data


def read(case: Case) -> str:
    """'read' or 'refused'; every other exception is let through."""
    faulthandler.disable()
    path = Path(case.folder, f'{case.number}{Path(case.source).suffix}')
    path.write_bytes(damaged(case))
    try:
        reader = READERS[case.decoder](str(path))
        chosen = np.linspace(0, len(reader) - 1, 4).astype(int).tolist()
        planes = None
        if case.decoder == 'pyav':
            planes = reader.read_planes(chosen)
            if planes is not None:
                reader = READERS['pyav'](str(path))
        frames = reader.read(chosen)
        assert {frame.dtype for frame in frames} == {np.dtype(np.uint8)}
        assert {frame.shape[2:] for frame in frames} == {(3, )}
        if planes is not None:
            height = frames[0].shape[0] * 3 // 2
            assert planes.values.shape[1:] == (height, frames[0].shape[1])
        return 'read'
    except UnreadableVideo as error:
        assert str(error).startswith(str(path)) and len(str(error)) < 500
        return 'refused'
    finally:
        path.unlink()


def run(count: int, decoder: str, folder: Path, odd: Path) -> Counter:
    """Read `count` damaged videos.

    Args:
        count: How many, in turn from each source.
        decoder: Of `READERS`.
        folder: Where to work.
        odd: Folder with more sources; may be absent.

    Returns:
        Counter: How often what happened; everything but 'read' and 'refused'
        is a fault.
    """
    files = sources(folder, odd)
    cases = (Case(files[number % len(files)], number, decoder, str(folder))
             for number in range(count))
    found: Counter = Counter()
    for case, value, failure in contained(
            read, cases, seconds=SECONDS, memory=MEMORY):
        found[value or f'{failure} ({Path(case.source).name}, '
              f'{case.number})'] += 1
    return found
