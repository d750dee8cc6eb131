"""Mixup and cutmix for samples with a verb and a noun."""
from typing import Dict, Tuple

import torch
import torch.nn.functional as F

from mmaction.models.utils.blending_utils import BaseMiniBatchBlending
from mmaction.registry import MODELS
from mmaction.utils import SampleList


@MODELS.register_module()
class VerbNounBlending:
    """One of the host's blendings, with two labels per clip.

    Both labels are blended as one vector, so that clip, verb and noun share
    one lambda and one permutation by construction. Afterwards ``gt_verb`` and
    ``gt_noun`` of every sample are distributions over the classes, (C, )
    float.

    Args:
        augment (dict): ``MixupBlending``, ``CutmixBlending`` or
            ``RandomBatchAugment`` of the host, without ``num_classes``.
        num_verbs (int): Defaults to 97.
        num_nouns (int): Defaults to 300.

    Example:
        >>> blending = dict(
        ...     type='VerbNounBlending',
        ...     augment=dict(
        ...         type='RandomBatchAugment',
        ...         augments=dict(type='MixupBlending', alpha=0.8),
        ...         probs=0.9))
    """

    def __init__(self,
                 augment: Dict,
                 num_verbs: int = 97,
                 num_nouns: int = 300) -> None:
        self.sizes = dict(verb=num_verbs, noun=num_nouns)
        self.augment: BaseMiniBatchBlending = MODELS.build(
            with_num_classes(augment, num_verbs + num_nouns))

    def __call__(self, imgs: torch.Tensor, batch_data_samples: SampleList,
                 **kwargs) -> Tuple[torch.Tensor, SampleList]:
        """Blend a batch.

        Args:
            imgs (torch.Tensor): Clips, (B, ...), float.
            batch_data_samples (list): With ``gt_verb`` and ``gt_noun``, (1, ).

        Returns:
            tuple: The blended clips, and the samples with soft labels.
        """
        one_hot = [
            F.one_hot(
                torch.cat([s.get(f'gt_{task}') for s in batch_data_samples]),
                size) for task, size in self.sizes.items()
        ]
        labels = torch.cat(one_hot, dim=1).float().to(imgs.device)
        imgs, labels = self.augment.do_blending(imgs, labels, **kwargs)
        verbs, nouns = labels.split(list(self.sizes.values()), dim=1)
        for sample, verb, noun in zip(batch_data_samples, verbs, nouns):
            sample.set_field(verb, 'gt_verb')
            sample.set_field(noun, 'gt_noun')
        return imgs, batch_data_samples


def with_num_classes(augment: Dict, num_classes: int) -> Dict:
    """The host's config, complete; its own `augments` likewise."""
    if 'augments' not in augment:
        return dict(augment, num_classes=num_classes)
    augments = augment['augments']
    augments = [augments] if isinstance(augments, dict) else augments
    return dict(
        augment,
        augments=[with_num_classes(each, num_classes) for each in augments])
