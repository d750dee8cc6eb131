"""Random erasing with one box for all frames of a clip."""
from typing import Dict

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from timm.data.random_erasing import RandomErasing

from mmaction.registry import TRANSFORMS


@TRANSFORMS.register_module()
class ClipRandomErasing(BaseTransform):
    """Fill a box with noise, the same box in every frame.

    timm draws the box: 2 to 33 per cent of the area, its sides at most 10 to
    3. Every pixel gets a level of its own, uniform over 0 to 255, in every
    frame anew.

    Required and changed key: ``imgs`` (list of (H, W, 3) uint8 arrays of one
    size). Put it behind the crop.

    Args:
        prob (float): Probability that a clip is changed. Defaults to 0.25.

    Raises:
        ValueError: If ``prob`` is no probability.
    """

    def __init__(self, prob: float = 0.25) -> None:
        if not 0 <= prob <= 1:
            raise ValueError(f'prob={prob} is no probability: use 0 to 1')
        self.prob = prob
        self.erasing = RandomErasing(prob, mode='const', device='cpu')

    def transform(self, results: Dict) -> Dict:
        """Draw one box, change all frames."""
        height, width = results['imgs'][0].shape[:2]
        kept = self.erasing(torch.ones(1, height, width))[0].bool().numpy()
        if kept.all():
            return results
        clip = np.stack(results['imgs'])  # (T, H, W, 3)
        clip[:, ~kept] = np.random.randint(
            256, size=(len(clip), np.count_nonzero(~kept), 3), dtype=np.uint8)
        results['imgs'] = list(clip)
        return results

    def __repr__(self) -> str:
        return f'{self.__class__.__name__}(prob={self.prob})'
