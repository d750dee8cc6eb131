import json
import resource
import time

import numpy as np
import pytest

from cast_mmaction.evaluation import (class_f1, harmonic_mean,
                                      log_probabilities, super_class_f1,
                                      verb_noun_accuracy)
from cast_mmaction.evaluation.verb_noun import rank_pairs
from .epic import golden_case


def made_up(num_samples=40, num_verbs=8, num_nouns=11, seed=0):
    rng = np.random.RandomState(seed)
    return dict(
        verb_scores=rng.randn(num_samples, num_verbs),
        noun_scores=rng.randn(num_samples, num_nouns),
        verbs=rng.randint(num_verbs, size=num_samples),
        nouns=rng.randint(num_nouns, size=num_samples))


def test_golden_figures_in_time_and_memory(shared):
    golden = json.loads((shared / 'golden/epic100_metrics.json').read_text())
    arguments, _ = golden_case(shared)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    figures = verb_noun_accuracy(**arguments)
    assert time.perf_counter() - start < 2
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 2 * 1024**2  # kB
    assert figures == pytest.approx(golden['metrics'], abs=1e-4)


def test_swapped_labels_cannot_pass(shared):
    arguments, _ = golden_case(shared)
    arguments['verbs'], arguments['nouns'] = (arguments['nouns'],
                                              arguments['verbs'])
    with pytest.raises(ValueError, match='verb label .* swapped'):
        verb_noun_accuracy(**arguments)


def test_labels_cannot_be_given_by_position():
    with pytest.raises(TypeError):
        verb_noun_accuracy(*made_up().values())


def test_pairs_are_ranked_as_if_all_were_built():
    case = made_up(num_samples=200, num_verbs=7, num_nouns=3)
    verbs, nouns = rank_pairs(case['verb_scores'], case['noun_scores'], 5)
    sums = case['verb_scores'][:, :, None] + case['noun_scores'][:, None]
    expected = np.argsort(-sums.reshape(200, -1), axis=1)[:, :5]
    np.testing.assert_array_equal(verbs * 3 + nouns, expected)


def test_figures_of_probabilities_are_those_of_logits():
    case = made_up()
    expected = verb_noun_accuracy(**case)
    for task in ('verb_scores', 'noun_scores'):
        scores = np.exp(case[task])
        case[task] = scores / scores.sum(axis=1, keepdims=True)
    with pytest.raises(ValueError, match='log_probabilities'):
        verb_noun_accuracy(**case)
    for task in ('verb_scores', 'noun_scores'):
        case[task] = log_probabilities(case[task])
    assert verb_noun_accuracy(**case) == expected


def test_only_what_is_known_appears():
    figures = verb_noun_accuracy(**made_up())
    assert len(figures) == 6
    assert all(name.startswith('all/') for name in figures)
    figures = verb_noun_accuracy(
        **made_up(), tail_verbs=[99], tail_nouns=[0], unseen=np.zeros(40))
    assert 'tail/noun_top1' in figures
    assert 'tail/verb_top1' not in figures
    assert 'unseen/verb_top1' not in figures


def test_samples_marked_wrong_are_wrong():
    case = made_up()
    case['verb_scores'] = 9. * np.eye(8)[case['verbs']]
    case['noun_scores'] = 9. * np.eye(11)[case['nouns']]
    assert set(verb_noun_accuracy(**case).values()) == {100.}
    figures = verb_noun_accuracy(**case, wrong=np.arange(40) < 10)
    assert set(figures.values()) == {75.}


def test_equal_scores_are_not_all_right():
    case = made_up(num_samples=500)
    case['verb_scores'][:], case['noun_scores'][:] = 0, 0
    assert verb_noun_accuracy(**case)['all/action_top1'] < 10


@pytest.mark.parametrize('change, message', [
    (dict(verb_scores=np.full((40, 8), np.nan)), 'verb.*finite, first row 0'),
    (dict(nouns=np.full(40, 11)), 'noun label 11 of row 0'),
    (dict(nouns=np.zeros(39, int)), 'noun scores .* do not fit'),
    (dict(
        verb_scores=np.zeros((0, 8)), verbs=np.zeros(0, int)), 'no samples'),
])
def test_bad_input_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        verb_noun_accuracy(**{**made_up(), **change})


def test_harmonic_mean():
    assert harmonic_mean(60, 30) == pytest.approx(40)
    assert harmonic_mean(0, 30) == 0


def test_f1_of_classes_and_super_classes():
    labels = np.array([0, 0, 0, 1, 2, 2])
    predictions = np.array([0, 0, 1, 1, 0, 3])
    f1 = class_f1(predictions, labels, 5)
    np.testing.assert_allclose(f1, [200 / 3, 200 / 3, 0, 0, np.nan])
    found = super_class_f1(f1, labels, ['a', 'b', 'b', 'a', 'c'])
    assert found == pytest.approx({
        'a': 200 / 3,
        'b': 200 / 9,
        'all': 400 / 9
    })
