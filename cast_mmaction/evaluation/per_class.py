"""Which classes a model knows, and which it takes for which."""
from typing import Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from ..class_names import OFFICIAL, read_class_names
from ..datasets.epic_annotations import read_narrations
from .dumps import read_names, read_samples
from .one_label import is_one_label, load_one_label
from .predictions import NUM_CLASSES, TASKS, load_dump
from .verb_noun import class_f1


class Answers(NamedTuple):
    """What N clips were taken for, and what they are.

    Attributes:
        predicted (np.ndarray): Classes, (N, ); C where a video could not be
            read.
        truth (np.ndarray): Classes, (N, ).
        names (list[str]): Of the C classes.
    """
    predicted: np.ndarray
    truth: np.ndarray
    names: List[str]


def read_answers(path: str,
                 annotations: Optional[str] = None) -> Dict[str, Answers]:
    """The answers in a dump.

    Names are those in the dump, else those of EPIC-KITCHENS-100 if the
    numbers of classes are its, else numbers.

    Args:
        path (str): What ``tools/test.py --dump`` or ``fuse_results.py`` wrote.
        annotations (str, optional): List of the split, for dumps of verbs and
            nouns without labels. Defaults to None.

    Returns:
        dict[str, Answers]: By task: 'label', or 'verb' and 'noun'.

    Raises:
        ValueError: If it is no dump, or the labels are neither in it nor in
            the annotations.
    """
    samples = read_samples(path)
    if is_one_label(samples):
        part = load_one_label(path)
        predicted = {'label': (part.scores, part.unreadable)}
        truth = {'label': part.labels}
    else:
        dump = load_dump(path)
        predicted = {
            task: (getattr(dump, task), dump.unreadable)
            for task in TASKS
        }
        truth = _verbs_and_nouns(path, samples, annotations, {
            task: scores.shape[1]
            for task, (scores, _) in predicted.items()
        })
    names = read_names(path)
    sizes = {task: x.shape[1] for task, (x, _) in predicted.items()}
    if not names and sizes == NUM_CLASSES:
        names = dict(
            zip(TASKS, (read_class_names(x) for x in OFFICIAL.values())))
    return {
        task: Answers(
            np.where(unreadable, sizes[task], scores.argmax(axis=1)),
            truth[task],
            names.get(task) or [f'class {i}' for i in range(sizes[task])])
        for task, (scores, unreadable) in predicted.items()
    }


def _verbs_and_nouns(path: str, samples: List[dict],
                     annotations: Optional[str],
                     sizes: Dict[str, int]) -> Dict[str, np.ndarray]:
    if annotations:
        rows = read_narrations(annotations, sizes['verb'], sizes['noun'])
        labels = {row.narration_id: (row.verb, row.noun) for row in rows}
        pairs = [labels.get(x['narration_id'], (None, None)) for x in samples]
    else:
        pairs = [(x.get('gt_verb'), x.get('gt_noun')) for x in samples]
    for sample, pair in zip(samples, pairs):
        if None in pair:
            where = annotations or 'it'
            raise ValueError(f'{path}: {where} holds no labels of '
                             f'{sample["narration_id"]}; give --annotations, '
                             'the list of the split')
    truth = np.array([[int(np.asarray(x).ravel()[0]) for x in pair]
                      for pair in pairs])
    return dict(zip(TASKS, truth.T))


def confusion(answers: Answers) -> np.ndarray:
    """Share of the clips of a class (row) that are taken for a class (column),
    per cent, (C, C); rows without clips are NaN, and unreadable videos are
    in no column."""
    count = len(answers.names)
    table = np.zeros((count, count + 1))
    np.add.at(table, (answers.truth, answers.predicted), 1)
    total = table.sum(axis=1, keepdims=True)
    with np.errstate(invalid='ignore'):
        return 100 * table[:, :count] / total


def most_frequent(answers: Answers, count: int) -> np.ndarray:
    """The classes with the most clips, in the order of the classes."""
    support = np.bincount(answers.truth, minlength=len(answers.names))
    best = np.argsort(-support, kind='stable')[:count]
    return np.sort(best[support[best] > 0])


def most_confused(answers: Answers,
                  count: int) -> List[Tuple[str, str, int, float]]:
    """Class, what it is taken for, how many of its clips, and per cent of
    them; the most clips first."""
    size = len(answers.names)
    table = np.zeros((size, size + 1), int)
    np.add.at(table, (answers.truth, answers.predicted), 1)
    total = table.sum(axis=1)
    wrong = table[:, :size].copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind='stable')[:count]
    return [(answers.names[i], answers.names[j], int(wrong[i, j]),
             100 * wrong[i, j] / total[i])
            for i, j in zip(*np.unravel_index(order, wrong.shape))
            if wrong[i, j]]


def f1_of(answers: Answers) -> np.ndarray:
    """F1 of every class, (C, ), 0 to 100; NaN without clips and answers."""
    count = len(answers.names)
    return class_f1(answers.predicted, answers.truth, count + 1)[:count]


def f1_differences(one: Answers, other: Answers,
                   count: int) -> List[Tuple[str, float, int]]:
    """Where two models differ most (CAST, figures 11 to 14).

    Args:
        one (Answers): Of a model.
        other (Answers): Of another one, on the same clips.
        count (int): How many classes to give on either side.

    Returns:
        list[tuple[str, float, int]]: Class, F1 of the other minus F1 of the
        one, clips; from the largest gain to the largest loss.

    Raises:
        ValueError: If the two are not of the same clips.
    """
    if len(one.names) != len(other.names) or not np.array_equal(
            np.sort(one.truth), np.sort(other.truth)):
        raise ValueError('two dumps are compared that are not of the same '
                         'clips and classes')
    support = np.bincount(one.truth, minlength=len(one.names))
    change = np.nan_to_num(f1_of(other)) - np.nan_to_num(f1_of(one))
    order = [i for i in np.argsort(-change, kind='stable') if support[i]]
    if len(order) > 2 * count:
        order = order[:count] + order[-count:]
    return [(one.names[i], float(change[i]), int(support[i])) for i in order]
