"""What every reader of video files needs: errors, segments, sizes."""
import errno
import io
import os
import os.path as osp
import stat
from bisect import bisect_left, bisect_right
from typing import Optional, Sequence, Tuple, Union

import cv2
import numpy as np

from .fault import FaultyFile

# Seconds that a stop stamp may lie behind the last frame.
PAST_END_TOLERANCE = 0.5
# The machine's trouble, which must not be taken for the file's.
TOO_MANY_OPEN = (errno.EMFILE, errno.ENFILE)


class UnreadableVideo(FaultyFile):
    """A video, or the part that is needed of it, cannot be read."""


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


def source_of(path: str, content: Optional[bytes]) -> Union[str, io.BytesIO]:
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
