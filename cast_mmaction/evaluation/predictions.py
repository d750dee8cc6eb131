"""Dumped predictions of EPIC-KITCHENS-100: read, check, fuse, hand in.

A `Predictions` holds log-probabilities, because those of several models and
the official scorer (which applies a softmax) both need them.
"""
import json
import pickle
import zipfile
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import torch

from ..atomic_write import atomic_write
from .dumps import read_samples, write_samples
from .verb_noun import (harmonic_mean, log_probabilities,
                        verb_noun_accuracy)

TASKS = ('verb', 'noun')
NUM_CLASSES = dict(verb=97, noun=300)
SUBMISSION_VERSION = '0.2'
# Supervision levels, 0 to 5: pre-training, training labels, training data.
SUPERVISION = ('sls_pt', 'sls_tl', 'sls_td')


class Predictions(NamedTuple):
    """Scores of N narrations.

    Attributes:
        narration_ids (list[str]): Length N.
        verb (np.ndarray): Log-probabilities, (N, V) float64.
        noun (np.ndarray): Log-probabilities, (N, M) float64.
        unreadable (np.ndarray): Videos that could not be read, (N, ) bool.
    """
    narration_ids: List[str]
    verb: np.ndarray
    noun: np.ndarray
    unreadable: np.ndarray


def from_probabilities(source: str, ids: Sequence[str],
                       probabilities: Dict[str, Sequence[np.ndarray]],
                       unreadable: Sequence[bool]) -> Predictions:
    """Check and collect the outputs of a model.

    Args:
        source (str): Where they are from, for the error.
        ids (Sequence[str]): Narration ids, length N.
        probabilities (dict): For ``verb`` and ``noun``, N arrays (C, ).
        unreadable (Sequence[bool]): Length N.

    Raises:
        ValueError: If scores are of several sizes, not finite (the
            narrations are named) or not probabilities.
    """
    logs = {}
    for task in TASKS:
        sizes = sorted({np.shape(row) for row in probabilities[task]})
        if len(sizes) != 1:
            raise ValueError(f'{source}: {task} scores of sizes {sizes}')
        scores = np.asarray(probabilities[task], np.float64)
        # Checked before the logarithm, whose floor would hide them.
        _check_finite(source, task, scores, ids)
        if scores.min() < 0:
            raise ValueError(f'{source}: {task} scores are not '
                             "probabilities; test with the head's "
                             "average_clips='prob'")
        logs[task] = log_probabilities(scores)
    return Predictions(
        list(ids), unreadable=np.array(unreadable, bool), **logs)


def load_dump(path: str) -> Predictions:
    """Read what ``tools/test.py --dump`` wrote.

    Args:
        path (str): The ``.pkl``, or the ``.npz`` beside it.

    Raises:
        ValueError: If it is not a dump of verb and noun probabilities.
    """
    samples = read_samples(path)
    for place, sample in enumerate(samples):
        scores = sample.get('pred_score')
        if not isinstance(sample.get('narration_id'), str) or not isinstance(
                scores, dict) or set(scores) != set(TASKS):
            raise ValueError(
                f'{path}, sample {place}: expected a narration_id and a '
                'pred_score with verb and noun. The dump must come from a '
                'model with VerbNounHead and an EpicKitchensDataset')
    return from_probabilities(
        path, [sample['narration_id'] for sample in samples], {
            task:
            [np.asarray(sample['pred_score'][task]) for sample in samples]
            for task in TASKS
        }, [sample.get('unreadable', False) for sample in samples])


def _check_finite(source: str, task: str, scores: np.ndarray,
                  ids: Sequence[str]) -> None:
    bad = np.flatnonzero(~np.isfinite(scores).all(axis=1))
    if len(bad):
        raise ValueError(f'{source}: {task} scores of {len(bad)} narrations '
                         f'are NaN or infinite: {_some(ids[i] for i in bad)}')


def _some(names) -> str:
    names = list(names)
    return ', '.join(names[:5]) + (', ...' if len(names) > 5 else '')


def check_complete(source: str, predictions: Predictions,
                   expected_ids: Sequence[str],
                   num_classes: Optional[Dict[str, int]] = None) -> None:
    """Every expected narration once, with all classes, all finite.

    Args:
        source (str): Where the predictions are from, for the error.
        predictions (Predictions): To check.
        expected_ids (Sequence[str]): The narrations of the split.
        num_classes (dict, optional): Classes by task. Defaults to 97 verbs
            and 300 nouns.

    Raises:
        ValueError: Naming the narrations.
    """
    ids, expected = predictions.narration_ids, set(expected_ids)
    missing = [name for name in expected_ids if name not in set(ids)]
    extra = [name for name in ids if name not in expected]
    problems = []
    if missing:
        problems.append(f'{len(missing)} missing ({_some(missing)})')
    if extra:
        problems.append(f'{len(extra)} that do not belong there '
                        f'({_some(extra)})')
    if len(set(ids)) < len(ids):
        seen: set = set()
        twice = [i for i in ids if i in seen or seen.add(i)]
        problems.append(f'{len(twice)} more than once ({_some(twice)})')
    if problems:
        hint = ('; are these the results of another split?'
                if len(missing) == len(expected) else '')
        raise ValueError(f'{source}: of {len(expected)} narrations, '
                         f'{"; ".join(problems)}{hint}')
    for task, count in (num_classes or NUM_CLASSES).items():
        scores = getattr(predictions, task)
        if scores.shape != (len(ids), count):
            raise ValueError(f'{source}: {task} scores {scores.shape}, '
                             f'expected {len(ids)} x {count}')
        _check_finite(source, task, scores, ids)


