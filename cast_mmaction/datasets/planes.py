"""Frames as most decoders leave them: brightness, and colours of half its
height and width (4:2:0). They take half the bytes of RGB, and what turns them
into that can be done by the device of the model.
"""
from typing import Any, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import torch
from torch import Tensor

# Whether levels from 0 to 255 are meant; from 16 to 235 (240) otherwise.
FULL_RANGE = {'yuv420p': False, 'yuvj420p': True}
FULL = 2  # FFmpeg's number of that range, where a frame states it
# Parts of red and blue in brightness, by FFmpeg's number of a colour space.
# What states none is taken for that of standard definition, BT.601.
WEIGHTS = {1: (.2126, .0722), 9: (.2627, .0593)}  # BT.709, BT.2020
WEIGHTS.update(dict.fromkeys((2, 5, 6), (.299, .114)))
# Integers count 2 ** -13, and of a product 2 ** 16 are one level: FFmpeg's.
UNIT = 2**13

Box = Tuple[int, int, int, int]


class Conversion(NamedTuple):
    """From brightness Y and colours U and V to red, green and blue.

    Attributes:
        black (int): Level of Y.
        y (int): What a level of Y above black counts, in 2 ** -13 levels.
        red_v (int): What V counts in red; likewise the others.
        green_u (int): See `red_v`.
        green_v (int): See `red_v`.
        blue_u (int): See `red_v`.
    """
    black: int
    y: int
    red_v: int
    green_u: int
    green_v: int
    blue_u: int

    @classmethod
    def by(cls, full: bool, red: float, blue: float) -> 'Conversion':
        """As ITU-R BT.601, BT.709 and BT.2020 define it.

        Args:
            full (bool): Whether levels from 0 to 255 are meant.
            red (float): Its part in brightness.
            blue (float): Likewise.
        """
        green = 1 - red - blue
        of_y, of_colors = (1, 1) if full else (255 / 219, 255 / 224)
        of_v, of_u = 2 * (1 - red) * of_colors, 2 * (1 - blue) * of_colors
        weights = (of_y, of_v, -of_u * blue / green, -of_v * red / green, of_u)
        return cls(0 if full else 16, *(round(UNIT * x) for x in weights))

    @classmethod
    def of(cls, frame: Any) -> 'Conversion':
        """What the levels of PyAV's frame mean.

        Raises:
            OtherFormat: If they are not known here.
        """
        if frame.format.name not in FULL_RANGE:
            raise OtherFormat
        if frame.colorspace not in WEIGHTS:
            raise OtherFormat
        full = FULL_RANGE[frame.format.name] or frame.color_range == FULL
        return cls.by(full, *WEIGHTS[frame.colorspace])


class Planes(NamedTuple):
    """Frames of one video.

    Attributes:
        values (np.ndarray): (T, 3 / 2 H, W), uint8: the rows of Y, behind them
            U, then V, each of H / 2 times W / 2.
        conversion (Conversion): What they mean.
    """
    values: np.ndarray
    conversion: Conversion


class OtherFormat(Exception):
    """A frame that is not 4:2:0, or not like those before it."""


class PlaneCollector:
    """Takes PyAV's frames, in any order, into one array.

    Args:
        pts (Sequence[int]): When they are shown, each once.
        size (tuple): Their height and width.

    Raises:
        OtherFormat: If they are not all of that size, even and upright, whole
            pictures and not two fields (of which FFmpeg takes the colours
            apart), and of one of the formats that are known here.
    """

    def __init__(self, pts: Sequence[int], size: Tuple[int, int]) -> None:
        self._places = {time: place for place, time in enumerate(pts)}
        self._size = size
        self.planes: Optional[Planes] = None

    def __call__(self, frame: Any) -> np.ndarray:
        """The planes of a frame, (3 / 2 H, W)."""
        height, width = self._size
        if ((frame.height, frame.width) != self._size or height % 2
                or width % 2 or frame.rotation % 360
                or frame.interlaced_frame):
            raise OtherFormat
        conversion = Conversion.of(frame)
        if self.planes is None:
            shape = len(self._places), height * 3 // 2, width
            self.planes = Planes(np.empty(shape, np.uint8), conversion)
        if conversion != self.planes.conversion:
            raise OtherFormat
        taken = self.planes.values[self._places[frame.pts]]
        for source, target in zip(frame.planes, parts(taken)):
            if source.line_size < source.width:  # stored from the bottom up
                raise OtherFormat
            rows = np.frombuffer(source, np.uint8)
            rows = rows.reshape(-1, source.line_size)
            target[:] = rows[:len(target), :source.width]
        return taken


def parts(values: np.ndarray) -> List[np.ndarray]:
    """Y, U and V, (..., H, W) and twice (..., H / 2, W / 2).

    Args:
        values (np.ndarray): (..., 3 / 2 H, W), which they share.
    """
    *leading, rows, width = values.shape
    height = rows * 2 // 3
    colors = values[..., height:, :].reshape(*leading, 2, height // 2,
                                             width // 2)
    return [
        values[..., :height, :], colors[..., 0, :, :], colors[..., 1, :, :]
    ]


def cut(values: np.ndarray, box: Box) -> Tuple[np.ndarray, Box]:
    """What is around a box, in even numbers.

    Args:
        values (np.ndarray): (T, 3 / 2 H, W); see `Planes`.
        box (tuple): Left, top, right and bottom, in whole pixels.

    Returns:
        tuple: Of the same kind: values, and where the box is in them.
    """
    left, top = (x - x % 2 for x in box[:2])
    right, bottom = (x + x % 2 for x in box[2:])
    height, width = bottom - top, right - left
    inner = np.empty((len(values), height * 3 // 2, width), np.uint8)
    for step, source, target in zip((1, 2, 2), parts(values), parts(inner)):
        target[:] = source[:, top // step:bottom // step,
                           left // step:right // step]
    return inner, (box[0] - left, box[1] - top, box[2] - left, box[3] - top)


def to_rgb(frames: Tensor, conversion: Conversion) -> Tensor:
    """As FFmpeg converts, with a colour for each four pixels.

    On x86 to the bit.

    Args:
        frames (Tensor): (F, 3 / 2 H, W), uint8; see `Planes`.
        conversion (Conversion): What they mean.

    Returns:
        Tensor: (F, 3, H, W), uint8.
    """
    height, width = frames.shape[1] * 2 // 3, frames.shape[2]
    half = height // 2, width // 2
    y = frames[:, :height].reshape(-1, 1, half[0], 2, half[1], 2)
    u, v = frames[:, height:].reshape(-1, 2, *half).unbind(1)

    def count(levels: Tensor, zero: int, weight: int) -> Tensor:
        return (levels.int() - zero) * (8 * weight) >> 16

    colors = torch.stack([
        count(v, 128, conversion.red_v),
        count(u, 128, conversion.green_u) + count(v, 128, conversion.green_v),
        count(u, 128, conversion.blue_u)
    ], 1)
    levels = count(y, conversion.black, conversion.y)
    levels = levels + colors[:, :, :, None, :, None]
    return levels.clamp_(0, 255).byte().view(-1, 3, height, width)
