"""Clips and spectrograms of a batch: normalised, and mixed together.

Shapes: B samples, V views of each.
"""
from typing import Dict, List, Optional, Tuple, Union

import torch
import torch.nn.functional as F
from mmaction.models.data_preprocessors import ActionDataPreprocessor
from mmaction.models.utils.blending_utils import BaseMiniBatchBlending
from mmaction.registry import MODELS
from mmaction.utils import SampleList
from torch import Tensor

from ..spectrograms.form import Spectrograms
from .blending import with_num_classes

# Of the log-mel energies of AudioSet, on which AST was trained.
AUDIOSET_MEAN = -4.2677393
AUDIOSET_STD = 4.5689974


@MODELS.register_module()
class AudioVisualDataPreprocessor(ActionDataPreprocessor):
    """Batches frames and sound and normalises both, on the device.

    Inputs are those of `AudioDecode`: ``imgs``, ``audio`` and ``has_audio``;
    others, such as ``imgs_times`` and ``audio_times``, are stacked. ``audio``
    may also come alone. With ``AudioDecode(defer=True)`` the spectrograms are
    made here. As AST has it, a spectrogram becomes ``(x - mean) / (2 * std)``.

    Args:
        audio_mean (float): Defaults to that of AudioSet.
        audio_std (float): Defaults to that of AudioSet.
        **kwargs: For the frames, see
            ``mmaction.models.ActionDataPreprocessor``; ``blending`` is a
            config of `AudioVisualBlending`.

    Raises:
        ValueError: If a sample lacks an input, or ``sound``; it is named.
    """

    def __init__(self,
                 audio_mean: float = AUDIOSET_MEAN,
                 audio_std: float = AUDIOSET_STD,
                 **kwargs) -> None:
        super().__init__(**kwargs)
        self.audio_mean = audio_mean
        self.audio_std = audio_std

    def preprocess(self,
                   inputs: Dict[str, List[Tensor]],
                   data_samples: SampleList,
                   training: bool = False
                   ) -> Tuple[Union[Tensor, Dict[str, Tensor]], SampleList]:
        """Stack, normalise and, in training, mix.

        Args:
            inputs (dict): Lists of tensors, one per sample.
            data_samples (list): The samples.
            training (bool): Whether to mix.

        Returns:
            tuple: ``imgs`` (B, V, 3, F, H, W), ``audio`` (B, V, 1, frames,
            bins), ``has_audio`` (B, V) bool; and the samples. Of ``audio``
            alone just that tensor, for a recognizer of one input.
        """
        if isinstance(inputs, dict) and inputs.keys() == {'audio'}:
            return self._audio(inputs['audio'], data_samples), data_samples
        wanted = {'imgs', 'audio', 'has_audio'}
        if not isinstance(inputs, dict) or wanted - inputs.keys():
            raise ValueError(
                'the samples need imgs, audio and has_audio: put AudioDecode '
                'into the pipeline, and at its end collect_keys='
                "('imgs', 'audio', 'has_audio')")
        imgs, data_samples = super().preprocess(inputs['imgs'], data_samples)
        audio = self._audio(inputs['audio'], data_samples)
        has_audio = torch.stack(inputs['has_audio'])
        if training and self.blending is not None:
            imgs, audio, data_samples = self.blending(imgs, audio, has_audio,
                                                      data_samples)
        others = {
            name: torch.stack(values)
            for name, values in inputs.items() if name not in wanted
        }
        return dict(
            imgs=imgs, audio=audio, has_audio=has_audio,
            **others), data_samples

    def _audio(self, audio: List[Tensor],
               data_samples: Optional[SampleList]) -> Tensor:
        samples = data_samples or [{}] * len(audio)
        return (torch.stack([
            self._spectrograms(sound, sample.get('sound'))
            for sound, sample in zip(audio, samples)
        ]) - self.audio_mean) / (2 * self.audio_std)

    @staticmethod
    def _spectrograms(audio: Tensor, form: Optional[dict]) -> Tensor:
        if form is not None:
            return Spectrograms(**form).of(audio)
        if audio.dim() == 1:
            raise ValueError(
                'AudioDecode has left the spectrograms to the data '
                "preprocessor (defer=True): add 'sound' to the meta_keys of "
                "the pipeline's last step")
        return audio


