"""EPIC-KITCHENS-100 in small: untrimmed videos of real clips, official CSVs.

The clips of ``../shared/clips/actions`` are joined to a few longer videos, and
each becomes a narrated segment. Verb and noun follow from its class.
"""
import csv
from pathlib import Path
from typing import Dict, List

import cv2
import numpy as np

HEADER = ('narration_id,participant_id,video_id,narration_timestamp,'
          'start_timestamp,stop_timestamp,start_frame,stop_frame,narration,'
          'verb,verb_class,noun,noun_class,all_nouns,all_noun_classes')
FPS = 25


def stamp(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f'{hours:02d}:{minutes:02d}:{rest:05.2f}'


def read_clip(path: Path, num_frames: int) -> List[np.ndarray]:
    import av  # not at the top: GPU tests import this without it
    with av.open(str(path)) as container:
        frames = [
            frame.to_ndarray(format='rgb24')
            for _, frame in zip(range(num_frames), container.decode(video=0))
        ]
    return [cv2.resize(frame, (192, 144)) for frame in frames]


def write_video(path: Path, frames: List[np.ndarray]) -> None:
    import av
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('libx264', rate=FPS)
        stream.width, stream.height, stream.pix_fmt = 192, 144, 'yuv420p'
        stream.options = dict(crf='23', preset='veryfast')
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(frame, format='rgb24')
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


def make_untrimmed(clips: Path,
                   root: Path,
                   clips_per_video: int = 10,
                   num_videos: int = 4,
                   num_frames: int = 24) -> Dict[str, str]:
    """Write the videos and `train.csv` and `val.csv`.

    Args:
        clips: Folder with the clips and ``train.txt`` (``name label``).
        root: Where to write: ``P01/videos/P01_01.MP4`` and so on.
        clips_per_video: Segments of a video.
        num_videos: The last one is for validation.
        num_frames: Of each segment; a pause of a second follows.

    Returns:
        dict: Paths of the two CSV files, ``train`` and ``val``.
    """
    lines = [
        line.split() for line in (clips / 'train.txt').read_text().splitlines()
    ]
    # A little of every class in every video.
    order = np.random.RandomState(0).permutation(len(lines))
    rows: Dict[str, list] = dict(train=[], val=[])
    for number in range(num_videos):
        participant = f'P{number + 1:02d}'
        video = f'{participant}_01'
        frames: List[np.ndarray] = []
        for place in range(clips_per_video):
            name, label = lines[order[number * clips_per_video + place]]
            start = len(frames)
            frames += read_clip(clips / name, num_frames)
            stop = len(frames)
            frames += [np.zeros_like(frames[0])] * FPS
            verb, noun = int(label), 10 * int(label) + 3
            rows['val' if number == num_videos - 1 else 'train'].append([
                f'{video}_{place}', participant, video,
                stamp(start / FPS),
                stamp(start / FPS),
                stamp(stop / FPS), start + 1, stop, name, 'do', verb, 'thing',
                noun, "['thing']", f'[{noun}]'
            ])
        write_video(root / participant / 'videos' / f'{video}.MP4', frames)
    paths = {}
    for split, content in rows.items():
        paths[split] = str(root / f'{split}.csv')
        with open(paths[split], 'w', newline='') as file:
            writer = csv.writer(file)
            writer.writerow(HEADER.split(','))
            writer.writerows(content)
    return paths