def fuse(parts: Sequence[Predictions],
         weights: Dict[str, Sequence[float]]) -> Predictions:
    """Weighted mean of the probabilities of several models, per task.

    Args:
        parts (Sequence[Predictions]): Of the same narrations, in any order.
        weights (dict[str, Sequence[float]]): For ``verb`` and ``noun``, one
            number per model, at least 0.

    Raises:
        ValueError: If narrations, classes or weights do not fit.
    """
    ids = parts[0].narration_ids
    sizes = {task: getattr(parts[0], task).shape[1] for task in TASKS}
    fused = {}
    for number, part in enumerate(parts, 1):
        check_complete(f'model {number}', part, ids, sizes)
    orders = [_order(part, ids) for part in parts]
    for task in TASKS:
        shares = np.asarray(weights[task], float)
        if (len(shares) != len(parts) or shares.min() < 0
                or shares.sum() <= 0):
            raise ValueError(f'{task} weights {list(weights[task])}: expected '
                             f'{len(parts)} numbers from 0, not all 0')
        shares = shares / shares.sum()
        fused[task] = log_probabilities(
            sum(share * np.exp(getattr(part, task)[order])
                for share, part, order in zip(shares, parts, orders)))
    # What one model could not read, the others still may have.
    unreadable = np.all(
        [part.unreadable[order] for part, order in zip(parts, orders)],
        axis=0)
    return Predictions(list(ids), unreadable=unreadable, **fused)


def _order(predictions: Predictions, ids: Sequence[str]) -> List[int]:
    places = {name: i for i, name in enumerate(predictions.narration_ids)}
    return [places[name] for name in ids]


def score(predictions: Predictions, labels: Dict[str, Tuple[int, int]],
          meta: Dict) -> Dict[str, float]:
    """The official figures of predictions.

    Args:
        predictions (Predictions): Complete (`check_complete`).
        labels (dict[str, tuple]): Narration id -> ``(verb, noun)``.
        meta (dict): Optionally ``tail_verbs``, ``tail_nouns`` and
            ``unseen_participants``.

    Returns:
        dict[str, float]: See `verb_noun_accuracy`; and
        ``all/harmonic_mean``, that of verb and noun top-1: their balance.
    """
    truth = np.array([labels[name] for name in predictions.narration_ids])
    unseen = meta.get('unseen_participants')
    if unseen is not None:
        unseen = np.array([
            name.split('_')[0] in unseen
            for name in predictions.narration_ids
        ])
    figures = verb_noun_accuracy(
        verb_scores=predictions.verb,
        noun_scores=predictions.noun,
        verbs=truth[:, 0],
        nouns=truth[:, 1],
        tail_verbs=meta.get('tail_verbs'),
        tail_nouns=meta.get('tail_nouns'),
        unseen=unseen,
        wrong=predictions.unreadable)
    figures['all/harmonic_mean'] = harmonic_mean(figures['all/verb_top1'],
                                                 figures['all/noun_top1'])
    return figures


def write_dump(path: str,
               predictions: Predictions,
               names: Optional[Dict[str, List[str]]] = None) -> None:
    """Write predictions in the form of ``tools/test.py --dump``: a ``.pkl``
    and, beside it, an ``.npz``, with the names of the classes if they are
    given (see :func:`write_samples`)."""
    samples = [
        dict(
            narration_id=name,
            unreadable=bool(unreadable),
            pred_score=dict(
                verb=torch.from_numpy(np.exp(verb)).float(),
                noun=torch.from_numpy(np.exp(noun)).float()))
        for name, verb, noun, unreadable in zip(*predictions[:3],
                                                predictions.unreadable)
    ]
    write_samples(path, samples, names)


def write_official_pickle(path: str, predictions: Predictions) -> None:
    """Write the ``.pkl`` that the organisers' evaluation script reads."""
    content = dict(
        narration_id=np.array(predictions.narration_ids),
        verb_output=predictions.verb.astype(np.float32),
        noun_output=predictions.noun.astype(np.float32))
    with atomic_write(path) as temporary, open(temporary, 'wb') as file:
        pickle.dump(content, file)


def write_submission(path: str, predictions: Predictions,
                     supervision: Dict[str, int]) -> None:
    """Write the zip for the leaderboard.

    Args:
        path (str): The zip file; it appears whole or not at all.
        predictions (Predictions): Complete (`check_complete`).
        supervision (dict[str, int]): ``sls_pt``, ``sls_tl`` and ``sls_td``,
            each from 0 to 5.

    Raises:
        ValueError: If a supervision level is missing or wrong.
    """
    for name in SUPERVISION:
        if supervision.get(name) not in range(6):
            raise ValueError(f'{name} must be 0 to 5, but got '
                             f'{supervision.get(name)}')
    # Seven decimals hold all that a float32 knows.
    rows = {task: np.round(getattr(predictions, task), 7) for task in TASKS}
    content = dict(
        version=SUBMISSION_VERSION,
        challenge='action_recognition',
        **{name: supervision[name]
           for name in SUPERVISION},
        results={
            name: {
                task: dict(zip(map(str, range(rows[task].shape[1])),
                               rows[task][place].tolist()))
                for task in TASKS
            }
            for place, name in enumerate(predictions.narration_ids)
        })
    with atomic_write(path) as temporary:
        with zipfile.ZipFile(temporary, 'w', zipfile.ZIP_DEFLATED) as file:
            file.writestr('test.json', json.dumps(content))
