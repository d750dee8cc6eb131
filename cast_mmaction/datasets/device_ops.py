"""What `FuseClip` does to a clip, in torch: for the device of the model.

Frames are (F, 3, H, W), uint8, of one size. Whole levels stand between the
operations, as in `clip_ops`, and nothing here waits for the device: what was
drawn are Python's numbers, what is measured stays where it is.
"""
from typing import Callable, Dict, Tuple, Union

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .clip_ops import CLIP_OPS, CUT_OFF, FILL, MOVES, SMOOTH, turning
from .fusing import (WHOLE, Operations, View, coarse_step, last_measuring,
                     moving, size_of_work)

# OpenCV's weights of red, green and blue, in parts of 2 ** 15.
GREY = (9798, 19235, 3735)


def augmented_view(frames: Tensor,
                   operations: Operations,
                   view: View,
                   flip: bool = False) -> Tensor:
    """As :func:`cast_mmaction.datasets.fusing.augmented_view`, within
    rounding.

    Args:
        frames (Tensor): (F, 3, H, W), uint8.
        operations (Sequence[tuple]): Names and arguments, of `CLIP_OPS`.
        view (View): What is seen in the end; its interpolation is bilinear.
        flip (bool): Whether left becomes right in the end. Defaults to False.

    Returns:
        Tensor: (F, 3, height, width), uint8, of the view.
    """
    if any(name in WHOLE for name, _ in operations):
        for name, arguments in operations:
            frames = _whole(frames, name, arguments)
    elif operations:
        size = size_of_work(view)
        frames = _augmented(frames, operations, view._replace(size=size))
        view = View((0, 0, *size), view.size)
    frames = _seen(frames, view)
    return frames.flip(-1) if flip else frames


def _augmented(frames: Tensor, operations: Operations, view: View) -> Tensor:
    height, width = frames.shape[2:]
    matrices = moving(operations, height, width, view)
    if matrices:
        clip = _warped(frames, matrices[min(matrices)], view.size, 'bilinear')
    else:
        clip = _seen(frames, view)
    last = last_measuring(operations)
    step = coarse_step(height, width)
    coarse = frames[..., ::step, ::step]
    for place, (name, arguments) in enumerate(operations):
        if name in MOVES:
            outside = _outside(matrices[place], height, width, view.size,
                               clip.device)
            clip = clip.masked_fill(outside, FILL)
            if place < last:
                coarse = _whole(coarse, name, arguments)
        else:
            change = _levels(name, arguments, coarse)
            clip = change(clip)
            if place < last:
                coarse = change(coarse)
    return clip


def _whole(frames: Tensor, name: str, arguments: Tuple) -> Tensor:
    """An operation on whole frames."""
    if name in MOVED:
        return MOVED[name](frames, *arguments)
    return _levels(name, arguments, frames)(frames)


def _seen(frames: Tensor, view: View) -> Tensor:
    """Cropped and scaled."""
    left, top, right, bottom = view.box
    frames = frames[..., top:bottom, left:right]
    size = view.size[::-1]
    if frames.shape[2:] == size:
        return frames
    return _level(F.interpolate(frames.float(), size, mode='bilinear'))


def _level(values: Tensor) -> Tensor:
    """The nearest whole levels."""
    return values.round().clamp(0, 255).byte()


# places


def _places(matrix: np.ndarray, size: Tuple[int, int],
            device: torch.device) -> Tuple[Tensor, Tensor]:
    """Where the pixels of a result, width x height, come from: x and y."""
    column = torch.arange(size[0], device=device, dtype=torch.float64)
    row = torch.arange(size[1], device=device, dtype=torch.float64)[:, None]
    return tuple(a * column + b * row + c for a, b, c in matrix[:2].tolist())


def _outside(matrix: np.ndarray, height: int, width: int,
             size: Tuple[int, int], device: torch.device) -> Tensor:
    """As `clip_ops.outside`."""
    x, y = (place + .5 for place in _places(matrix, size, device))
    return (x < 0) | (x >= width) | (y < 0) | (y >= height)


def _warped(frames: Tensor, matrix: np.ndarray, size: Tuple[int, int],
            mode: str) -> Tensor:
    """Pixels from where a matrix says, the border repeated outside."""
    height, width = frames.shape[2:]
    x, y = _places(matrix, size, frames.device)
    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], -1)
    grid = grid.float().expand(len(frames), -1, -1, -1)
    return _level(
        F.grid_sample(
            frames.float(),
            grid,
            mode=mode,
            padding_mode='border',
            align_corners=False))


def _rotate(frames: Tensor, degrees: float) -> Tensor:
    height, width = frames.shape[2:]
    matrix = turning(height, width, degrees)
    outside = _outside(matrix, height, width, (width, height), frames.device)
    turned = _warped(frames, matrix, (width, height), 'bicubic')
    return turned.masked_fill(outside, FILL)


def _shift(frames: Tensor, offset: Union[float, Tensor]) -> Tensor:
    """Take every pixel from some pixels further to the right, cubic.

    Args:
        frames (Tensor): (F, 3, H, W).
        offset (float or Tensor): In pixels; or a tensor (H, 1), by row.
    """
    length = frames.shape[-1]
    column = torch.arange(length, device=frames.device)
    place = (column + offset).double().expand(frames.shape[2:])
    first = place.floor()
    d = (place - first).float()
    total = 0.
    for tap, weight in enumerate(
        (-d + 2 * d**2 - d**3, 1 - 2 * d**2 + d**3, d + d**2 - d**3,
         d**3 - d**2), -1):
        source = (first + tap).clamp(0, length - 1).long()
        total = total + weight * frames.gather(-1, source.expand_as(frames))
    bare = (place + .5 < 0) | (place + .5 >= length)
    return _level(total + CUT_OFF).masked_fill(bare, FILL)


