"""The image operations of RandAugment, on whole clips.

Each does to every frame of a clip (T, H, W, 3), uint8 RGB, what timm's
function of the same name does to one PIL image: exactly for look-up tables,
within one grey level where PIL and OpenCV round otherwise, and rotation with
OpenCV's cubic kernel instead of PIL's (see the tests for the differences).
None changes its input.
"""
import math
from typing import Callable, Dict, Optional, Tuple

import cv2
import numpy as np

FILL = 128  # grey, timm's default for what a geometric operation uncovers
# OpenCV rounds where PIL cuts off: half a level down, but not to a tie.
CUT_OFF = -0.499
LEVELS = np.arange(256)


def _look_up(clip: np.ndarray, table: np.ndarray) -> np.ndarray:
    """One table for all values."""
    flat = clip.reshape(clip.shape[0], -1)
    return cv2.LUT(flat, table.astype(np.uint8)).reshape(clip.shape)


def _per_frame(clip: np.ndarray,
               change: Callable[[np.ndarray, np.ndarray], None]) -> np.ndarray:
    """Fresh frames, written by ``change(frame, result)``."""
    results = np.empty_like(clip)
    for frame, result in zip(clip, results):
        change(frame, result)
    return results


def _blend(base: np.ndarray, values: np.ndarray, factor: float,
           result: np.ndarray) -> None:
    """``base + factor * (values - base)``, cut off to whole levels."""
    cv2.addWeighted(values, factor, base, 1 - factor, CUT_OFF, dst=result)


def _look_up_channels(clip: np.ndarray, tables: np.ndarray) -> np.ndarray:
    """A table for every channel of every frame, (T, 3, 256)."""
    tables = np.ascontiguousarray(tables.swapaxes(1, 2), np.uint8)
    result = np.empty_like(clip)
    for frame, table, changed in zip(clip, tables, result):
        cv2.LUT(frame, table[None], dst=changed)
    return result


def auto_contrast(clip: np.ndarray,
                  seen: Optional[np.ndarray] = None) -> np.ndarray:
    """Stretch every channel of every frame to 0...255.

    Args:
        clip (np.ndarray): Frames, or parts of them.
        seen (np.ndarray, optional): The frames, in any size: what is measured
            in them. Defaults to None, ``clip``.
    """
    # Rows first: NumPy is fast along them, not along pixels.
    low, high = (
        extreme(extreme(clip if seen is None else seen, axis=1),
                axis=1)[..., None].astype(int) for extreme in (np.min, np.max))
    flat = low == high
    scale = 255. / np.where(flat, 1, high - low)
    tables = np.clip((LEVELS * scale - low * scale).astype(int), 0, 255)
    return _look_up_channels(clip, np.where(flat, LEVELS, tables))


def equalize(clip: np.ndarray,
             seen: Optional[np.ndarray] = None) -> np.ndarray:
    """Flatten the histogram of every channel of every frame.

    Args: as `auto_contrast`.
    """
    counts = np.array([[
        cv2.calcHist([frame], [channel], None, [256], [0, 256]).ravel()
        for channel in range(3)
    ] for frame in (clip if seen is None else seen)], np.int64)  # (T, 3, 256)
    highest = 255 - (counts[..., ::-1] > 0).argmax(axis=-1)[..., None]
    total = counts.sum(axis=-1, keepdims=True)
    step = (total - np.take_along_axis(counts, highest, axis=-1)) // 255
    same = step == 0  # also if only one level is there
    step = np.where(same, 1, step)
    before = np.cumsum(counts, axis=-1) - counts
    tables = np.minimum((step // 2 + before) // step, 255)
    return _look_up_channels(clip, np.where(same, LEVELS, tables))


def invert(clip: np.ndarray) -> np.ndarray:
    """Negative."""
    return 255 - clip


def posterize(clip: np.ndarray, bits: int) -> np.ndarray:
    """Keep the highest bits."""
    return clip & np.uint8(256 - 2**(8 - min(bits, 8)))


def solarize(clip: np.ndarray, threshold: float) -> np.ndarray:
    """Invert the levels from `threshold` on."""
    return _look_up(clip, np.where(LEVELS < threshold, LEVELS, 255 - LEVELS))


def solarize_add(clip: np.ndarray, add: int, threshold: int = 128):
    """Brighten the levels below `threshold`."""
    brighter = np.minimum(LEVELS + add, 255)
    return _look_up(clip, np.where(LEVELS < threshold, brighter, LEVELS))


def brightness(clip: np.ndarray, factor: float) -> np.ndarray:
    """Blend with black."""
    return _look_up(clip, np.clip(LEVELS * factor, 0, 255))


def contrast(clip: np.ndarray,
             factor: float,
             seen: Optional[np.ndarray] = None) -> np.ndarray:
    """Blend every frame with the mean of its grey levels.

    ``seen``: as `auto_contrast`.
    """
    result = np.empty_like(clip)
    for frame, changed, whole in zip(clip, result,
                                     clip if seen is None else seen):
        grey = cv2.cvtColor(whole, cv2.COLOR_RGB2GRAY)
        mean = int(cv2.mean(grey)[0] + 0.5)
        table = np.clip(mean + factor * (LEVELS - mean), 0, 255)
        changed[:] = _look_up(frame, table)
    return result


def color(clip: np.ndarray, factor: float) -> np.ndarray:
    """Blend with the grey picture."""

    def change(frame: np.ndarray, result: np.ndarray) -> None:
        grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        grey = cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)
        _blend(grey, frame, factor, result)

    return _per_frame(clip, change)


SMOOTH = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], np.float32) / 13


