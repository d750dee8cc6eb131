"""Video files by PyAV, the reader that the others are held against."""
from bisect import bisect_right
from contextlib import ExitStack
from itertools import chain, groupby
from typing import (Any, Callable, Dict, Iterator, List, NamedTuple, Optional,
                    Sequence, Set, Tuple)

import numpy as np

from .planes import FULL_RANGE, OtherFormat, PlaneCollector, Planes
from .video_file import (TOO_MANY_OPEN, UnreadableVideo, segment_of, shrunk,
                         source_of)

# 8K has 33 million pixels; what claims more is damaged and fills the memory.
MAX_PIXELS = 2**26
# Their packets do not say themselves when a frame is shown.
TOLD_BY_CONTAINER = ('h264', 'hevc')


class Packet(NamedTuple):
    """What the container says about one frame, in presentation order."""
    pts: int
    dts: int
    is_key: bool
    is_shown: bool


def decoding_time(packet: Any) -> Optional[int]:
    """When PyAV's packet is decoded; Matroska leaves it out at the start."""
    return packet.pts if packet.dts is None else packet.dts


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
        self._is_17 = int(av.__version__.split('.')[0]) >= 17
        try:
            # Titles come in any encoding, and nothing here reads them.
            self._container = av.open(
                source_of(path, content), metadata_errors='replace')
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
        with self._container:
            frames = self._read(indices, self._converter(short_side))
        return [frames[self._pts[index]] for index in indices]

    def read_planes(self,
                    indices: Sequence[int],
                    short_side: Optional[int] = None) -> Optional[Planes]:
        """Likewise, but brightness and colours as they are in the file.

        Returns:
            Planes: Or None if it has other formats than `PlaneCollector`
            takes, is to be scaled down, or PyAV is older than 17, which takes
            all colours for BT.601; then it stays open for `read`.
        """
        wanted = [self._pts[index] for index in indices]
        declared = self._stream.codec_context
        size = declared.height, declared.width
        if (declared.pix_fmt not in FULL_RANGE or not self._is_17
                or shrunk(*size, short_side) != size
                or len({*wanted}) < len(wanted)):
            return None
        collect = PlaneCollector(wanted, size)
        with ExitStack() as stack:
            stack.enter_context(self._container)
            try:
                self._read(indices, collect)
            except OtherFormat:
                stack.pop_all()
                return None
        return collect.planes

    def times(self) -> np.ndarray:
        """When each frame appears, seconds after the first; closes the file.
        """
        # A stream of a closed file knows nothing any more.
        time_base = float(self._stream.time_base)
        self._container.close()
        pts = np.array(self._pts, np.float64)
        return (pts - pts[0]) * time_base

    def _read(self, indices: Sequence[int],
              convert: Callable) -> Dict[int, np.ndarray]:
        """Frames by time stamp, all that are asked for."""
        wanted = [self._pts[index] for index in indices]
        self._check_order()
        try:
            frames = self._decode(wanted, convert)
        except self._av.FFmpegError as error:
            raise UnreadableVideo(
                self.path, f'is damaged ({error.strerror})') from error
        for index, pts in zip(indices, wanted):
            if pts not in frames:
                raise UnreadableVideo(
                    self.path,
                    f'frame {index} of {len(self)} cannot be decoded')
        return frames

    def _check_order(self) -> None:
        """Refuse frames that may not be in the order of their time stamps.

        Raises:
            UnreadableVideo: If nothing says when frames are shown: an AVI
                knows when they are decoded.
        """
        codec = self._stream.codec_context
        if (self._container.format.name == 'avi' and codec.has_b_frames
                and codec.name in TOLD_BY_CONTAINER):
            raise UnreadableVideo(
                self.path, 'does not say in which order its frames are shown '
                f'({codec.name} with B frames in an AVI). Encode it again: '
                'ffmpeg -i IN.avi OUT.mp4')

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
                convert: Callable) -> Dict[int, np.ndarray]:
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
                    self._packets_from(keys[key]), set(stretch), convert))
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
                        convert: Callable) -> Dict[int, np.ndarray]:
        """Frames by time stamp."""
        frames, left = {}, set(wanted)
        decoder = self._stream.codec_context
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
        options = dict(threads=1) if self._is_17 else {}

        def convert(frame: Any) -> np.ndarray:
            height, width = shrunk(frame.height, frame.width, short_side)
            image = reformatter.reformat(
                frame, width, height, format='rgb24', **options)
            quarter_turns = frame.rotation // 90 % 4
            return np.ascontiguousarray(
                np.rot90(image.to_ndarray(), quarter_turns))

        return convert
