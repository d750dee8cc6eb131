import numpy as np
import pytest
import torch

from cast_mmaction.evaluation import EpicSoundsMetric
from cast_mmaction.evaluation.epic_sounds import (area_under_roc,
                                                  average_precision)
from mmaction.structures import ActionDataSample


def by_hand(scores, positive):
    """Precision-recall and pairs, straight from their definitions."""
    found, recall = 0., 0.
    for threshold in sorted(set(scores), reverse=True):
        chosen = scores >= threshold
        new = (chosen & positive).sum() / positive.sum()
        found += (new - recall) * (chosen & positive).sum() / chosen.sum()
        recall = new
    pairs = [(a > b) + (a == b) / 2 for a in scores[positive]
             for b in scores[~positive]]
    return found, np.mean(pairs)


@pytest.mark.parametrize('levels', [4, 1000])
def test_figures_of_a_class(levels):
    random = np.random.RandomState(0)
    for _ in range(5):
        scores = random.randint(levels, size=60) / levels
        positive = random.rand(60) < 0.2
        expected = by_hand(scores, positive)
        assert average_precision(scores, positive) == pytest.approx(
            expected[0])
        assert area_under_roc(scores, positive) == pytest.approx(expected[1])


def test_best_and_worst():
    scores, positive = np.array([.9, .8, .2, .1]), np.array([1, 1, 0, 0], bool)
    assert average_precision(scores, positive) == 1
    assert area_under_roc(scores, positive) == 1
    assert area_under_roc(-scores, positive) == 0


def sample(label, scores, **meta):
    result = ActionDataSample(metainfo=dict(missing_sound='', **meta))
    if label is not None:
        result.set_gt_label(label)
    return result.set_pred_score(torch.tensor(scores)).to_dict()


def test_through_the_metric():
    metric = EpicSoundsMetric()
    samples = [
        sample(0, [.6, .3, .1, 0.]),
        sample(0, [.2, .7, .1, 0.]),
        sample(0, [.5, .2, .3, 0.]),
        sample(2, [.4, .5, .1, 0.]),
        sample(2, [.1, .1, .8, 0.]),
    ]
    metric.process(None, samples)
    figures = metric.evaluate(5)
    assert list(figures)[0] == 'acc/top1'
    assert figures['acc/top1'] == pytest.approx(60)
    assert figures['acc/top5'] == pytest.approx(100)
    # Of the two classes that have samples.
    assert figures['acc/mean1'] == pytest.approx((200 / 3 + 50) / 2)
    scores = np.array([x['pred_score'].numpy() for x in samples])
    labels = np.array([0, 0, 0, 2, 2])
    expected = np.mean(
        [by_hand(scores[:, i], labels == i) for i in (0, 2)], axis=0)
    assert figures['acc/mAP'] == pytest.approx(100 * expected[0])
    assert figures['acc/mAUC'] == pytest.approx(100 * expected[1])
    assert figures['acc/missing_sound'] == 0


def test_unreadable_is_ranked_last():
    metric = EpicSoundsMetric()
    metric.process(None, [
        sample(0, [.9, .1], unreadable=True),
        sample(0, [.8, .2]),
        sample(1, [.3, .7])
    ])
    figures = metric.evaluate(3)
    assert figures['acc/top1'] == pytest.approx(200 / 3)
    # Of class 0: one before and one after the only other.
    assert figures['acc/mAUC'] == pytest.approx((50 + 100) / 2)


def test_split_without_labels():
    metric = EpicSoundsMetric()
    metric.process(None, [sample(None, [.9, .1])])
    assert metric.compute_metrics(metric.results) == {}