def sharpness(clip: np.ndarray, factor: float) -> np.ndarray:
    """Blend with the smoothed picture; the outermost pixels stay."""

    def change(frame: np.ndarray, result: np.ndarray) -> None:
        _blend(cv2.filter2D(frame, -1, SMOOTH), frame, factor, result)
        result[[0, -1]] = frame[[0, -1]]
        result[:, [0, -1]] = frame[:, [0, -1]]

    return _per_frame(clip, change)


def _shift(image: np.ndarray, offset: float, axis: int,
           result: np.ndarray) -> None:
    """Take every pixel from `offset` pixels further along an axis, cubic.

    Args:
        image (np.ndarray): (H, W, 3).
        offset (float): In pixels; what comes from outside is `FILL`.
        axis (int): 0 for down, 1 for right.
        result (np.ndarray): Where to write, (H, W, 3).
    """
    length = image.shape[axis]
    whole = math.floor(offset)
    d = offset - whole
    kernel = np.array([
        -d + 2 * d**2 - d**3, 1 - 2 * d**2 + d**3, d + d**2 - d**3, d**3 - d**2
    ], np.float32)
    # Pixel i of `shifted` stands for the place i - 1 + d.
    shifted = cv2.copyMakeBorder(image, 1 - axis, 0, axis, 0,
                                 cv2.BORDER_REPLICATE)
    if d:
        shifted = cv2.filter2D(
            shifted,
            -1,
            kernel[None] if axis else kernel[:, None],
            anchor=(axis, 1 - axis),
            delta=CUT_OFF,
            borderType=cv2.BORDER_REPLICATE)
    # Pixels whose centre comes from inside: 0 <= i + 0.5 + offset < length.
    first = max(math.ceil(-0.5 - offset), 0)
    last = min(math.ceil(length - 0.5 - offset), length)
    result[:] = FILL
    if first < last:
        inside = slice(first, last)
        source = slice(first + whole + 1, last + whole + 1)
        if axis:
            result[:, inside] = shifted[:, source]
        else:
            result[inside] = shifted[source]


def shear_x(clip: np.ndarray, factor: float) -> np.ndarray:
    """Slant the picture; rows move by `factor` pixels per row."""
    result = np.empty_like(clip)
    for y in range(clip.shape[1]):
        rows = np.ascontiguousarray(clip[:, y])  # this row of all frames
        _shift(rows, factor * (y + 0.5), 1, result[:, y])
    return result


def shear_y(clip: np.ndarray, factor: float) -> np.ndarray:
    """Slant the picture; columns move by `factor` pixels per column."""
    # Turned, so that columns lie in memory as rows.
    return _turn(shear_x(_turn(clip), factor))


def _turn(clip: np.ndarray) -> np.ndarray:
    """Columns as rows, rows as columns."""
    frames, height, width, channels = clip.shape
    result = np.empty((frames, width, height, channels), np.uint8)
    for frame, turned in zip(clip, result):
        cv2.transpose(frame, dst=turned)
    return result


def translate_x_abs(clip: np.ndarray, pixels: float) -> np.ndarray:
    """Move the picture to the left."""
    result = np.empty_like(clip)
    for frame, moved in zip(clip, result):
        _shift(frame, pixels, 1, moved)
    return result


