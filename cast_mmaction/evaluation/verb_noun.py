"""The figures of EPIC-KITCHENS: verbs, nouns, and actions as their pairs.

Everything here takes and gives arrays; `VerbNounMetric` is the part that
knows the runner. N samples, V verbs, M nouns.
"""
from typing import Dict, Optional, Sequence, Tuple

import numpy as np

TOP_K = (1, 5)


def log_probabilities(probabilities: np.ndarray) -> np.ndarray:
    """Logarithm with a floor, so that a class of probability 0 stays finite.

    Args:
        probabilities (np.ndarray): (N, C), each at least 0.

    Returns:
        np.ndarray: (N, C), float64.
    """
    tiny = np.finfo(np.float32).tiny
    return np.log(np.maximum(probabilities.astype(np.float64), tiny))


def _best(scores: np.ndarray, k: int) -> np.ndarray:
    """Columns of the k largest scores of every row, best first."""
    k = min(k, scores.shape[1])
    columns = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    order = np.argsort(
        -np.take_along_axis(scores, columns, axis=1), axis=1, kind='stable')
    return np.take_along_axis(columns, order, axis=1)


def rank_pairs(verb_scores: np.ndarray, noun_scores: np.ndarray,
               k: int) -> Tuple[np.ndarray, np.ndarray]:
    """The k best (verb, noun) pairs by the sum of their scores.

    Exact without building all V x M pairs: a pair among the k best has its
    verb among the k best verbs and its noun among the k best nouns.

    Args:
        verb_scores (np.ndarray): Logits or log-probabilities, (N, V).
        noun_scores (np.ndarray): Logits or log-probabilities, (N, M).
        k (int): How many.

    Returns:
        tuple[np.ndarray, np.ndarray]: Verbs and nouns, (N, k), best first.
    """
    verbs, nouns = _best(verb_scores, k), _best(noun_scores, k)
    sums = (
        np.take_along_axis(verb_scores, verbs, axis=1)[:, :, None] +
        np.take_along_axis(noun_scores, nouns, axis=1)[:, None, :])
    pairs = _best(sums.reshape(len(sums), -1), k)
    rows, columns = np.divmod(pairs, nouns.shape[1])
    return (np.take_along_axis(verbs, rows, axis=1),
            np.take_along_axis(nouns, columns, axis=1))


def _check(task: str, scores: np.ndarray, labels: np.ndarray) -> None:
    if scores.ndim != 2 or labels.shape != scores.shape[:1]:
        raise ValueError(f'{task} scores {scores.shape} and labels '
                         f'{labels.shape} do not fit: (N, C) and (N, )')
    if len(scores) == 0:
        raise ValueError('there are no samples to evaluate')
    if not np.isfinite(scores).all():
        rows = np.flatnonzero(~np.isfinite(scores).all(axis=1))
        raise ValueError(f'{task} scores of {len(rows)} rows are not finite, '
                         f'first row {rows[0]}')
    if labels.min() < 0 or labels.max() >= scores.shape[1]:
        row = np.flatnonzero((labels < 0) | (labels >= scores.shape[1]))[0]
        raise ValueError(
            f'{task} label {labels[row]} of row {row} is not one of the '
            f'{scores.shape[1]} classes of its scores: are verb and noun '
            'swapped?')
    if scores.min() >= 0 and np.allclose(scores.sum(axis=1), 1, atol=1e-3):
        raise ValueError(f'the {task} scores are probabilities, which rank '
                         'actions wrongly when added: pass '
                         'log_probabilities(scores)')