@MODELS.register_module()
class AudioVisualBlending:
    """One of the host's blendings for frames, in step with their sound.

    A sample takes as large a box of time and frequency from the spectrogram
    of its partner as it takes of the partner's frames and labels (CutMix's
    boxes, wherever the blending of the frames is mixup). Where one of the two
    has no sound, a spectrogram stays as it is.

    Args:
        augment (dict): ``MixupBlending``, ``CutmixBlending`` or
            ``RandomBatchAugment`` of the host, as `VerbNounBlending` takes
            it.
        num_classes (int, optional): For samples with one label.
        num_verbs (int, optional): With `num_nouns`, for samples with a verb
            and a noun.
        num_nouns (int, optional): See `num_verbs`.

    Raises:
        ValueError: If neither or both kinds of label are given.
    """

    def __init__(self,
                 augment: Dict,
                 num_classes: Optional[int] = None,
                 num_verbs: Optional[int] = None,
                 num_nouns: Optional[int] = None) -> None:
        if num_classes is not None:
            self.sizes = dict(label=num_classes)
        else:
            self.sizes = dict(verb=num_verbs, noun=num_nouns)
        if None in self.sizes.values() or (num_classes and
                                           (num_verbs or num_nouns)):
            raise ValueError('AudioVisualBlending needs num_classes, or '
                             'num_verbs and num_nouns')
        # The blending itself is independent of the number of classes.
        self.augment: BaseMiniBatchBlending = MODELS.build(
            with_num_classes(augment, sum(self.sizes.values())))

    def __call__(
            self, imgs: Tensor, audio: Tensor, has_audio: Tensor,
            data_samples: SampleList) -> Tuple[Tensor, Tensor, SampleList]:
        """Blend a batch.

        Args:
            imgs (Tensor): Clips, (B, ...), float.
            audio (Tensor): Spectrograms, (B, V, 1, frames, bins), float.
            has_audio (Tensor): Whether there is sound, (B, V) bool.
            data_samples (list): With ``gt_label``, or ``gt_verb`` and
                ``gt_noun``, (1, ).

        Returns:
            tuple: Clips, spectrograms, and samples with soft labels (C, ).
        """
        # Blended as if it were the labels, the identity tells which sample
        # is made of which: (B, B), rows add up to 1. On the CPU, where it
        # was drawn.
        imgs, shares = self.augment.do_blending(imgs, torch.eye(len(imgs)))
        for task, size in self.sizes.items():
            labels = torch.cat([x.get(f'gt_{task}') for x in data_samples])
            one_hot = F.one_hot(labels, size).float()
            soft = shares.to(one_hot.device, non_blocking=True) @ one_hot
            for sample, label in zip(data_samples, soft):
                sample.set_field(label, f'gt_{task}')
        return imgs, self._paste(audio, has_audio, shares), data_samples

    @staticmethod
    def _paste(audio: Tensor, has_audio: Tensor, shares: Tensor) -> Tensor:
        taken = shares - torch.diag(shares.diagonal())
        share, partner = taken.max(dim=1)
        there = partner.to(has_audio.device, non_blocking=True)
        both = (has_audio & has_audio[there])[..., None, None, None]
        mixed = audio.clone()
        for row, (part, other) in enumerate(
                zip(share.tolist(), partner.tolist())):
            (top, bottom), (left, right) = (
                _stretch(size, part**0.5) for size in audio.shape[-2:])
            mixed[row, ..., top:bottom, left:right] = (
                audio[other, ..., top:bottom, left:right])
        return torch.where(both, mixed, audio)


def _stretch(size: int, share: float) -> Tuple[int, int]:
    """A random stretch of a share of an axis."""
    length = round(size * share)
    start = int(torch.randint(size - length + 1, ()))
    return start, start + length

