"""The figures of EPIC-SOUNDS, and of other sets of uneven classes.

N samples, C classes.
"""
from typing import Dict, List

import numpy as np
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

    def compute_metrics(self, results: List[Dict]) -> Dict[str, float]:
        """See the class."""
        figures = super().compute_metrics(results)
        missing = figures.pop('missing_sound', None)
        figures = {key: 100 * float(x) for key, x in figures.items()}
        scores = np.stack([x['pred'] for x in results]).astype(np.float64)
        labels = np.array([x['label'] for x in results])
        of_classes = [(scores[:, i], labels == i) for i in np.unique(labels)]
        figures['mAP'] = 100 * float(
            np.mean([average_precision(*x) for x in of_classes]))
        if len(of_classes) > 1:  # else there are no negative samples
            figures['mAUC'] = 100 * float(
                np.mean([area_under_roc(*x) for x in of_classes]))
        if missing is not None:
            figures['missing_sound'] = missing
        return figures
