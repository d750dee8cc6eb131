"""Video files as numbered frames: opened once, read in one pass.

A reader is made for a whole video or for a segment of it, has a length
(frames), ``fps`` and ``read(indices)``; frame 0 is the first frame of the
segment. Everything that is wrong with a file ends in `UnreadableVideo`, which
names it. A damaged frame is never replaced by its neighbour.
"""
import errno
import io
import os
import os.path as osp
import re
import stat
from bisect import bisect_left, bisect_right
from itertools import chain, groupby
from typing import (Any, Callable, Dict, Iterator, List, NamedTuple, Optional,
                    Sequence, Set, Tuple, Union)

import cv2
import numpy as np

from .fault import FaultyFile

# Seconds that a stop stamp may lie behind the last frame.
PAST_END_TOLERANCE = 0.5
# 8K has 33 million pixels; what claims more is damaged and fills the memory.
MAX_PIXELS = 2**26
# The machine's trouble, which must not be taken for the file's.
TOO_MANY_OPEN = (errno.EMFILE, errno.ENFILE)
# '[15:56:47] /github/workspace/src/video/video_reader.cc:731: '
PLACE_IN_DECORD = re.compile(r'\[[\d:]+\] \S+:\d+: ')


class UnreadableVideo(FaultyFile):
    """A video, or the part that is needed of it, cannot be read."""


class Packet(NamedTuple):
    """What the container says about one frame, in presentation order."""
    pts: int
    dts: int
    is_key: bool
    is_shown: bool


def decoding_time(packet: Any) -> Optional[int]:
    """When PyAV's packet is decoded; Matroska leaves it out at the start."""
    return packet.pts if packet.dts is None else packet.dts


