import numpy as np
import pytest

from cast_mmaction.evaluation.f1_report import f1_report
from cast_mmaction.evaluation.predictions import Predictions

CLASSES = dict(
    verb=dict(names=['take', 'put', 'cut'], categories=['a', 'a', 'b']),
    noun=dict(names=['tap', 'cup'], categories=['c', 'd']))


def test_classes_weigh_by_support_and_unreadable_videos_are_no_class():
    verb = np.eye(3)[[0, 0, 1, 2]]
    noun = np.eye(2)[[0, 0, 0, 1]]
    predictions = Predictions(['1', '2', '3', '4'], verb, noun,
                              np.array([False, False, False, True]))
    labels = {'1': (0, 0), '2': (1, 0), '3': (1, 0), '4': (2, 1)}
    rows = {(r.task, r.level, r.name): r
            for r in f1_report(predictions, labels, CLASSES)}
    two_thirds = pytest.approx(200 / 3)
    assert rows['verb', 'class', 'take'].f1 == two_thirds
    assert rows['verb', 'class', 'put'].f1 == two_thirds
    assert rows['verb', 'class', 'cut'].f1 == 0  # only the unreadable one
    assert rows['verb', 'super-class', 'a'] == ('verb', 'super-class', 'a', 3,
                                                two_thirds)
    assert rows['verb', 'all', 'all'].f1 == pytest.approx(50)
    assert rows['noun', 'class', 'tap'].f1 == 100
    assert rows['noun', 'all', 'all'].f1 == pytest.approx(75)


def test_classes_without_samples_are_left_out():
    predictions = Predictions(['1'], np.eye(3)[[2]], np.eye(2)[[0]],
                              np.array([False]))
    rows = f1_report(predictions, {'1': (0, 0)}, CLASSES)
    assert [r.name for r in rows if r.level == 'class'] == ['take', 'tap']