def translate_y_abs(clip: np.ndarray, pixels: float) -> np.ndarray:
    """Move the picture up."""
    result = np.empty_like(clip)
    for frame, moved in zip(clip, result):
        _shift(frame, pixels, 0, moved)
    return result


def translate_x_rel(clip: np.ndarray, share: float) -> np.ndarray:
    """Move the picture to the left by a share of its width."""
    return translate_x_abs(clip, share * clip.shape[2])


def translate_y_rel(clip: np.ndarray, share: float) -> np.ndarray:
    """Move the picture up by a share of its height."""
    return translate_y_abs(clip, share * clip.shape[1])


def outside(matrix: np.ndarray, height: int, width: int,
            shape: Tuple[int, int]) -> np.ndarray:
    """Which pixels of a result have no source.

    Args:
        matrix (np.ndarray): From the place (x, y, 1) of a result's pixel to
            that of its source, (2 or 3, 3).
        height (int): Of the source.
        width (int): Of the source.
        shape (tuple[int, int]): Height and width of the result.

    Returns:
        np.ndarray: Bool, ``shape``.
    """
    column, row = np.arange(shape[1]), np.arange(shape[0])[:, None]
    result = np.zeros(shape, bool)
    for (a, b, c), size in zip(matrix, (width, height)):
        place = a * column + b * row + c + 0.5
        result |= (place < 0) | (place >= size)
    return result


def rotate(clip: np.ndarray, degrees: float) -> np.ndarray:
    """Turn the picture about its centre, counter-clockwise."""
    height, width = clip.shape[1:3]
    matrix = turning(height, width, degrees)[:2]
    bare = outside(matrix, height, width, (height, width)).astype(np.uint8)
    fill = np.full_like(clip[0], FILL)
    result = np.empty_like(clip)
    for frame, turned in zip(clip, result):
        cv2.warpAffine(
            frame,
            matrix, (width, height),
            dst=turned,
            flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE)
        cv2.copyTo(fill, bare, turned)
    return result


def turning(height: int, width: int, degrees: float) -> np.ndarray:
    """Where `rotate` takes a pixel from, (3, 3)."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    x, y = (width - 1) / 2, (height - 1) / 2  # centre of the pixel grid
    return np.array([[cos, -sin, x - cos * x + sin * y],
                     [sin, cos, y - sin * x - cos * y], [0, 0, 1]])


def _moving(xx: float = 1,
            xy: float = 0,
            x: float = 0,
            yx: float = 0,
            yy: float = 1,
            y: float = 0) -> np.ndarray:
    return np.array([[xx, xy, x], [yx, yy, y], [0, 0, 1]], float)


# Where an operation that moves pixels takes them from: (3, 3), from the place
# (x, y, 1) of a result's pixel to that of its source, in pixels. Arguments:
# height, width and those of the operation.
MOVES: Dict[str, Callable[..., np.ndarray]] = dict(
    Rotate=turning,
    ShearX=lambda height, width, factor: _moving(xy=factor, x=factor / 2),
    ShearY=lambda height, width, factor: _moving(yx=factor, y=factor / 2),
    TranslateX=lambda height, width, pixels: _moving(x=pixels),
    TranslateY=lambda height, width, pixels: _moving(y=pixels),
    TranslateXRel=lambda height, width, share: _moving(x=share * width),
    TranslateYRel=lambda height, width, share: _moving(y=share * height))

# By the names of timm's operations; several names differ only in how a
# magnitude becomes an argument, which timm decides.
CLIP_OPS: Dict[str, Callable[..., np.ndarray]] = dict(
    AutoContrast=auto_contrast,
    Equalize=equalize,
    Invert=invert,
    Rotate=rotate,
    Posterize=posterize,
    PosterizeIncreasing=posterize,
    PosterizeOriginal=posterize,
    Solarize=solarize,
    SolarizeIncreasing=solarize,
    SolarizeAdd=solarize_add,
    Color=color,
    ColorIncreasing=color,
    Contrast=contrast,
    ContrastIncreasing=contrast,
    Brightness=brightness,
    BrightnessIncreasing=brightness,
    Sharpness=sharpness,
    SharpnessIncreasing=sharpness,
    ShearX=shear_x,
    ShearY=shear_y,
    TranslateX=translate_x_abs,
    TranslateY=translate_y_abs,
    TranslateXRel=translate_x_rel,
    TranslateYRel=translate_y_rel)