def check_is_file(path: str) -> None:
    """Make sure that a path can be opened without waiting for anybody.

    FFmpeg gets it as an absolute one: it would take ``concat:a|b`` for two.

    Raises:
        UnreadableVideo: If there is nothing, or a pipe, socket or device.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, 'strerror', None) or error
        raise UnreadableVideo(path, f'cannot be opened ({reason})') from error
    if not stat.S_ISREG(mode):
        raise UnreadableVideo(path, 'is not a file')


def _source(path: str, content: Optional[bytes]) -> Union[str, io.BytesIO]:
    """What a decoder is given to open."""
    if content is not None:
        return io.BytesIO(content)
    check_is_file(path)
    return osp.abspath(path)


def segment_of(path: str, times: Sequence[float], end: float, start: float,
               stop: float) -> Tuple[int, int]:
    """First frame and end (exclusive) of the frames shown in [start, stop).

    A segment shorter than a frame gets the frame that is shown at `start`.

    Args:
        path (str): The file, for the error.
        times (Sequence[float]): When each frame appears, in seconds, rising.
        end (float): When the last frame disappears, in seconds.
        start (float): Seconds.
        stop (float): Seconds.

    Raises:
        UnreadableVideo: If the segment is not inside the video.
    """
    if start >= end or stop > end + PAST_END_TOLERANCE:
        raise UnreadableVideo(
            path, f'the segment {start:.2f} s to {stop:.2f} s is not inside '
            f'the video, which ends at {end:.2f} s')
    first, last = bisect_left(times, start), bisect_left(times, stop)
    if first == last:
        first = max(bisect_right(times, start) - 1, 0)
        last = first + 1
    return first, last


def shrunk(height: int, width: int,
           short_side: Optional[int]) -> Tuple[int, int]:
    """The size of a frame whose short side may be `short_side` at most.

    Returns:
        tuple[int, int]: Height and width, in pixels.
    """
    short = min(height, width)
    if short_side is None or short <= short_side:
        return height, width
    return (round(height * short_side / short),
            round(width * short_side / short))


def shrink(frame: np.ndarray, short_side: Optional[int]) -> np.ndarray:
    """A frame scaled down, by averaging, as `shrunk` says."""
    height, width = shrunk(*frame.shape[:2], short_side)
    if (height, width) == frame.shape[:2]:
        return frame
    return cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)


class PyAVReader:
    """Frames of a video through PyAV (FFmpeg), on one thread.

    Opening reads the packets' time stamps and decodes nothing. Reading starts
    at the last key frame before a wanted frame and leaves out the frames that
    nothing else refers to.

    Args:
        path (str): Video file.
        start (float, optional): Seconds; with `stop`, the segment to offer.
            Only its part of the file is read.
        stop (float, optional): Seconds.
        content (bytes, optional): Of a file that is elsewhere.

    Raises:
        UnreadableVideo: If the file is missing, damaged, cut short or has no
            video stream, or if the segment is not inside it.
    """

    def __init__(self,
                 path: str,
                 start: Optional[float] = None,
                 stop: Optional[float] = None,
                 content: Optional[bytes] = None) -> None:
        import av
        self.path = path
        self._av = av
        try:
            # Titles come in any encoding, and nothing here reads them.
            self._container = av.open(
                _source(path, content), metadata_errors='replace')
        except (av.FFmpegError, OSError) as error:
            if error.errno in TOO_MANY_OPEN:
                raise
            raise UnreadableVideo(
                path, f'cannot be opened ({error.strerror})') from error
        if not self._container.streams.video:
            raise UnreadableVideo(path, 'has no video stream')
        self._stream = self._container.streams.video[0]
        if self._stream.codec_context is None:
            raise UnreadableVideo(path, 'has an unknown codec')
        self._stream.codec_context.options = dict(max_pixels=str(MAX_PIXELS))
        self._stream.thread_type = 'NONE'
        self._stream.thread_count = 1
        self.fps = float(self._stream.average_rate or 30)
        self._packets, at_end = self._scan(start, stop)
        shown = [packet for packet in self._packets if packet.is_shown]
        if not shown:
            raise UnreadableVideo(path, 'has no frames')
        self._pts = [packet.pts for packet in shown]
        if start is not None:
            times = [self._seconds(pts) for pts in self._pts]
            end = times[-1] + 1 / self.fps if at_end else float('inf')
            first, last = segment_of(path, times, end, start, stop)
            self._pts = self._pts[first:last]

    def __len__(self) -> int:
        return len(self._pts)

    @property
    def container(self):
        """The open file (``av.InputContainer``), for its sound."""
        return self._container

    @property
    def shown_at(self) -> float:
        """When frame 0 is shown, seconds of the file's own clock."""
        return float(self._pts[0] * self._stream.time_base)

    def read(self,
             indices: Sequence[int],
             short_side: Optional[int] = None) -> List[np.ndarray]:
        """Decode frames and close the file.

        Args:
            indices (Sequence[int]): Rising frame numbers.
            short_side (int, optional): Larger frames are scaled down to this
                short side, in pixels, by the step that converts the colours.

        Returns:
            list[np.ndarray]: RGB frames, (H, W, 3), uint8.
        """
        wanted = [self._pts[index] for index in indices]
        with self._container:
            try:
                frames = self._decode(wanted, short_side)
            except self._av.FFmpegError as error:
                raise UnreadableVideo(
                    self.path, f'is damaged ({error.strerror})') from error
        for index, pts in zip(indices, wanted):
            if pts not in frames:
                raise UnreadableVideo(
                    self.path,
                    f'frame {index} of {len(self)} cannot be decoded')
        return [frames[pts] for pts in wanted]

    def times(self) -> np.ndarray:
        """When each frame appears, seconds after the first; closes the file.
        """
        # A stream of a closed file knows nothing any more.
        time_base = float(self._stream.time_base)
        self._container.close()
        pts = np.array(self._pts, np.float64)
        return (pts - pts[0]) * time_base

    def _seconds(self, pts: int) -> float:
        return float((pts - (self._stream.start_time or 0)) *
                     self._stream.time_base)

    def _scan(self, start: Optional[float],
              stop: Optional[float]) -> Tuple[List[Packet], bool]:
        """The packets of the segment, sorted, and whether the file ends."""
        stream, container = self._stream, self._container
        # A container seeks by decoding time, which runs ahead of the time
        # of presentation by some frames: a second is more than enough.
        if start is not None and start > 1:
            origin = stream.start_time or 0
            container.seek(
                origin + int((start - 1) / stream.time_base), stream=stream)
        packets, at_end = [], True
        try:
            for packet in container.demux(stream):
                dts = decoding_time(packet)
                if dts is None:  # the end, or a packet without times
                    continue
                if stop is not None and self._seconds(dts) >= stop:
                    at_end = False
                    break
                pts = packet.dts if packet.pts is None else packet.pts
                packets.append(
                    Packet(pts, dts, packet.is_keyframe,
                           not packet.is_discard))
        except self._av.FFmpegError as error:
            raise UnreadableVideo(
                self.path, f'is damaged ({error.strerror})') from error
        if start is None and len(packets) < stream.frames:
            raise UnreadableVideo(
                self.path, f'is cut short: it announces {stream.frames} '
                f'frames and holds {len(packets)}')
        return sorted(packets), at_end

    def _decode(self, wanted: Sequence[int],
                short_side: Optional[int]) -> Dict[int, np.ndarray]:
        """Frames by time stamp, from as few packets as possible."""
        frames = {}
        keys = [packet for packet in self._packets if packet.is_key]
        keys = keys or self._packets[:1]
        key_pts = [key.pts for key in keys]

        def key_before(pts: int) -> int:
            return max(bisect_right(key_pts, pts) - 1, 0)

        for key, stretch in groupby(wanted, key=key_before):
            frames.update(
                self._decode_stretch(
                    self._packets_from(keys[key]), set(stretch), short_side))
        return frames

    def _packets_from(self, key: Packet) -> Iterator[Any]:
        """PyAV's packets, from a key frame on."""
        # What is asked for is a time of presentation in mp4: that of
        # decoding, which runs ahead, would lead to the key frame before.
        # Where it is taken for a time of decoding, it may lead too far.
        for time in (key.pts, key.dts):
            self._container.seek(time, stream=self._stream)
            packets = self._container.demux(self._stream)
            first = next(packets)
            began = decoding_time(first)
            if began is not None and began <= key.dts:
                break
        return chain([first], packets)

    def _decode_stretch(self, packets: Iterator[Any], wanted: Set[int],
                        short_side: Optional[int]) -> Dict[int, np.ndarray]:
        """Frames by time stamp."""
        frames, left = {}, set(wanted)
        decoder = self._stream.codec_context
        convert = self._converter(short_side)
        for packet in packets:
            # Behind the last wanted one, whose second field, if it comes
            # alone, has the same time or none: nothing more is needed.
            ends = not left and packet.pts is not None and (
                packet.pts not in wanted)
            if ends:
                decoded = decoder.decode(None)
            else:
                # Frames that no other frame needs are decoded only if wanted.
                decoder.skip_frame = (
                    'DEFAULT' if packet.pts in wanted else 'NONREF')
                left.discard(packet.pts)
                decoded = packet.decode()
            for frame in decoded:
                if frame.pts in wanted and not frame.is_corrupt:
                    frames[frame.pts] = convert(frame)
            if ends:
                break
        return frames

    def _converter(self, short_side: Optional[int]) -> Callable:
        """From PyAV's frames to arrays, upright."""
        reformatter = self._av.video.reformatter.VideoReformatter()
        # From 17 on PyAV takes all CPUs for colours if not told otherwise.
        major = int(self._av.__version__.split('.')[0])
        options = dict(threads=1) if major >= 17 else {}

        def convert(frame: Any) -> np.ndarray:
            height, width = shrunk(frame.height, frame.width, short_side)
            image = reformatter.reformat(
                frame, width, height, format='rgb24', **options)
            quarter_turns = frame.rotation // 90 % 4
            return np.ascontiguousarray(
                np.rot90(image.to_ndarray(), quarter_turns))

        return convert


