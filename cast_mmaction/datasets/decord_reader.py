"""Video files by decord, which MMAction2 reads them with."""
import re
from typing import List, Optional, Sequence

import numpy as np

from .pyav_reader import PyAVReader
from .video_file import UnreadableVideo, segment_of, shrink, source_of

# '[15:56:47] /github/workspace/src/video/video_reader.cc:731: '
PLACE_IN_DECORD = re.compile(r'\[[\d:]+\] \S+:\d+: ')


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
        # decord's libraries are offered to all that come later: PyAV would
        # take some of them for its own.
        import av  # noqa: F401
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
                source_of(path, content), num_threads=1, fault_tol=1e-6)
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
