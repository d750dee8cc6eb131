"""What joins two experts after their read-out (the paper's tables 1a, 1b).

Late fusion acts on read-out features ``(B, D)``, not on tokens: it is a neck
behind ``CAST(exchange=None)``, no exchange. An ensemble acts on scores: it is
a head.
"""
from typing import Dict, Optional, Sequence, Tuple, Union

import torch
from mmaction.models.heads import BaseHead
from mmaction.registry import MODELS
from mmaction.utils import SampleList
from mmengine.model import BaseModule
from torch import Tensor, nn

from .heads import VerbNounHead


@MODELS.register_module()
class LateFusion(BaseModule):
    """One feature of both streams.

    Chosen here, where the paper is silent: nothing is trained in it; the
    head's classifiers read the sum or the concatenation.

    Args:
        how: 'add' or 'concat'.
        init_cfg: As in mmengine.

    Raises:
        ValueError: if ``how`` is neither; when called, if features of
            different widths are to be added.
    """

    def __init__(self, how: str, init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg=init_cfg)
        if how not in ('add', 'concat'):
            raise ValueError(f"how={how!r}; use one of 'add', 'concat'")
        self.how = how

    def forward(self,
                feats: Tuple[Tensor, Tensor],
                data_samples: Optional[list] = None) -> Tuple[Tensor, dict]:
        """``(spatial (B, D), temporal (B, D'))`` to one feature, and no
        losses."""
        if self.how == 'concat':
            return torch.cat(tuple(feats), dim=1), dict()
        spatial, temporal = feats
        if spatial.shape != temporal.shape:
            raise ValueError(
                "LateFusion(how='add') needs features of one width, got "
                f"{spatial.shape[1]} and {temporal.shape[1]}; use 'concat'")
        return spatial + temporal, dict()


@MODELS.register_module()
class EnsembleHead(BaseHead):
    """Two experts that learn both labels alone and vote at test time.

    Each feature has classifiers of its own and losses of its own. The
    prediction is the mean of the members' probabilities.

    Args:
        in_channels: Width of the features; a pair ``(spatial, temporal)``
            where they differ.
        num_verbs: Number of verb classes.
        num_nouns: Number of noun classes.
        average_clips: See :class:`VerbNounHead`.
        **kwargs: See :class:`VerbNounHead`.
    """

    def __init__(self,
                 in_channels: Union[int, Tuple[int, int]],
                 num_verbs: int = 97,
                 num_nouns: int = 300,
                 average_clips: Optional[str] = 'prob',
                 **kwargs) -> None:
        super().__init__(
            num_verbs + num_nouns, in_channels, average_clips=average_clips)
        widths = (in_channels, ) * 2 if isinstance(in_channels,
                                                   int) else in_channels
        self.members = nn.ModuleList(
            VerbNounHead(
                width,
                num_verbs,
                num_nouns,
                average_clips=average_clips,
                **kwargs) for width in widths)

    def forward(self, feats: Sequence[Tensor], **kwargs) -> Tuple[Tensor, ...]:
        """``(spatial (B, D), temporal (B, D'))`` to the logarithms of the mean
        probabilities, ``(verb (B, num_verbs), noun (B, num_nouns))``."""
        scores = [member(x) for member, x in zip(self.members, feats)]
        return tuple(
            torch.stack(task).softmax(dim=-1).mean(dim=0).log()
            for task in zip(*scores))

    def loss(self, feats: Sequence[Tensor], data_samples: SampleList,
             **kwargs) -> Dict[str, Tensor]:
        """The losses of both members, as :class:`VerbNounHead` names them with
        'spatial_' or 'temporal_' in front."""
        return {
            f'{role}_{key}': value
            for role, member, x in zip(('spatial', 'temporal'), self.members,
                                       feats)
            for key, value in member.loss(x, data_samples).items()
        }

    def predict_by_feat(self, cls_scores: Tuple[Tensor, Tensor],
                        data_samples: SampleList) -> SampleList:
        """Averages the views per task, see :class:`VerbNounHead`."""
        return self.members[0].predict_by_feat(cls_scores, data_samples)
