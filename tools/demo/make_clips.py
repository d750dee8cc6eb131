"""Write the verb-noun set of the demo: mp4 files and lists of them.

    python tools/demo/make_clips.py data/demo
    python tools/demo/make_clips.py data/demo_sound --sound

gives ``data/demo/clips/*.mp4``, ``train.csv`` and ``test.csv``
(``narration_id,verb,noun``), ``verb_classes.csv`` and ``noun_classes.csv``;
with --sound the clips have an audio track, and a noun is also what is heard.
Files that are there already are kept.
"""
import argparse
import csv
import os
from fractions import Fraction
from multiprocessing import get_context
from pathlib import Path
from typing import List, Sequence, Tuple

import av
import cv2
import numpy as np

import shapes
import sounds

# Each split draws from a stream of random numbers of its own.
SPLITS = ('train', 'val', 'test')
BLOCK = 500  # clips that a process writes at a time

# The folder, the split, the seed and the numbers of some clips.
Task = Tuple[Path, str, int, range]
# A line of a list: name, verb, noun.
Row = Tuple[str, int, int]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('folder', type=Path, help='where to write')
    parser.add_argument('--train', type=int, default=6000, help='clips')
    parser.add_argument('--val', type=int, default=0, help='clips')
    parser.add_argument('--test', type=int, default=1000, help='clips')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument(
        '--sound', action='store_true', help='the set with sound')
    parser.add_argument(
        '--workers', type=int, default=os.cpu_count(), help='processes')
    args = parser.parse_args()
    (args.folder / 'clips').mkdir(parents=True, exist_ok=True)
    write_classes(args.folder / 'verb_classes.csv', shapes.VERBS)
    write_classes(args.folder / 'noun_classes.csv',
                  sounds.NOUNS if args.sound else shapes.NOUNS)
    for split in SPLITS:
        count = getattr(args, split)
        if count:
            write_split(args.folder, split, count, args.seed, args.workers,
                        args.sound)


def write_split(folder: Path,
                split: str,
                count: int,
                seed: int,
                workers: int,
                sound: bool = False) -> None:
    """Write the clips of one split, then their list."""
    from cast_mmaction.atomic_write import atomic_write
    write_block = write_sounding_block if sound else write_silent_block
    tasks = [(folder / 'clips', split, seed,
              range(start, min(start + BLOCK, count)))
             for start in range(0, count, BLOCK)]
    rows = []
    # Not forked: OpenCV's threads would not come along, and be waited for.
    with get_context('spawn').Pool(workers) as pool:
        for block in pool.imap(write_block, tasks):
            rows += block
            print(f'{split}: {len(rows)} of {count} clips', flush=True)
    with atomic_write(folder / f'{split}.csv') as path:
        with open(path, 'w', newline='') as file:
            writer = csv.writer(file, lineterminator='\n')
            writer.writerow(('narration_id', 'verb', 'noun'))
            writer.writerows(rows)


def write_silent_block(task: Task) -> List[Row]:
    """Write some clips without sound; gives back their rows of the list."""
    folder, split, seed, numbers = task
    rows = []
    for number in numbers:
        clip, verb, noun = shapes.draw_clip(generator(seed, split, number))
        name = f'{split}_{number:06d}'
        if not (folder / f'{name}.mp4').exists():
            write_mp4(folder / f'{name}.mp4', clip)
        rows.append((name, verb, noun))
    return rows


def write_sounding_block(task: Task) -> List[Row]:
    """Write some clips with sound; gives back their rows of the list."""
    folder, split, seed, numbers = task
    rows = []
    for number in numbers:
        clip, sound, verb, noun = sounds.draw_clip(
            generator(seed, split, number))
        name = f'{split}_{number:06d}'
        if not (folder / f'{name}.mp4').exists():
            write_sounding_mp4(folder / f'{name}.mp4', clip, sound)
        rows.append((name, verb, noun))
    return rows


def generator(seed: int, split: str, number: int) -> np.random.Generator:
    """The randomness of one clip."""
    return np.random.default_rng([seed, SPLITS.index(split), number])


def write_mp4(path: Path, clip: np.ndarray) -> None:
    """Write a clip ``(frames, H, W, 3)``, uint8 RGB, whole or not at all."""
    temporary = path.with_suffix('.part.mp4')  # the ending tells the format
    height, width = clip.shape[1:3]
    writer = cv2.VideoWriter(
        str(temporary), cv2.VideoWriter_fourcc(*'mp4v'), 8, (width, height))
    if not writer.isOpened():
        raise RuntimeError(f'{path}: this OpenCV cannot write MPEG-4 video')
    for frame in clip:
        writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    writer.release()
    temporary.replace(path)


def write_sounding_mp4(path: Path, clip: np.ndarray,
                       sound: np.ndarray) -> None:
    """Write a clip ``(frames, H, W, 3)``, uint8 RGB, and its sound ``(N, )``,
    float32, whole or not at all."""
    temporary = path.with_suffix('.part.mp4')
    with av.open(str(temporary), 'w') as container:
        video = container.add_stream('mpeg4', rate=sounds.FPS)
        video.height, video.width = clip.shape[1:3]
        video.pix_fmt, video.thread_count = 'yuv420p', 1
        # Textures of 2 pixels must come through.
        video.codec_context.bit_rate = 10**6
        video.codec_context.qmin = video.codec_context.qmax = 2
        audio = container.add_stream(
            'aac', rate=sounds.RATE, options=dict(aac_coder='fast'))
        audio.codec_context.layout = 'mono'
        audio.codec_context.bit_rate = 64000
        for frame in clip:
            picture = av.VideoFrame.from_ndarray(frame, 'rgb24')
            container.mux(video.encode(picture))
        container.mux(video.encode())
        samples = av.AudioFrame.from_ndarray(sound[None], 'fltp', 'mono')
        samples.sample_rate = sounds.RATE
        # Without stamps the encoder's delay would move the sound.
        samples.pts, samples.time_base = 0, Fraction(1, sounds.RATE)
        fifo = av.AudioFifo()
        fifo.write(samples)
        size = audio.codec_context.frame_size
        for part in (*fifo.read_many(size), fifo.read(partial=True), None):
            container.mux(audio.encode(part))
    temporary.replace(path)


def write_classes(path: Path, names: Sequence[str]) -> None:
    """Names of classes, in the form of EPIC-KITCHENS-100."""
    from cast_mmaction.atomic_write import atomic_write
    with atomic_write(path) as temporary:
        with open(temporary, 'w', newline='') as file:
            writer = csv.writer(file, lineterminator='\n')
            writer.writerow(('id', 'key', 'instances', 'category'))
            for number, name in enumerate(names):
                writer.writerow((number, name, [name], name.split()[-1]))


if __name__ == '__main__':
    main()