def _shear_x(frames: Tensor, factor: float) -> Tensor:
    row = torch.arange(frames.shape[2], device=frames.device)[:, None]
    return _shift(frames, factor * (row.double() + .5))


def _turned(change: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """What is done to rows, done to columns."""
    return lambda frames, *arguments: change(frames.mT, *arguments).mT


def _shift_share(frames: Tensor, share: float) -> Tensor:
    return _shift(frames, share * frames.shape[-1])


MOVED: Dict[str, Callable[..., Tensor]] = dict(
    Rotate=_rotate,
    ShearX=_shear_x,
    ShearY=_turned(_shear_x),
    TranslateX=_shift,
    TranslateY=_turned(_shift),
    TranslateXRel=_shift_share,
    TranslateYRel=_turned(_shift_share))

# levels


def _levels(name: str, arguments: Tuple,
            seen: Tensor) -> Callable[[Tensor], Tensor]:
    """An operation that moves nothing.

    Args:
        name (str): Its name.
        arguments (tuple): Its arguments.
        seen (Tensor): Frames in any size, (F, 3, h, w), to measure in.
    """
    if name in MIXED:
        return lambda clip: MIXED[name](clip, *arguments)
    if name in MEASURED:
        tables = MEASURED[name](seen, *arguments)
    else:  # each level has one result, that of the worker's operation
        levels = np.arange(256, dtype=np.uint8)[None, None, :, None]
        table = CLIP_OPS[name](levels, *arguments).reshape(256)
        tables = torch.from_numpy(table).to(seen.device, non_blocking=True)
    return lambda clip: _look_up(clip, tables)


def _look_up(clip: Tensor, tables: Tensor) -> Tensor:
    """Levels by tables (256, ), or by channel and frame (F, 3, 256)."""
    tables = tables.expand(*clip.shape[:2], 256)
    return tables.gather(2, clip.flatten(2).long()).view(clip.shape)


def _numbers(device: torch.device) -> Tensor:
    return torch.arange(256, device=device)


def _auto_contrast(seen: Tensor) -> Tensor:
    low, high = (x[..., None].double()
                 for x in (seen.amin((2, 3)), seen.amax((2, 3))))
    numbers = _numbers(seen.device)
    scale = 255. / torch.where(low == high, 1., high - low)
    tables = (numbers * scale - low * scale).trunc().clamp(0, 255)
    return torch.where(low == high, numbers, tables).byte()


def _equalize(seen: Tensor) -> Tensor:
    ordered = seen.flatten(2).contiguous().sort(-1).values
    numbers = _numbers(seen.device).byte().repeat(*seen.shape[:2], 1)
    # Pixels up to a level: counted without sums that depend on their order.
    up_to = torch.searchsorted(ordered, numbers, right=True)
    total = ordered.shape[-1]
    below_highest = torch.where(up_to < total, up_to, 0).amax(-1, True)
    step = below_highest // 255
    before = F.pad(up_to[..., :-1], (1, 0))
    tables = (step // 2 + before) // step.clamp(min=1)
    return torch.where(step == 0, numbers, tables.clamp(max=255)).byte()


def _contrast(seen: Tensor, factor: float) -> Tensor:
    mean = (_grey(seen).double().mean((1, 2, 3)) + .5).floor()[:, None, None]
    numbers = _numbers(seen.device)
    tables = (mean + factor * (numbers - mean)).clamp(0, 255).byte()
    return tables.expand(-1, 3, -1)


def _grey(clip: Tensor) -> Tensor:
    """(F, 1, H, W), int32."""
    red, green, blue = clip.int().split(1, dim=1)
    sum_ = GREY[0] * red + GREY[1] * green + GREY[2] * blue
    return (sum_ + 2**14) >> 15


def _blend(base: Tensor, values: Tensor, factor: float) -> Tensor:
    return _level(factor * values + (1 - factor) * base + CUT_OFF)


def _color(clip: Tensor, factor: float) -> Tensor:
    return _blend(_grey(clip), clip, factor)


def _sharpness(clip: Tensor, factor: float) -> Tensor:
    centre = clip[..., 1:-1, 1:-1]
    around = F.avg_pool2d(clip.float(), 3, stride=1, divisor_override=1)
    weight = SMOOTH[0, 0].item()
    smooth = weight * around + (SMOOTH[1, 1].item() - weight) * centre
    result = clip.clone()  # the outermost pixels stay
    result[..., 1:-1, 1:-1] = _blend(smooth.round(), centre, factor)
    return result


MEASURED: Dict[str, Callable[..., Tensor]] = dict(
    AutoContrast=_auto_contrast,
    Equalize=_equalize,
    Contrast=_contrast,
    ContrastIncreasing=_contrast)
MIXED: Dict[str, Callable[..., Tensor]] = dict(
    Color=_color,
    ColorIncreasing=_color,
    Sharpness=_sharpness,
    SharpnessIncreasing=_sharpness)
