"""Heads over one feature or a (spatial, temporal) pair of features.

All give float32 scores whatever the precision of the model, because the
host's accuracy code cannot read bfloat16.
"""
from typing import Dict, List, Optional, Sequence, Tuple, Union

import torch
import torch.nn.functional as F
from mmaction.models.heads import BaseHead
from mmaction.registry import MODELS
from mmaction.utils import SampleList
from torch import Tensor, nn

from ..checkpoints import load_classifier
from ..compat.heads import topk_accuracies
from .adapters import Adapter, init_linear

Features = Union[Tensor, Sequence[Tensor], Dict[str, Tensor]]


@MODELS.register_module()
class CASTHead(BaseHead):
    """One label from both streams (CAST, eq. 7).

    ``Z = ADAP(spatial) + ADAP(temporal)``, then one Linear.

    Args:
        in_channels: Width of the features; a pair ``(spatial, temporal)``
            where they differ, the sum then has the spatial width.
        num_classes: Number of classes.
        adapter_ratio: Bottleneck of the adapters as a share of the width.
        pretrained: A file whose classifier the one here starts from: that of
            a fine-tuned VideoMAE, as the authors' code takes it over. None
            for a new one.
        average_clips: How scores of several views become one: 'prob'
            (softmax, then mean), 'score' or None.
        **kwargs: See ``mmaction.models.BaseHead`` (``label_smooth_eps``,
            ``loss_cls``, ``topk``, ...).
    """

    def __init__(self,
                 in_channels: Union[int, Tuple[int, int]],
                 num_classes: int,
                 adapter_ratio: float = 0.25,
                 pretrained: Optional[str] = None,
                 average_clips: Optional[str] = 'prob',
                 **kwargs) -> None:
        super().__init__(
            num_classes, in_channels, average_clips=average_clips, **kwargs)
        self.pretrained = pretrained
        spatial_dims, temporal_dims = _pair(in_channels)
        self.spatial_adapter = Adapter(spatial_dims, adapter_ratio)
        self.temporal_adapter = Adapter(
            temporal_dims, adapter_ratio, out_dims=spatial_dims)
        self.fc_cls = nn.Linear(spatial_dims, num_classes)
        init_linear(self.fc_cls)

    def init_weights(self) -> None:
        """Loads ``pretrained``. Runs after construction and before a resume,
        where the runner calls it.

        Raises:
            CheckpointError: naming the file, if it holds no classifier, or
                one of other sizes.
        """
        super().init_weights()
        if self.pretrained is not None:
            load_classifier(self.fc_cls, self.pretrained)

    def forward(self, feats: Tuple[Tensor, Tensor], **kwargs) -> Tensor:
        """``(spatial (B, D), temporal (B, D)) -> (B, num_classes)``."""
        spatial, temporal = _unnamed(feats)
        z = self.spatial_adapter(spatial) + self.temporal_adapter(temporal)
        return self.fc_cls(z).float()


@MODELS.register_module()
class LinearHead(BaseHead):
    """One label from one feature: dropout and a Linear.

    Args:
        in_channels: Width of the feature.
        num_classes: Number of classes.
        dropout_ratio: Dropout before the classifier.
        init_std: Deviation of the normal distribution that the weights start
            from, with biases of zero; None for PyTorch's start of a Linear.
        average_clips: See :class:`CASTHead`.
        **kwargs: See ``mmaction.models.BaseHead``.
    """

    def __init__(self,
                 in_channels: int,
                 num_classes: int,
                 dropout_ratio: float = 0.,
                 init_std: Optional[float] = 0.02,
                 average_clips: Optional[str] = 'prob',
                 **kwargs) -> None:
        super().__init__(
            num_classes, in_channels, average_clips=average_clips, **kwargs)
        self.dropout = nn.Dropout(dropout_ratio)
        self.fc_cls = nn.Linear(in_channels, num_classes)
        if init_std is not None:
            init_linear(self.fc_cls, std=init_std)

    def forward(self, feats: Tensor, **kwargs) -> Tensor:
        """``(B, D)``, or maps ``(B, D, T, H, W)`` that are averaged, to
        ``(B, num_classes)``."""
        return self.fc_cls(self.dropout(_pool(feats))).float()


