"""RandAugment with one draw for all frames of a clip."""
import random
from typing import Dict, Iterator, Tuple

import numpy as np
from mmcv.transforms import BaseTransform
from PIL import Image
from timm.data.auto_augment import (_LEVEL_DENOM, AugmentOp,
                                    rand_augment_transform)

from mmaction.datasets.transforms.processing import _init_lazy_if_proper
from mmaction.registry import TRANSFORMS
from .clip_ops import CLIP_OPS


@TRANSFORMS.register_module()
class ClipRandAugment(BaseTransform):
    """timm's RandAugment on whole clips, several times faster.

    timm reads the policy and maps magnitudes to arguments, and the random
    numbers are drawn in its order: the same seed gives the same operations.
    Uncovered places become grey (128).

    Required and changed key: ``imgs`` (list of (H, W, 3) uint8 RGB arrays of
    one size). Put it before the crop.

    Args:
        policy (str): As timm's ``rand_augment_transform`` takes it. Defaults
            to ``'rand-m7-n4-mstd0.5-inc1'``.
        lazy (bool): Only draw; `FuseClip` does the work, behind crop, resize
            and flip that are lazy, too, on the pixels that they keep.
            Defaults to False.

    Raises:
        ValueError: If the policy has an operation that is not there for
            clips.
    """

    def __init__(self,
                 policy: str = 'rand-m7-n4-mstd0.5-inc1',
                 lazy: bool = False) -> None:
        self.policy = policy
        self.lazy = lazy
        self.augment = rand_augment_transform(
            policy, dict(interpolation=Image.Resampling.BICUBIC))
        unknown = {op.name for op in self.augment.ops} - CLIP_OPS.keys()
        if unknown:
            raise ValueError(f'{policy}: {", ".join(sorted(unknown))} cannot '
                             'be applied to clips')

    def transform(self, results: Dict) -> Dict:
        """Draw once, change all frames."""
        _init_lazy_if_proper(results, self.lazy)
        if self.lazy:
            if results['img_shape'] != results['lazy']['original_shape']:
                raise ValueError('ClipRandAugment with lazy=True goes before '
                                 'the lazy crop')
            results['operations'] = list(self.draw())
            return results
        clip = None
        for name, arguments in self.draw():
            if clip is None:
                clip = np.stack(results['imgs'])
            clip = CLIP_OPS[name](clip, *arguments)
        if clip is not None:
            results['imgs'] = list(clip)
        return results

    def draw(self) -> Iterator[Tuple[str, Tuple]]:
        """Names and arguments of the operations for one clip."""
        augment = self.augment
        chosen = np.random.choice(
            augment.ops,
            augment.num_layers,
            replace=augment.choice_weights is None,
            p=augment.choice_weights)
        for op in chosen:
            if op.prob >= 1 or random.random() <= op.prob:
                yield op.name, self._arguments(op)

    @staticmethod
    def _arguments(op: AugmentOp) -> Tuple:
        magnitude = op.magnitude
        if op.magnitude_std == float('inf'):
            magnitude = random.uniform(0, magnitude)
        elif op.magnitude_std > 0:
            magnitude = random.gauss(magnitude, op.magnitude_std)
        magnitude = max(0., min(magnitude, op.magnitude_max or _LEVEL_DENOM))
        if op.level_fn is None:
            return ()
        return op.level_fn(magnitude, op.hparams)

    def __repr__(self) -> str:
        return (f'{self.__class__.__name__}(policy={self.policy!r}, '
                f'lazy={self.lazy})')
