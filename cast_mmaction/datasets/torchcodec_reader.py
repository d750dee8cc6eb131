"""Video files by torchcodec: on the CPU, or by the decoder of a GPU (NVDEC).
"""
import json
import os
import os.path as osp
import re
from functools import partial
from typing import Callable, Dict, Iterable, Optional, Sequence

import numpy as np
import torch

from ..host import torchcodec_problem
from .planes import Planes
from .pyav_reader import MAX_PIXELS, Packet, PyAVReader
from .video_file import TOO_MANY_OPEN, UnreadableVideo, shrink

# 'decode_av_frame, /src/_core/SingleStreamDecoder.cpp:1493, Could not ...'
PLACE_IN_TORCHCODEC = re.compile(r'^\w+, \S+:\d+, ')
# What torchcodec and torch say about a GPU, and not about a file.
OF_THE_GPU = re.compile('cuda|nvdec|nvcuvid', re.IGNORECASE)


class TorchCodecReader(PyAVReader):
    """Frames of a video through torchcodec, on one thread or on a GPU.

    PyAV reads the time stamps, as ever, and torchcodec is asked for the
    frames at them: of whole files with 8 bits a sample the same frames as
    those of `PyAVReader`, to the bit, on the CPU. Deeper samples, and frames
    that a GPU decodes, may have slightly other colours: every FFmpeg and the
    GPU convert them in their own way.

    torchcodec does not say when FFmpeg made a damaged frame up from its
    neighbours. `PyAVReader` refuses such a frame, this reader cannot.

    Args:
        path (str): Video file.
        start (float, optional): Seconds; with `stop`, the segment to offer.
        stop (float, optional): Seconds.
        content (bytes, optional): Of a file that is elsewhere.
        device (str): ``'cpu'``, or ``'cuda'`` for the GPU of this training
            process, or ``'cuda:1'``. A GPU leaves what it cannot decode to
            the CPU. Defaults to ``'cpu'``.

    Raises:
        ImportError: If there is no torchcodec, or no FFmpeg for it.
        RuntimeError: If the GPU cannot be used in this process.
        UnreadableVideo: As `PyAVReader`; also for files of which torchcodec
            gives other frames.
    """

    def __init__(self,
                 path: str,
                 start: Optional[float] = None,
                 stop: Optional[float] = None,
                 content: Optional[bytes] = None,
                 device: str = 'cpu') -> None:
        problem = torchcodec_problem()
        if problem:
            raise ImportError(f"decoder='torchcodec': {problem}")
        self._device = device if device == 'cpu' else usable_gpu(device)
        super().__init__(path, start, stop, content)
        self._content = content

    def read_planes(self,
                    indices: Sequence[int],
                    short_side: Optional[int] = None) -> Optional[Planes]:
        """None: torchcodec gives RGB."""
        return None

    def _converter(self, short_side: Optional[int]) -> Callable:
        return partial(shrink, short_side=short_side)

    def _decode(self, wanted: Sequence[int],
                convert: Callable) -> Dict[int, np.ndarray]:
        """Frames by time stamp; those that torchcodec has none for are left
        out."""
        from torchcodec.decoders import VideoDecoder
        width, height = self._stream.width, self._stream.height
        if width * height > MAX_PIXELS:  # torchcodec takes no limit
            raise UnreadableVideo(
                self.path, f'claims frames of {width} x {height} pixels')
        shown = {}
        for packet in self._packets:  # the second field of a frame is none
            if packet.is_shown:
                shown.setdefault(packet.pts, packet)
        numbers = {pts: number for number, pts in enumerate(shown)}
        try:
            decoder = VideoDecoder(
                self._content or osp.abspath(self.path),
                stream_index=self._stream.index,
                dimension_order='NHWC',
                num_ffmpeg_threads=1,
                device=self._device,
                custom_frame_mappings=frame_index(shown.values()))
            found = decoder.get_frames_at([numbers[pts] for pts in wanted])
        except (RuntimeError, ValueError, IndexError) as error:
            raise self._explained(error) from error
        # Of a frame that does not come torchcodec gives the next one.
        base = self._stream.time_base
        times = [round(x / base) for x in found.pts_seconds.tolist()]
        return {
            pts: convert(frame)
            for pts, time, frame in zip(wanted, times,
                                        found.data.cpu().numpy())
            if pts == time
        }

    def _explained(self, error: Exception) -> Exception:
        """What to raise instead of torchcodec's error."""
        message = PLACE_IN_TORCHCODEC.sub('', str(error).strip())
        message = message.split('\n')[0][:200].rstrip(' .')
        for number in TOO_MANY_OPEN:
            if os.strerror(number) in message:
                return OSError(number, os.strerror(number), self.path)
        if self._device != 'cpu' and (
                isinstance(error, torch.OutOfMemoryError)
                or OF_THE_GPU.search(message)):
            return RuntimeError(
                f'{self.path}: {self._device} fails ({message})')
        return UnreadableVideo(
            self.path, f'torchcodec cannot read it ({message}); '
            "decoder='pyav' reads more formats")


def frame_index(packets: Iterable[Packet]) -> str:
    """The frames as torchcodec takes them, so that it counts as PyAV does.

    Args:
        packets (Iterable[Packet]): In presentation order.

    Returns:
        str: JSON. Durations are not looked at when frames are asked for by
        number.
    """
    return json.dumps({
        'frames': [
            dict(pts=packet.pts, duration=1, key_frame=int(packet.is_key))
            for packet in packets
        ]
    })


def usable_gpu(device: str) -> str:
    """The device with its number, if this process can decode on it.

    Args:
        device (str): ``'cuda'`` or ``'cuda:1'``.

    Raises:
        RuntimeError: If not; it says what to do.
    """
    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as error:
        if 'fork' in str(error):
            remedy = ('Workers that decode on a GPU cannot be forked: set '
                      "num_workers=0 or multiprocessing_context='spawn' in "
                      'the data loader')
        else:
            remedy = ('That takes a GPU of NVIDIA, its driver and a torch '
                      "built for CUDA; device='cpu' takes none of them")
        reason = str(error).split('\n')[0].rstrip('.')
        raise RuntimeError(f"decoder='torchcodec', device={device!r}: "
                           f'{reason}. {remedy}.') from error
    if device != 'cuda':
        return device
    # A worker that was spawned does not know which GPU is its parent's.
    number = os.environ.get('LOCAL_RANK', torch.cuda.current_device())
    return f'cuda:{int(number) % torch.cuda.device_count()}'