@MODELS.register_module()
class VerbNounHead(BaseHead):
    """Two labels: the noun from the spatial feature, the verb from the
    temporal one (CAST, section 3.3), or both from one feature.

    Serves any backbone: a pair of features, one feature ``(B, D)``, maps
    ``(B, C, T, H, W)``, which are averaged, maps of single frames
    ``(B * frames, C, H, W)`` as ``Recognizer2D`` makes them, which are
    averaged over a sample's frames, too, or maps with a class token, which
    is read.

    Args:
        in_channels: Width of the feature(s); a pair ``(spatial, temporal)``
            where they differ. With ``concat``, the summed width.
        num_verbs: Number of verb classes.
        num_nouns: Number of noun classes.
        concat: Read both labels from the concatenation of all features, as
            suits two-pathway networks such as SlowFast.
        dropout_ratio: Dropout before the classifiers.
        verb_weight: Weight of the verb loss.
        noun_weight: Weight of the noun loss.
        average_clips: See :class:`CASTHead`; applied per task.
        **kwargs: See ``mmaction.models.BaseHead``.
    """

    def __init__(self,
                 in_channels: Union[int, Tuple[int, int]],
                 num_verbs: int = 97,
                 num_nouns: int = 300,
                 concat: bool = False,
                 dropout_ratio: float = 0.,
                 verb_weight: float = 1.,
                 noun_weight: float = 1.,
                 average_clips: Optional[str] = 'prob',
                 **kwargs) -> None:
        super().__init__(
            num_verbs + num_nouns,
            in_channels,
            average_clips=average_clips,
            **kwargs)
        spatial_dims, temporal_dims = _pair(in_channels)
        self.concat = concat
        self.loss_weights = dict(verb=verb_weight, noun=noun_weight)
        self.dropout = nn.Dropout(dropout_ratio)
        self.fc_verb = nn.Linear(temporal_dims, num_verbs)
        self.fc_noun = nn.Linear(spatial_dims, num_nouns)
        init_linear(self.fc_verb)
        init_linear(self.fc_noun)

    def loss(self, feats: Features, data_samples: SampleList,
             **kwargs) -> Dict[str, Tensor]:
        """The losses of a batch, see :meth:`loss_by_feat`."""
        return super().loss(
            feats, data_samples, num_samples=len(data_samples), **kwargs)

    def predict(self, feats: Features, data_samples: SampleList,
                **kwargs) -> SampleList:
        """The scores of a batch, see :meth:`predict_by_feat`."""
        return super().predict(
            feats, data_samples, num_samples=len(data_samples), **kwargs)

    def forward(self,
                feats: Features,
                num_samples: Optional[int] = None,
                num_segs: Optional[int] = None,
                **kwargs) -> Tuple[Tensor, Tensor]:
        """Features to logits.

        Args:
            feats: See above.
            num_samples: Samples B of the batch.
            num_segs: ``Recognizer2D`` gives it: the features are of frames.

        Returns:
            ``(verb (B, num_verbs), noun (B, num_nouns))``.
        """
        spatial, temporal = self._read(feats, num_segs and num_samples)
        return (self.fc_verb(self.dropout(temporal)).float(),
                self.fc_noun(self.dropout(spatial)).float())

    def _read(self, feats: Features,
              num_samples: Optional[int]) -> Tuple[Tensor, Tensor]:
        feats = [feats] if isinstance(feats, Tensor) else _unnamed(feats)
        # MViT gives [maps, class token] for every stage.
        feats = [x if isinstance(x, Tensor) else x[-1] for x in feats]
        feats = [_pool(x) for x in feats]
        if num_samples is not None:
            feats = [x.view(num_samples, -1, x.shape[1]).mean(1)
                     for x in feats]
        if self.concat:
            feats = [torch.cat(feats, dim=1)]
        if len(feats) > 2:
            raise ValueError(f'VerbNounHead got {len(feats)} features; set '
                             'concat=True to read from all of them')
        return feats[0], feats[-1]

    def loss_by_feat(self, cls_scores: Tuple[Tensor, Tensor],
                     data_samples: SampleList) -> Dict[str, Tensor]:
        """Cross-entropy of both tasks.

        Args:
            cls_scores: Logits as :meth:`forward` gives them.
            data_samples: Each with ``gt_verb`` and ``gt_noun``: a class
                index ``(1,)``, or a distribution over the classes ``(C,)``.

        Returns:
            ``loss_verb``, ``loss_noun``, and ``verb_top1_acc`` and so on
            for every k of ``topk``; of a blended clip the class with the
            larger share counts.
        """
        losses = {}
        for task, scores in zip(('verb', 'noun'), cls_scores):
            labels = torch.stack([x.get(f'gt_{task}') for x in data_samples])
            # (B, 1) or (B, C)
            labels = labels.to(scores.device, non_blocking=True)
            num_classes = scores.shape[1]
            if not labels.is_floating_point():
                labels = F.one_hot(labels[:, 0], num_classes)
            accuracies = topk_accuracies(scores, labels.argmax(1), self.topk)
            losses.update({
                f'{task}_top{k}_acc': x
                for k, x in accuracies.items()
            })
            labels = ((1 - self.label_smooth_eps) * labels.float() +
                      self.label_smooth_eps / num_classes)
            losses[f'loss_{task}'] = (
                self.loss_weights[task] * self.loss_cls(scores, labels))
        return losses

    def predict_by_feat(self, cls_scores: Tuple[Tensor, Tensor],
                        data_samples: SampleList) -> SampleList:
        """Averages the views per task.

        Returns:
            The data samples with ``pred_score = dict(verb=(num_verbs,),
            noun=(num_nouns,))``.
        """
        num_views = cls_scores[0].shape[0] // len(data_samples)
        verbs, nouns = (
            self.average_clip(x, num_segs=num_views) for x in cls_scores)
        for sample, verb, noun in zip(data_samples, verbs, nouns):
            sample.set_pred_score(dict(verb=verb, noun=noun))
        return data_samples


def _unnamed(feats: Features) -> List[Tensor]:
    """Features in their order, those of ``CAST(experts=...)`` too."""
    if isinstance(feats, dict):
        return [x for name, x in feats.items() if name[:4] != 'has_']
    return list(feats)


def _pool(x: Tensor) -> Tensor:
    """``(B, C, T, H, W)`` or ``(B, C, H, W)`` to ``(B, C)``; ``(B, C)``
    stays."""
    return x.mean(dim=tuple(range(2, x.dim()))) if x.dim() > 2 else x


def _pair(dims: Union[int, Tuple[int, int]]) -> Tuple[int, int]:
    return (dims, dims) if isinstance(dims, int) else tuple(dims)