class DecordReader:
    """Frames of a video through decord, on one thread.

    The same frames as `PyAVReader`, for files that decord understands.

    Args:
        path (str): Video file.
        start (float, optional): Seconds; with `stop`, the segment to offer.
        stop (float, optional): Seconds.
        content (bytes, optional): Of a file that is elsewhere.

    Raises:
        UnreadableVideo: As `PyAVReader`; also for codecs that decord lacks
            and for files whose frames it would number wrongly.
    """

    def __init__(self,
                 path: str,
                 start: Optional[float] = None,
                 stop: Optional[float] = None,
                 content: Optional[bytes] = None) -> None:
        import decord
        from decord._ffi.base import DECORDLimitReachedError
        self.path, self.content = path, content
        self._errors = (decord.DECORDError, DECORDLimitReachedError,
                        RuntimeError, IndexError)
        # First, because decord takes memory for as many frames as a damaged
        # file announces, and ends the process if there is not enough.
        expected = PyAVReader(path, content=content).times()
        try:
            # Any frame that decord made up from a neighbour is an error.
            self._reader = decord.VideoReader(
                _source(path, content), num_threads=1, fault_tol=1e-6)
            shown = self._reader.get_frame_timestamp(
                range(len(self._reader)))
        except self._errors as error:
            raise UnreadableVideo(path, self._explain(error)) from error
        if len(shown) == 0:
            raise UnreadableVideo(path, 'has no frames')
        if shown[0, 0] < 0:
            raise UnreadableVideo(
                path, 'starts with frames that are not shown, which decord '
                "counts: read it with decoder='pyav'")
        self._check_numbers(shown[:, 0] - shown[0, 0], expected)
        self.fps = float(self._reader.get_avg_fps())
        self._first, last = 0, len(shown)
        if start is not None:
            times = shown - shown[0, 0]
            self._first, last = segment_of(path, times[:, 0].tolist(),
                                           float(times[-1, 1]), start, stop)
        self._length = last - self._first

    def __len__(self) -> int:
        return self._length

    def read(self,
             indices: Sequence[int],
             short_side: Optional[int] = None) -> List[np.ndarray]:
        """Decode frames and close the file. See `PyAVReader.read`."""
        reader, self._reader = self._reader, None
        try:
            frames = reader.get_batch(
                [self._first + index for index in indices]).asnumpy()
        except self._errors as error:
            raise UnreadableVideo(self.path,
                                  self._explain(error)) from error
        return [shrink(frame, short_side) for frame in frames]

    def _check_numbers(self, times: np.ndarray,
                       expected: np.ndarray) -> None:
        """The frames must be those of PyAV: decord also counts frames that a
        container hides, and fields."""
        if len(times) != len(expected) or np.abs(
                times - expected).max() > 0.5 / self._reader.get_avg_fps():
            raise UnreadableVideo(
                self.path, f'decord numbers its frames in another way '
                f'({len(times)} instead of {len(expected)}): read it with '
                "decoder='pyav'")

    @staticmethod
    def _explain(error: Exception) -> str:
        """decord's message without its stack of addresses."""
        message = str(error).strip().split('\n')[0]
        message = PLACE_IN_DECORD.sub('', message)[:200]
        return (f'decord cannot read it ({message}); '
                "decoder='pyav' reads more formats")


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


READERS = dict(pyav=PyAVReader, decord=DecordReader)
