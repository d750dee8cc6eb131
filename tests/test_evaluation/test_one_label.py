"""Dumps of one label, fused as those of two."""
import runpy
import sys

import numpy as np
import pytest
import torch

from cast_mmaction.evaluation.dumps import (DumpPlainResults, read_names,
                                            read_samples, write_samples)
from cast_mmaction.evaluation.one_label import (OneLabel, fuse_one_label,
                                                load_one_label,
                                                score_one_label,
                                                write_one_label)
from tests.conftest import ROOT

NAMES = dict(classes=['run', 'jump', 'swim'])
LABELS = [0, 1, 2, 1]
# The truth of each is first, second, third and first.
SCORES = [[.6, .3, .1], [.5, .4, .1], [.6, .3, .1], [.2, .7, .1]]


def model(scores=SCORES, labels=LABELS, unreadable=(False, ) * 4):
    return OneLabel(
        np.array(scores, float), np.array(labels), np.array(unreadable))


def test_the_names_of_the_classes_are_in_a_dump(tmp_path):
    """Of the data set, beside what the host writes."""
    path = str(tmp_path / 'a.pkl')
    metric = DumpPlainResults(path)
    metric.dataset_meta = dict(NAMES, dataset='toy', tail_verbs=[1])
    metric.process({}, [dict(pred_score=torch.ones(3), gt_label=[1])])
    metric.evaluate(1)
    for file in (path, str(tmp_path / 'a.npz')):
        assert read_names(file) == dict(label=NAMES['classes'])
        assert read_samples(file)[0]['gt_label'] == [1]
    write_samples(path, [dict(pred_score=torch.ones(3))])
    assert read_names(path) == {}
    (tmp_path / 'a.npz').unlink()
    assert read_names(path) == {}  # of a dump of the host itself


def test_damaged_names_are_refused(tmp_path):
    (tmp_path / 'a.npz').write_bytes(b'PK\x03\x04 no archive')
    with pytest.raises(ValueError, match='a.npz: damaged'):
        read_names(str(tmp_path / 'a.pkl'))


def test_figures():
    assert score_one_label(model()) == dict(
        top1=50., top5=100., mean_class=pytest.approx(100 * (1 + .5) / 3))
    unread = model(unreadable=[True, False, False, False])
    assert score_one_label(unread)['top1'] == 25.
    assert score_one_label(unread)['top5'] == 75.


def test_the_weighted_mean_of_probabilities():
    other = model(np.roll(SCORES, 1, axis=1), unreadable=[True] * 4)
    fused = fuse_one_label([model(), other], [3, 1])
    np.testing.assert_allclose(
        fused.scores,
        .75 * np.array(SCORES) + .25 * np.roll(SCORES, 1, axis=1))
    assert not fused.unreadable.any()  # one of the two has read them
    equal = fuse_one_label([model(), other]).scores
    np.testing.assert_allclose(
        equal, fuse_one_label([model(), other], [2, 2]).scores)


@pytest.mark.parametrize('other, weights, message', [
    (model(labels=[0, 1, 2, 2]), None, 'sample 3'),
    (model(SCORES[:3], LABELS[:3], [False] * 3), None, 'other samples'),
    (model(), [1], 'expected 2 numbers'),
    (model(), [0, 0], 'not all 0'),
])
def test_what_does_not_fit_is_refused(other, weights, message):
    with pytest.raises(ValueError, match=message):
        fuse_one_label([model(), other], weights)


@pytest.mark.parametrize('sample, message', [
    (dict(pred_score=torch.ones(3)), 'gt_label'),
    (dict(pred_score=torch.tensor([1., float('nan')]),
          gt_label=torch.tensor([0])), 'NaN'),
    (dict(pred_score=torch.ones(3), gt_label=torch.tensor([7])), 'label 7'),
])
def test_other_dumps_are_refused(tmp_path, sample, message):
    path = str(tmp_path / 'a.pkl')
    write_samples(path, [sample])
    with pytest.raises(ValueError, match=f'a.pkl.*{message}'):
        load_one_label(path)


def test_the_tool(tmp_path, monkeypatch, capsys):
    """Two dumps to one, which the tool reads again; names stay."""

    def run(*words):
        tool = str(ROOT / 'tools/results/fuse_results.py')
        monkeypatch.setattr(sys, 'argv', [tool, *map(str, words)])
        runpy.run_path(tool, run_name='__main__')
        return capsys.readouterr().out

    paths = [tmp_path / 'a.pkl', tmp_path / 'b.pkl']
    for path in paths:
        write_one_label(str(path), model(), NAMES)
    fused = tmp_path / 'fused.pkl'
    out = run(*paths, '--weights', 1, 2, '--out', fused)
    assert 'top1                  50.00' in out
    assert run(fused) == out
    assert read_names(str(fused)) == dict(label=NAMES['classes'])
    with pytest.raises(SystemExit, match='--weights and --out alone'):
        run(*paths, '--verb-weights', 1, 2)
