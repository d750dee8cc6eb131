"""Augmentation by the device of the model, which a worker only draws.

A worker then reads and decodes; what was drawn travels with the frames, and
the data preprocessor does on the device what `FuseClip` does in the worker.
"""
import inspect
from typing import (Any, Dict, List, NamedTuple, Optional, Sequence, Tuple,
                    Union)

import numpy as np
import torch
from mmaction.models.data_preprocessors import ActionDataPreprocessor
from mmaction.registry import MODELS, TRANSFORMS
from mmaction.utils import SampleList
from mmcv.transforms import BaseTransform
from mmengine.config import Config, ConfigDict
from torch import Tensor

from ..models.audio_visual import AudioVisualDataPreprocessor
from .clip_ops import MOVES
from .device_ops import augmented_view
from .fusing import MEASURING, WHOLE, Operations, View, noted
from .planes import Conversion, cut, to_rgb

# What needs pixels beside those of the crop.
BEYOND = {*MOVES, *MEASURING, *WHOLE}
# Steps that are not lazy and do not look at frames.
OF_SOUND = ('SpecAugment', )


class Drawn(NamedTuple):
    """What is left to do; see `fusing.augmented_view`.

    Attributes:
        operations (Sequence[tuple]): Names and arguments.
        view (View): What is seen in the end.
        flip (bool): Whether left becomes right.
        conversion (Conversion, optional): From `Planes` to RGB, before all.
    """
    operations: Operations
    view: View
    flip: bool
    conversion: Optional[Conversion] = None


@TRANSFORMS.register_module()
class DeferClip(BaseTransform):
    """Leave to the device what the lazy steps before have noted.

    Takes the place of `FuseClip` and of ``FormatShape``; the draws are the
    same. The pack step behind it needs ``deferred`` among its ``meta_keys``,
    and the model an `AugmentingActionDataPreprocessor`;
    :func:`defer_augmentation` changes a config accordingly.

    The frames go to the device as they were decoded, cut to the crop if no
    operation needs more. A clip of 16 frames of 340 x 256 is 4.2 MB (as
    `Planes` 2.1), of 1280 x 720 it is 44 MB (22): give ``VideoDecode`` a
    ``short_side`` for such.

    Required keys: ``imgs``, ``img_shape``, ``num_clips``, ``lazy``. Optional
    keys: ``operations``, of `ClipRandAugment`; ``conversion``, of
    ``VideoDecode(planes=True)``. Changed key: ``imgs``, now a uint8 array
    (num_clips, T, H, W, 3), or of `Planes` (num_clips, T, 3 / 2 H, W). Added
    key: ``deferred``, `Drawn`.

    Raises:
        ValueError: As `FuseClip`; or if the interpolation is not bilinear.
    """

    def transform(self, results: Dict) -> Dict:
        """Cut and pass on."""
        operations, view, flip = noted('DeferClip', results)
        if view.interpolation != 'bilinear':
            raise ValueError('DeferClip scales bilinearly, but a step before '
                             f'has interpolation={view.interpolation!r}')
        conversion = results.pop('conversion', None)
        clip, box = results['imgs'], view.box
        if any(name in BEYOND for name, _ in operations):
            clip = clip if conversion else np.stack(clip)
        elif conversion:
            clip, box = cut(clip, box)
        else:
            left, top, right, bottom = box
            clip = np.stack([frame[top:bottom, left:right] for frame in clip])
            box = 0, 0, right - left, bottom - top
        view = view._replace(box=box)
        results['imgs'] = clip.reshape(results['num_clips'], -1,
                                       *clip.shape[1:])
        results['deferred'] = Drawn(operations, view, flip, conversion)
        return results

    def __repr__(self) -> str:
        return f'{self.__class__.__name__}()'


class Augmenting:
    """Mixin: does what `DeferClip` has deferred, then what it did before.

    Samples of which nothing is deferred, such as those of a test, stay as
    they are.
    """

    def preprocess(self,
                   inputs: Union[List[Tensor], Dict[str, List[Tensor]]],
                   data_samples: SampleList,
                   training: bool = False) -> Tuple[Any, SampleList]:
        """Augment, then stack and normalise."""
        if isinstance(inputs, dict) and 'imgs' in inputs:
            inputs = dict(inputs, imgs=_augmented(inputs['imgs'],
                                                  data_samples))
        elif not isinstance(inputs, dict):
            inputs = _augmented(inputs, data_samples)
        return super().preprocess(inputs, data_samples, training)


