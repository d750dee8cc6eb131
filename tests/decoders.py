"""The readers of videos as parameters of tests, and files made for them."""
import struct
from pathlib import Path
from typing import List

import av
import pytest

from cast_mmaction.datasets.video import READERS
from cast_mmaction.host import torchcodec_problem
from tests.faults.videos import write_video

needs_torchcodec = pytest.mark.skipif(
    torchcodec_problem() is not None, reason=str(torchcodec_problem()))
DECODERS = [
    pytest.param(
        name, marks=[needs_torchcodec] if name == 'torchcodec' else [])
    for name in READERS
]
# Those that are held against PyAV.
OTHERS = [decoder for decoder in DECODERS if decoder.values != ('pyav', )]


def write_damaged(path: Path) -> List[int]:
    """A video of 12 frames, some made up from neighbours by FFmpeg.

    Returns:
        list[int]: The numbers of those.
    """
    write_video(path, 'libx264', 'yuv420p', {'bf': '0', 'g': '12', 'qp': '10'})
    with av.open(str(path)) as container:
        packets = [x for x in container.demux(video=0) if x.size]
    data, packet = bytearray(path.read_bytes()), packets[6]
    start, size = packet.pos, packet.size
    data[start + size // 2:start + size] = bytes(size - size // 2)
    path.write_bytes(data)
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    assert len(frames) == 12
    return [x for x, frame in enumerate(frames) if frame.is_corrupt]


def turn(path: Path) -> None:
    """Have an mp4's first track shown turned by 90 degrees."""
    data = bytearray(path.read_bytes())
    matrix = data.index(b'tkhd') + 44
    data[matrix:matrix + 36] = struct.pack('>9i', 0, 2**16, 0, -2**16, 0, 0,
                                           0, 0, 2**30)
    path.write_bytes(data)