def verb_noun_accuracy(
        *,
        verb_scores: np.ndarray,
        noun_scores: np.ndarray,
        verbs: np.ndarray,
        nouns: np.ndarray,
        tail_verbs: Optional[Sequence[int]] = None,
        tail_nouns: Optional[Sequence[int]] = None,
        unseen: Optional[np.ndarray] = None,
        wrong: Optional[np.ndarray] = None) -> Dict[str, float]:
    """The official figures, in per cent. All arguments by name.

    An action is the pair of a verb and a noun; its score is the sum of theirs
    and its top-5 ranks pairs.

    Args:
        verb_scores (np.ndarray): Logits or log-probabilities, (N, V).
        noun_scores (np.ndarray): Logits or log-probabilities, (N, M).
        verbs (np.ndarray): True verbs, (N, ).
        nouns (np.ndarray): True nouns, (N, ).
        tail_verbs (Sequence[int], optional): With `tail_nouns`, adds the
            ``tail/`` figures: verbs over samples of a tail verb, nouns over
            those of a tail noun, actions over those of either.
        tail_nouns (Sequence[int], optional): See `tail_verbs`.
        unseen (np.ndarray, optional): Samples of participants who are not in
            the training set, (N, ) bool. Adds the ``unseen/`` figures.
        wrong (np.ndarray, optional): Samples that count as wrong whatever
            their scores, (N, ) bool.

    Returns:
        dict[str, float]: ``all/verb_top1``, ``all/verb_top5``, the same for
        noun and action, ``tail/verb_top1``, ... A part without samples is
        left out.

    Raises:
        ValueError: If shapes or labels do not fit, or scores are not finite
            or are probabilities.
    """
    verb_scores = np.asarray(verb_scores, np.float64)
    noun_scores = np.asarray(noun_scores, np.float64)
    verbs, nouns = np.asarray(verbs), np.asarray(nouns)
    _check('verb', verb_scores, verbs)
    _check('noun', noun_scores, nouns)
    if len(verbs) != len(nouns):
        raise ValueError(f'{len(verbs)} verbs and {len(nouns)} nouns')

    k = max(TOP_K)
    pair_verbs, pair_nouns = rank_pairs(verb_scores, noun_scores, k)
    hits = dict(  # is the truth at place 1, 2, ..., k; (N, k) bool each
        verb=_best(verb_scores, k) == verbs[:, None],
        noun=_best(noun_scores, k) == nouns[:, None],
        action=(pair_verbs == verbs[:, None]) & (pair_nouns == nouns[:, None]))
    if wrong is not None:
        for hit in hits.values():
            hit[np.asarray(wrong, bool)] = False

    parts = dict(all=dict.fromkeys(hits, np.ones(len(verbs), bool)))
    if tail_verbs is not None and tail_nouns is not None:
        is_tail_verb = np.isin(verbs, tail_verbs)
        is_tail_noun = np.isin(nouns, tail_nouns)
        parts['tail'] = dict(
            verb=is_tail_verb,
            noun=is_tail_noun,
            action=is_tail_verb | is_tail_noun)
    if unseen is not None:
        parts['unseen'] = dict.fromkeys(hits, np.asarray(unseen, bool))

    figures = {}
    for part, samples_of in parts.items():
        for task, samples in samples_of.items():
            for top in TOP_K if part == 'all' else TOP_K[:1]:
                if samples.any():
                    found = hits[task][samples, :top].any(axis=1)
                    figures[f'{part}/{task}_top{top}'] = 100 * found.mean()
    return {name: float(value) for name, value in figures.items()}


def harmonic_mean(*values: float) -> float:
    """The balance of several figures: low as soon as one of them is low."""
    if min(values) <= 0:
        return 0.
    return len(values) / sum(1 / value for value in values)


def class_f1(predictions: np.ndarray, labels: np.ndarray,
             num_classes: int) -> np.ndarray:
    """F1 of every class.

    Args:
        predictions (np.ndarray): Predicted classes, (N, ).
        labels (np.ndarray): True classes, (N, ).
        num_classes (int): Number of classes.

    Returns:
        np.ndarray: (num_classes, ), from 0 to 100; NaN for a class that is
        neither true nor predicted anywhere.
    """
    right = np.bincount(labels[predictions == labels], minlength=num_classes)
    total = (
        np.bincount(predictions, minlength=num_classes) +
        np.bincount(labels, minlength=num_classes))
    with np.errstate(invalid='ignore'):
        return 100 * 2 * right / total


def super_class_f1(f1: np.ndarray, labels: np.ndarray,
                   categories: Sequence[str]) -> Dict[str, float]:
    """F1 of every super-class: of its classes, weighted by their support.

    Args:
        f1 (np.ndarray): F1 of the classes, (C, ), as `class_f1` gives it.
        labels (np.ndarray): True classes, (N, ).
        categories (Sequence[str]): Super-class of every class, length C.

    Returns:
        dict[str, float]: Super-classes in the order of `categories`; those
        without samples are left out. Key ``'all'``: over all classes.
    """
    support = np.bincount(labels, minlength=len(categories))
    f1 = np.nan_to_num(f1)
    members = {
        name: np.array([category == name for category in categories])
        for name in dict.fromkeys(categories)
    }
    members['all'] = np.ones(len(categories), bool)
    return {
        name: float(np.average(f1[member], weights=support[member]))
        for name, member in members.items() if support[member].any()
    }
