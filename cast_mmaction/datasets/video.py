"""Video files as numbered frames: opened once, read in one pass.

A reader is made for a whole video or for a segment of it, has a length
(frames), ``fps`` and ``read(indices)``; frame 0 is the first frame of the
segment. Everything that is wrong with a file ends in `UnreadableVideo`, which
names it. A damaged frame is never replaced by its neighbour.
"""
import os.path as osp
from typing import Dict, List, Optional, Sequence

import cv2
import numpy as np

from ..host import torchcodec_problem
from .decord_reader import DecordReader
from .pyav_reader import PyAVReader
from .torchcodec_reader import TorchCodecReader
from .video_file import UnreadableVideo, check_is_file, shrink

__all__ = [
    'BlankVideo', 'DecordReader', 'FrameFolder', 'PyAVReader', 'READERS',
    'TorchCodecReader', 'UnreadableVideo', 'usable_readers'
]


class FrameFolder:
    """Images of a folder as frames.

    Args:
        path (str): Folder.
        template (str): Name of a frame, such as ``'frame_{:010d}.jpg'``.
        first (int): Number of the first frame of the segment.
        last (int): Number of its last frame.
    """

    def __init__(self, path: str, template: str, first: int,
                 last: int) -> None:
        self.path = path
        self._template = template
        self._first = first
        self._length = last - first + 1
        for number in (first, last):
            name = template.format(number)
            if not osp.isfile(osp.join(path, name)):
                raise UnreadableVideo(
                    path, f'has no {name}, but the segment is frames '
                    f'{first} to {last}')

    def __len__(self) -> int:
        return self._length

    def read(self,
             indices: Sequence[int],
             short_side: Optional[int] = None) -> List[np.ndarray]:
        """Load images. See `PyAVReader.read`."""
        frames = []
        for index in indices:
            name = self._template.format(self._first + index)
            place = osp.join(self.path, name)
            check_is_file(place)
            try:
                image = cv2.imread(place, cv2.IMREAD_COLOR)
            except cv2.error as error:  # a size beyond all sizes
                raise UnreadableVideo(
                    self.path, f'cannot read {name} ({error.err})') from error
            if image is None:
                raise UnreadableVideo(self.path, f'cannot read {name}')
            image = shrink(image, short_side)
            frames.append(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
        return frames


class BlankVideo:
    """Stands for a test video that cannot be read: one grey frame.

    Its prediction is never counted as right.
    """
    fps = 30.0

    def __len__(self) -> int:
        return 1

    def read(self,
             indices: Sequence[int],
             short_side: Optional[int] = None) -> List[np.ndarray]:
        """See `PyAVReader.read`."""
        return [np.full((256, 256, 3), 128, np.uint8) for _ in indices]


READERS = dict(
    pyav=PyAVReader, decord=DecordReader, torchcodec=TorchCodecReader)


def usable_readers() -> Dict[str, type]:
    """Those of `READERS` that have here what they need."""
    return {
        name: reader
        for name, reader in READERS.items()
        if name != 'torchcodec' or torchcodec_problem() is None
    }
