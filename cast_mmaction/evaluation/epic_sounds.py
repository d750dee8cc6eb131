"""The figures of EPIC-SOUNDS, and of other sets of uneven classes.

N samples, C classes.
"""
from typing import Any, Dict, Iterable, List, Sequence

import numpy as np
from mmengine.logging import print_log
from scipy.stats import rankdata

from mmaction.registry import METRICS
from .metrics import ClipAccuracy


def average_precision(scores: np.ndarray, positive: np.ndarray) -> float:
    """Precision at every positive sample, best score first, averaged.

    Samples of equal score are taken together.

    Args:
        scores (np.ndarray): (N, ).
        positive (np.ndarray): (N, ) bool, some of them True.
    """
    order = np.argsort(-scores, kind='stable')
    scores, positive = scores[order], positive[order]
    last = np.append(scores[1:] != scores[:-1], True)  # of equals
    found = positive.cumsum()[last]
    precision = found / (np.flatnonzero(last) + 1)
    recalled = np.diff(found, prepend=0) / positive.sum()
    return float((precision * recalled).sum())


def area_under_roc(scores: np.ndarray, positive: np.ndarray) -> float:
    """How often a positive sample has a higher score than a negative one.

    Equal scores count half.

    Args:
        scores (np.ndarray): (N, ).
        positive (np.ndarray): (N, ) bool, some of them True and some False.
    """
    count = positive.sum()
    lower = rankdata(scores)[positive].sum() - count * (count + 1) / 2
    return float(lower / (count * (len(scores) - count)))


@METRICS.register_module()
class EpicSoundsMetric(ClipAccuracy):
    """Top-1, top-5, mean class accuracy, mAP and mAUC, in per cent.

    Keys ``acc/top1``, ``acc/top5``, ``acc/mean1``, ``acc/mAP``,
    ``acc/mAUC``, and ``acc/missing_sound`` as `ClipAccuracy` gives it.
    Each class is set against all others; classes without samples do not
    count. Samples without a label (test split) give no figures.

    Args:
        **kwargs: See ``mmaction.evaluation.AccMetric``.
    """

    def process(self, data_batch: Any, data_samples: Sequence[Dict]) -> None:
        """Store scores and labels; samples without a label are left out."""
        super().process(data_batch,
                        [x for x in data_samples if 'gt_label' in x])

    def compute_metrics(self, results: List[Dict]) -> Dict[str, float]:
        """See the class."""
        if not results:
            print_log('no sample has a label: nothing to score', 'current')
            return {}
        figures = super().compute_metrics(results)
        share = figures.pop('missing_sound', None)
        figures = {key: 100 * float(x) for key, x in figures.items()}
        scores = np.stack([x['pred'] for x in results]).astype(np.float64)
        labels = np.array([x['label'] for x in results])
        classes = np.unique(labels)
        hits = scores.argmax(axis=1) == labels
        # The host counts classes that are only predicted as 0.
        figures['mean1'] = _mean(hits[labels == i].mean() for i in classes)
        figures['mAP'] = _mean(
            average_precision(scores[:, i], labels == i) for i in classes)
        if len(classes) > 1:  # else there are no negative samples
            figures['mAUC'] = _mean(
                area_under_roc(scores[:, i], labels == i) for i in classes)
        if share is not None:
            figures['missing_sound'] = share
        return figures


def _mean(values: Iterable[float]) -> float:
    """Of shares, in per cent."""
    return 100 * float(np.mean(list(values)))
