"""The views of a test video: short side to size, three crops."""
from typing import Dict, List, Tuple

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from mmaction.registry import TRANSFORMS


@TRANSFORMS.register_module()
class ShortSideResize(BaseTransform):
    """Scale frames so that their short side is `size`.

    The long side is rounded down, as the evaluation protocol of the published
    models does; MMAction2's ``Resize`` rounds it to the nearest pixel.

    Required and changed keys: ``imgs``, ``img_shape``.

    Args:
        size (int): Short side in pixels. Defaults to 224.
    """

    def __init__(self, size: int = 224) -> None:
        self.size = size

    def transform(self, results: Dict) -> Dict:
        """Scale bilinearly, each shared frame once."""
        height, width = results['img_shape']
        short = min(height, width)
        new_height = height * self.size // short
        new_width = width * self.size // short
        scaled: Dict[int, np.ndarray] = {}
        for frame in results['imgs']:
            if id(frame) not in scaled:
                scaled[id(frame)] = cv2.resize(
                    frame, (new_width, new_height),
                    interpolation=cv2.INTER_LINEAR)
        results['imgs'] = [scaled[id(frame)] for frame in results['imgs']]
        results['img_shape'] = (new_height, new_width)
        return results

    def __repr__(self) -> str:
        return f'{self.__class__.__name__}(size={self.size})'


def crop_starts(long_side: int, size: int, num_crops: int = 3) -> List[int]:
    """Where the crops begin along the long side, first to last."""
    return [
        i * (long_side - size) // (num_crops - 1) for i in range(num_crops)
    ]


@TRANSFORMS.register_module()
class ThreeViewCrop(BaseTransform):
    """Three square crops along the long side: begin, middle, end.

    Like MMAction2's ``ThreeCrop``, but the last crop always ends with the
    last pixel, and the crops are in order.

    Required and changed keys: ``imgs`` (crop by crop), ``img_shape``.

    Args:
        crop_size (int): Side of the crops, at most the short side of the
            frames. Defaults to 224.
    """

    def __init__(self, crop_size: int = 224) -> None:
        self.crop_size = crop_size

    def transform(self, results: Dict) -> Dict:
        """Crop all frames."""
        size = self.crop_size
        height, width = results['img_shape']
        if min(height, width) < size:
            raise ValueError(
                f'frames of {height} x {width} pixels are too small for '
                f'crops of {size}: resize them first')
        results['imgs'] = [
            frame[top:top + size, left:left + size]
            for top, left in self._corners(height, width)
            for frame in results['imgs']
        ]
        results['img_shape'] = (size, size)
        return results

    def _corners(self, height: int, width: int) -> List[Tuple[int, int]]:
        size = self.crop_size
        if width >= height:
            top = (height - size) // 2
            return [(top, left) for left in crop_starts(width, size)]
        left = (width - size) // 2
        return [(top, left) for top in crop_starts(height, size)]

    def __repr__(self) -> str:
        return f'{self.__class__.__name__}(crop_size={self.crop_size})'
