"""What sound costs: ``tools/benchmarks/benchmark.py sound``."""
import argparse
import os
import tempfile
from fractions import Fraction
from typing import Any, Callable, Dict, List

import av
import numpy as np
from benchmark_data import _facts, make_video, recipe, sample
from benchmarking import CLOCKS, Figure, alternate, json_path, ratio, report
from mmaction.registry import TRANSFORMS

from cast_mmaction.datasets.seeding import seeded
from cast_mmaction.datasets.sound import read_sound

RATE = 44100
SAMPLE_RATE = 16000  # that AudioDecode gives back
CLIPS = 10  # a measurement: they lie at random places


def add_sound(path: str, out: str) -> str:
    """Writes a video again with a sound track as YouTube's: stereo AAC of
    44.1 kHz and 128 kbit/s, here a noise that swells."""
    random = np.random.RandomState(0)
    with av.open(path) as source, av.open(out, 'w') as target:
        pictures = source.streams.video[0]
        video = target.add_stream_from_template(pictures)
        audio = target.add_stream('aac', rate=RATE)
        audio.codec_context.layout = 'stereo'
        audio.codec_context.bit_rate = 128000
        length = round(float(pictures.duration * pictures.time_base) * RATE)
        packets = [p for p in source.demux(pictures) if p.dts is not None]
        size, sound = 1024, []
        for place in range(0, length, size):
            loud = 0.1 + 0.1 * np.sin(place / RATE)
            noise = loud * random.standard_normal((2, size))
            frame = av.AudioFrame.from_ndarray(
                noise.astype(np.float32), 'fltp', 'stereo')
            frame.sample_rate = RATE
            frame.pts, frame.time_base = place, Fraction(1, RATE)
            sound += audio.encode(frame)
        sound += audio.encode()
        for packet in packets:
            packet.stream = video
        # In the order of time, as a downloaded file has them.
        for packet in sorted(
                packets + sound,
                key=lambda p: (p.dts * p.time_base, p.stream.index)):
            target.mux(packet)
    return out


def extract(path: str, out: str, codec: str) -> str:
    """Writes the sound of a video as a file of its own: 16 kHz, mono."""
    sound = read_sound(path, 0., 10 * SAMPLE_RATE, SAMPLE_RATE).samples
    with av.open(out, 'w') as target:
        audio = target.add_stream(codec, rate=SAMPLE_RATE)
        audio.codec_context.layout = 'mono'
        audio.codec_context.format = 's16'
        frame = av.AudioFrame.from_ndarray(
            (sound[None] * 2**15).astype(np.int16), 's16', 'mono')
        frame.sample_rate = SAMPLE_RATE
        frame.pts, frame.time_base = 0, Fraction(1, SAMPLE_RATE)
        fifo = av.AudioFifo()
        fifo.write(frame)
        size = audio.codec_context.frame_size or 4096
        for part in (*fifo.read_many(size), fifo.read(partial=True), None):
            target.mux(audio.encode(part))
    return out


def steps(frames: int, defer: bool = True,
          **options) -> List[Dict[str, Any]]:
    """The training pipeline with so many frames of sound; 0 for none. As in
    the recipes, the data preprocessor makes the spectrograms."""
    pipeline = recipe('train_pipeline')
    if frames:
        pipeline[2:2] = [
            dict(
                type='AudioDecode', num_frames=frames, defer=defer,
                **options),
            dict(type='SpecAugment')
        ]
    return pipeline


def reader(pipeline: List[Dict[str, Any]], path: str) -> Callable[[], None]:
    """Reads some clips. Every step draws anew from the clip's number: with
    or without sound, the pictures are the same."""
    transforms = [TRANSFORMS.build(step) for step in pipeline]

    def read() -> None:
        for clip in range(CLIPS):
            results = sample(path)
            for transform in transforms:
                with seeded(np.random.SeedSequence(clip)):
                    results = transform(results)

    return read


def reading(args: argparse.Namespace, path: str, flac: str,
            wav: str) -> None:
    """A training clip without sound and with two lengths of it."""
    for title, last in ((
            'reading a training clip: opened and decoded', 'VideoDecode'),
                        ('a training clip, whole pipeline',
                         'PackActionInputs')):
        ways = {}
        for name, pipeline in (
            ('frames alone', steps(0)),
            ('with 4 s of sound (400 frames)', steps(400)),
            ('the same, spectrogram in the worker', steps(400, defer=False)),
            ('with 10 s of sound (1024 frames)', steps(1024)),
            ('with 4 s from FLAC, 16 kHz mono', steps(400, file=flac)),
            ('with 10 s from FLAC, 16 kHz mono', steps(1024, file=flac)),
            ('with 4 s from WAV, 16 kHz mono', steps(400, file=wav)),
            ('with 10 s from WAV, 16 kHz mono', steps(1024, file=wav))):
            stop = [step['type'] for step in pipeline].index(last) + 1
            ways[name] = reader(pipeline[:stop], path)
        times = alternate(ways, args.rounds, clock=CLOCKS[args.clock])
        report(title, [{
            'way': name,
            'ms': Figure.of([1e3 / CLIPS * x for x in times[name]]),
            '/ frames alone': ratio(times, name, 'frames alone')
        } for name in ways], _facts(args, path),
               json_path(args.json, f'sound-{last}'))


def run(args: argparse.Namespace) -> None:
    """Measure and report."""
    with tempfile.TemporaryDirectory() as folder:
        path = args.video
        if path is None:
            mute = make_video(
                os.path.join(folder, 'mute.mp4'), 300, *args.size)
            path = add_sound(mute, os.path.join(folder, 'video.mp4'))
        flac = extract(path, os.path.join(folder, 'sound.flac'), 'flac')
        wav = extract(path, os.path.join(folder, 'sound.wav'), 'pcm_s16le')
        reading(args, path, flac, wav)
