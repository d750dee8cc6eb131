"""Dumped predictions of one label: read, fuse, score.

The samples of such a dump have no names: they stand in the order of the list,
and dumps of one list can be told by their labels.
"""
from typing import Dict, List, NamedTuple, Optional, Sequence

import numpy as np
import torch

from .dumps import read_samples, write_samples

TOP_K = (1, 5)


class OneLabel(NamedTuple):
    """Scores of N clips over C classes.

    Attributes:
        scores (np.ndarray): Probabilities, (N, C) float64.
        labels (np.ndarray): True classes, (N, ).
        unreadable (np.ndarray): Videos that could not be read, (N, ) bool.
    """
    scores: np.ndarray
    labels: np.ndarray
    unreadable: np.ndarray


def is_one_label(samples: Sequence[dict]) -> bool:
    """Whether samples of a dump have one label each, not a verb and a noun."""
    return not isinstance(samples[0].get('pred_score'), dict)


def load_one_label(path: str) -> OneLabel:
    """Read what ``tools/test.py --dump`` wrote of a test with one label.

    Raises:
        ValueError: If it is no such dump, or scores are not finite.
    """
    samples = read_samples(path)
    rows, labels = [], []
    for place, sample in enumerate(samples):
        score, label = sample.get('pred_score'), sample.get('gt_label')
        if score is None or isinstance(score, dict) or \
                label is None or np.asarray(label).size != 1:
            raise ValueError(f'{path}, sample {place}: expected a pred_score '
                             'over the classes and one gt_label. Is it the '
                             'dump of a test with one label?')
        rows.append(np.asarray(score, np.float64).ravel())
        labels.append(int(np.asarray(label).ravel()[0]))
    if len({len(row) for row in rows}) != 1:
        raise ValueError(f'{path}: scores over different numbers of classes')
    scores, truth = np.stack(rows), np.array(labels)
    if not np.isfinite(scores).all():
        bad = np.flatnonzero(~np.isfinite(scores).all(axis=1))
        raise ValueError(f'{path}: the scores of {len(bad)} samples are NaN '
                         f'or infinite, first sample {bad[0]}')
    if truth.min() < 0 or truth.max() >= scores.shape[1]:
        raise ValueError(f'{path}: label {truth.max()} is not one of the '
                         f'{scores.shape[1]} classes of the scores')
    unreadable = [bool(sample.get('unreadable')) for sample in samples]
    return OneLabel(scores, truth, np.array(unreadable))


def fuse_one_label(parts: Sequence[OneLabel],
                   weights: Optional[Sequence[float]] = None) -> OneLabel:
    """Weighted mean of the probabilities of several models.

    Args:
        parts (Sequence[OneLabel]): Tests on one list, in one order.
        weights (Sequence[float], optional): One per model, at least 0.
            Defaults to None, equal ones.

    Raises:
        ValueError: If lists, classes or weights do not fit.
    """
    first = parts[0]
    for number, part in enumerate(parts[1:], 2):
        if part.scores.shape != first.scores.shape:
            raise ValueError(
                f'model {number} has scores {part.scores.shape}, model 1 '
                f'{first.scores.shape}: other samples or classes')
        differ = np.flatnonzero(part.labels != first.labels)
        if len(differ):
            raise ValueError(
                f'model {number} and model 1 were tested on different lists: '
                f'{len(differ)} labels differ, first that of sample '
                f'{differ[0]}')
    shares = np.ones(len(parts)) if weights is None else np.array(weights)
    if len(shares) != len(parts) or shares.min() < 0 or shares.sum() <= 0:
        raise ValueError(f'weights {list(shares)}: expected {len(parts)} '
                         'numbers from 0, not all 0')
    shares = shares / shares.sum()
    return OneLabel(
        sum(share * part.scores for share, part in zip(shares, parts)),
        first.labels, np.all([part.unreadable for part in parts], axis=0))


def score_one_label(predictions: OneLabel) -> Dict[str, float]:
    """``top1``, ``top5`` and ``mean_class`` (top-1, averaged over the classes
    that have samples), in per cent."""
    scores, labels, unreadable = predictions
    truth = scores[np.arange(len(labels)), labels]
    place = (scores > truth[:, None]).sum(axis=1)
    place = np.where(unreadable, max(TOP_K), place)  # wrong by any
    figures = {f'top{k}': 100 * float((place < k).mean()) for k in TOP_K}
    classes = np.unique(labels)
    figures['mean_class'] = 100 * float(
        np.mean([(place[labels == x] == 0).mean() for x in classes]))
    return figures


def write_one_label(path: str,
                    predictions: OneLabel,
                    names: Optional[Dict[str, List[str]]] = None) -> None:
    """Write predictions in the form of ``tools/test.py --dump``."""
    write_samples(path, [
        dict(
            pred_score=torch.from_numpy(score).float(),
            gt_label=torch.tensor([int(label)]),
            unreadable=bool(unreadable))
        for score, label, unreadable in zip(*predictions)
    ], names)
