"""Augmentation, crop, scaling and flip of a clip in one step.

Most of a frame's pixels are cropped away, or lost when it is scaled down:
what is done to a frame is done to the pixels that stay.
"""
from typing import Dict, NamedTuple, Sequence, Tuple

import cv2
import mmcv
import numpy as np
from mmcv.transforms import BaseTransform

from mmaction.registry import TRANSFORMS
from .clip_ops import CLIP_OPS, FILL, MOVES, outside

# What depends on the levels of the whole frame.
MEASURING = ('AutoContrast', 'Equalize', 'Contrast', 'ContrastIncreasing')
# These look at pixels beside each other, or move by pixels of the frame.
WHOLE = ('Sharpness', 'SharpnessIncreasing', 'TranslateX', 'TranslateY')
# Pixels of the short side in which a frame's levels are measured.
MEASURED_SIDE = 128

Operations = Sequence[Tuple[str, Tuple]]


class View(NamedTuple):
    """What is seen of a frame.

    Attributes:
        box (tuple): Left, top, right and bottom, in whole pixels.
        size (tuple): Width and height to scale it to.
        interpolation (str): As ``mmcv.imresize`` takes it.
    """
    box: Tuple[int, int, int, int]
    size: Tuple[int, int]
    interpolation: str = 'bilinear'

    def of(self, frames: Sequence[np.ndarray],
           flip: bool = False) -> np.ndarray:
        """Crop, scale and perhaps flip: (T, H, W, 3)."""
        left, top, right, bottom = self.box
        width, height = self.size
        clip = np.empty((len(frames), height, width, 3), np.uint8)
        for frame, seen in zip(frames, clip):
            frame = frame[top:bottom, left:right]
            if frame.shape != seen.shape:
                frame = mmcv.imresize(
                    frame, self.size, interpolation=self.interpolation)
            if flip:
                cv2.flip(frame, 1, dst=seen)
            else:
                seen[:] = frame
        return clip

    def matrix(self) -> np.ndarray:
        """From the place (x, y, 1) of a pixel of the view to that in the
        frame, (3, 3)."""
        left, top, right, bottom = self.box
        x = (right - left) / self.size[0]
        y = (bottom - top) / self.size[1]
        return np.array([[x, 0, left + (x - 1) / 2],
                         [0, y, top + (y - 1) / 2], [0, 0, 1]])


def augmented_view(frames: Sequence[np.ndarray],
                   operations: Operations,
                   view: View,
                   flip: bool = False) -> np.ndarray:
    """A view of augmented frames, from as few pixels as possible.

    Pixels are moved once, bilinearly; then the levels change in the order of
    the operations, before the view is enlarged and after it is scaled down,
    measured in a coarse copy of the frames where they are asked for. If an
    operation needs the whole frames, all are applied to the whole frames.

    Args:
        frames (Sequence[np.ndarray]): (H, W, 3), uint8, of one size.
        operations (Sequence[tuple]): Names and arguments, of `CLIP_OPS`.
        view (View): What is seen in the end.
        flip (bool): Whether left becomes right in the end. Defaults to False.

    Returns:
        np.ndarray: (T, H, W, 3), uint8.
    """
    if not operations:
        return view.of(frames, flip)
    if any(name in WHOLE for name, _ in operations):
        clip = np.stack(frames)
        for name, arguments in operations:
            clip = CLIP_OPS[name](clip, *arguments)
        return view.of(clip, flip)
    size = size_of_work(view)
    clip = _augmented(frames, operations, view._replace(size=size))
    return View((0, 0, *size), view.size, view.interpolation).of(clip, flip)


def size_of_work(view: View) -> Tuple[int, int]:
    """Width and height in which levels change: neither those of pixels that
    are still enlarged nor of such that will be lost."""
    left, top, right, bottom = view.box
    return min(right - left, view.size[0]), min(bottom - top, view.size[1])