def _augmented(clips: List[Tensor],
               samples: Optional[SampleList]) -> List[Tensor]:
    if samples is None:
        return clips
    return [
        finished(clip, sample.deferred) if 'deferred' in sample else clip
        for clip, sample in zip(clips, samples)
    ]


@torch.no_grad()
def finished(clip: Tensor, drawn: Drawn) -> Tensor:
    """Do to a clip what was deferred, where it is.

    Args:
        clip (Tensor): (M, T, H, W, 3), uint8; or of `Planes`,
            (M, T, 3 / 2 H, W).
        drawn (Drawn): What `DeferClip` noted.

    Returns:
        Tensor: (M, 3, T, height, width), uint8.
    """
    frames = clip.flatten(0, 1)
    if drawn.conversion:
        frames = to_rgb(frames, drawn.conversion)
    else:
        frames = frames.permute(0, 3, 1, 2)  # (M T, 3, H, W)
    frames = augmented_view(frames, drawn.operations, drawn.view, drawn.flip)
    return frames.unflatten(0, clip.shape[:2]).transpose(1, 2)


@MODELS.register_module()
class AugmentingActionDataPreprocessor(Augmenting, ActionDataPreprocessor):
    """The host's preprocessor, which also does what `DeferClip` deferred.

    Arguments: as ``mmaction.models.ActionDataPreprocessor``.
    """


@MODELS.register_module()
class AugmentingAudioVisualDataPreprocessor(Augmenting,
                                            AudioVisualDataPreprocessor):
    """Likewise for frames and sound: `AudioVisualDataPreprocessor`."""


def defer_augmentation(cfg: Config) -> None:
    """Let the model's device augment the training clips of a config that has
    ``augment_on_device=True``, and take that option out.

    Raises:
        ValueError: If the training pipeline does not end with `FuseClip`,
            ``FormatShape`` and a pack step, or the preprocessor is another.
    """
    if not cfg.pop('augment_on_device', False):
        return
    dataset = cfg.train_dataloader.dataset
    pipeline = dataset.get('pipeline')
    if not pipeline:
        raise ValueError(
            'augment_on_device needs train_dataloader.dataset to be a data '
            f'set with a pipeline of its own, and it is a {dataset.type}')
    kinds = [step['type'] for step in pipeline]
    if kinds[-3:-1] != ['FuseClip', 'FormatShape']:
        raise ValueError(
            'augment_on_device needs a training pipeline that ends with '
            'FuseClip, FormatShape and a pack step; this one has '
            f'{", ".join(kinds)}')
    preprocessor = cfg.model.get('data_preprocessor') or ConfigDict()
    kind = preprocessor.get('type')
    if MODELS.get(f'Augmenting{kind}') is None:
        raise ValueError('augment_on_device is for ActionDataPreprocessor and '
                         f'AudioVisualDataPreprocessor, not for {kind}')
    preprocessor.type = f'Augmenting{kind}'
    pack = pipeline[-1]
    defaults = inspect.signature(TRANSFORMS.get(pack['type'])).parameters
    keys = pack.get('meta_keys', defaults['meta_keys'].default)
    steps = pipeline[:-3]
    if 'VideoDecode' in kinds:
        place = kinds.index('VideoDecode')
        if look_at_no_frame(steps[place + 1:]):
            steps[place] = ConfigDict(steps[place], planes=True)
    cfg.train_dataloader.dataset.pipeline = [
        *steps,
        ConfigDict(type='DeferClip'),
        ConfigDict(pack, meta_keys=(*keys, 'deferred'))
    ]


def look_at_no_frame(steps: Sequence[Dict[str, Any]]) -> bool:
    """Whether steps between reading and `DeferClip` take `Planes` as well."""
    return all(
        step.get('lazy') or step['type'] in OF_SOUND for step in steps)
