"""F1 of every verb, noun and super-class (CAST, figures 5 and 11 to 14)."""
from typing import Dict, List, NamedTuple, Sequence, Tuple

import numpy as np

from .predictions import TASKS, Predictions
from .verb_noun import class_f1, super_class_f1


class F1Row(NamedTuple):
    """One line of the report.

    Attributes:
        task: 'verb' or 'noun'.
        level: 'class', 'super-class' or 'all'.
        name: Of the class or super-class; 'all' over all classes.
        support: Samples of it.
        f1: From 0 to 100; over several classes, weighted by support.
    """
    task: str
    level: str
    name: str
    support: int
    f1: float


def f1_report(predictions: Predictions, labels: Dict[str, Tuple[int, int]],
              classes: Dict[str, Dict[str, Sequence[str]]]) -> List[F1Row]:
    """F1 of all classes that have samples, and of their super-classes.

    Args:
        predictions: Complete; an unreadable video is predicted as no class.
        labels: Narration id -> ``(verb, noun)``.
        classes: By task, ``names`` and ``categories`` of every class, as
            ``read_classes`` gives them.
    """
    truth = np.array([labels[name] for name in predictions.narration_ids])
    rows = []
    for column, task in enumerate(TASKS):
        names, categories = (
            classes[task][key] for key in ('names', 'categories'))
        true, none = truth[:, column], len(names)
        predicted = getattr(predictions, task).argmax(axis=1)
        predicted = np.where(predictions.unreadable, none, predicted)
        f1 = class_f1(predicted, true, none + 1)[:none]
        support = np.bincount(true, minlength=none)
        rows += [
            F1Row(task, 'class', name, int(count), float(value))
            for name, count, value in zip(names, support, f1) if count
        ]
        categories = np.array(categories)
        for name, value in super_class_f1(f1, true, list(categories)).items():
            if name == 'all':
                rows.append(F1Row(task, 'all', name, len(true), value))
            else:
                count = int(support[categories == name].sum())
                rows.append(F1Row(task, 'super-class', name, count, value))
    return rows