def coarse_step(height: int, width: int) -> int:
    """Every how many pixels the levels of a frame are measured."""
    return max(min(height, width) // MEASURED_SIDE, 1)


def last_measuring(operations: Operations) -> int:
    """The place of the last operation that looks at levels; -1 for none."""
    return max((place for place, (name, _) in enumerate(operations)
                if name in MEASURING), default=-1)


def moving(operations: Operations, height: int, width: int,
           view: View) -> Dict[int, np.ndarray]:
    """From where all that moves pixels takes those of a view.

    Args:
        operations (Sequence[tuple]): Names and arguments, of `CLIP_OPS`.
        height (int): Of the frames.
        width (int): Of the frames.
        view (View): What is seen in the end.

    Returns:
        dict: By the place of an operation that moves, from the pixel
        (x, y, 1) of the view to that before the operation, (3, 3). The first
        leads to the frames.
    """
    matrix, found = view.matrix(), {}
    for place in reversed(range(len(operations))):
        name, arguments = operations[place]
        if name in MOVES:
            matrix = MOVES[name](height, width, *arguments) @ matrix
            found[place] = matrix
    return found


def _augmented(frames: Sequence[np.ndarray], operations: Operations,
               view: View) -> np.ndarray:
    clip, bare = _moved(frames, operations, view)
    last = last_measuring(operations)
    if last >= 0:
        step = coarse_step(*frames[0].shape[:2])
        coarse = np.stack([frame[::step, ::step] for frame in frames])
    grey = np.full_like(clip[0], FILL)
    for place, (name, arguments) in enumerate(operations):
        if name in MOVES:
            for frame in clip:
                cv2.copyTo(grey, bare[place], frame)
        elif name in MEASURING:
            clip = CLIP_OPS[name](clip, *arguments, seen=coarse)
        else:
            clip = CLIP_OPS[name](clip, *arguments)
        if place < last:
            coarse = CLIP_OPS[name](coarse, *arguments)
    return clip


def _moved(frames: Sequence[np.ndarray], operations: Operations,
           view: View) -> Tuple[np.ndarray, Dict[int, np.ndarray]]:
    """The view of the frames when everything is moved, and by the place of
    each operation the pixels that it leaves bare."""
    height, width = frames[0].shape[:2]
    matrices = moving(operations, height, width, view)
    bare = {
        place: outside(matrix[:2], height, width,
                       view.size[::-1]).astype(np.uint8)
        for place, matrix in matrices.items()
    }
    if not bare:
        return view.of(frames), bare
    clip = np.empty((len(frames), view.size[1], view.size[0], 3), np.uint8)
    for frame, moved in zip(frames, clip):
        cv2.warpAffine(
            frame,
            matrices[min(matrices)][:2],
            view.size,
            dst=moved,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE)
    return clip, bare


def noted(step: str, results: Dict) -> Tuple[Operations, View, bool]:
    """Take out what lazy steps have noted: operations, view and flip.

    Raises:
        ValueError: Names the step that asks, if no step before is lazy, or a
            flip is not horizontal.
    """
    if 'lazy' not in results:
        raise ValueError(f'{step}: no step before it has lazy=True')
    lazy = results.pop('lazy')
    if lazy['flip'] and lazy['flip_direction'] != 'horizontal':
        raise ValueError(f'{step} flips horizontally, but Flip has '
                         f'direction={lazy["flip_direction"]!r}')
    height, width = results['img_shape']
    view = View(
        tuple(lazy['crop_bbox'].round().astype(int).tolist()),
        (width, height), lazy['interpolation'] or 'bilinear')
    return results.pop('operations', []), view, bool(lazy['flip'])


@TRANSFORMS.register_module()
class FuseClip(BaseTransform):
    """Do what the lazy steps before have noted, in one step.

    Takes the place of MMAction2's ``Fuse`` where `ClipRandAugment` is lazy,
    too. The draws are those of the steps that are not lazy.

    Required keys: ``imgs``, ``img_shape``, ``lazy``. Optional key:
    ``operations``, of `ClipRandAugment`. Changed key: ``imgs``.

    Raises:
        ValueError: If no step before is lazy, or a flip is not horizontal.
    """

    def transform(self, results: Dict) -> Dict:
        """Change all frames."""
        results['imgs'] = list(
            augmented_view(results['imgs'], *noted('FuseClip', results)))
        return results

    def __repr__(self) -> str:
        return f'{self.__class__.__name__}()'
