import json
import pickle
import zipfile

import mmengine
import numpy as np
import pytest
import torch

from cast_mmaction.evaluation.predictions import (check_complete, fuse,
                                                  load_dump, score, write_dump,
                                                  write_official_pickle,
                                                  write_submission)
from tests.submission import read_submission

LEVELS = dict(sls_pt=2, sls_tl=3, sls_td=4)


def samples_of(ids, num_verbs=97, num_nouns=300, seed=0):
    """A dump of made-up probabilities."""
    generator = torch.Generator().manual_seed(seed)

    def probabilities(count):
        return torch.randn(count, generator=generator).mul(2).softmax(0)

    return [
        dict(
            narration_id=name,
            pred_score=dict(
                verb=probabilities(num_verbs), noun=probabilities(num_nouns)))
        for name in ids
    ]


@pytest.fixture
def dump(tmp_path):

    def write(samples, name='dump.pkl'):
        mmengine.dump(samples, str(tmp_path / name))
        return str(tmp_path / name)

    return write


def test_submission_has_the_official_form(dump, tmp_path):
    predictions = load_dump(dump(samples_of(['P01_1_0', 'P01_1_1'])))
    path = str(tmp_path / 'out.zip')
    write_submission(path, predictions, LEVELS)
    with zipfile.ZipFile(path) as file:
        assert file.namelist() == ['test.json']
        content = json.loads(file.read('test.json'))
    results = content.pop('results')
    assert content == dict(
        version='0.2', challenge='action_recognition', **LEVELS)
    assert list(results) == ['P01_1_0', 'P01_1_1']
    row = results['P01_1_1']
    assert set(row) == {'verb', 'noun'}
    assert list(row['verb']) == [str(i) for i in range(97)]
    assert list(row['noun']) == [str(i) for i in range(300)]
    # Log-probabilities: the scorer's softmax gives back what was dumped.
    found = torch.tensor(list(row['noun'].values())).softmax(0)
    expected = samples_of(['P01_1_0', 'P01_1_1'])[1]['pred_score']['noun']
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-7)


@pytest.mark.slow
def test_full_size_round_trip_keeps_the_figures(dump, tmp_path):
    rng = np.random.RandomState(0)
    ids = [f'P{i % 40:02d}_{i // 40}_{i}' for i in range(9668)]
    sizes = dict(verb=97, noun=300)
    truth = {
        task: rng.randint(size, size=len(ids))
        for task, size in sizes.items()
    }
    samples = [dict(narration_id=name, pred_score={}) for name in ids]
    for task, size in sizes.items():
        logits = 2 * rng.randn(len(ids), size)
        logits[np.arange(len(ids)), truth[task]] += 4
        rows = torch.from_numpy(logits).softmax(dim=1).float()
        for sample, row in zip(samples, rows.unbind()):
            sample['pred_score'][task] = row.clone()
    predictions = load_dump(dump(samples))
    labels = dict(zip(ids, zip(truth['verb'], truth['noun'])))
    meta = dict(
        tail_verbs=range(10, 97),
        tail_nouns=range(56, 300),
        unseen_participants=['P03', 'P18'])
    expected = score(predictions, labels, meta)
    assert len(expected) == 13 and expected['all/action_top1'] > 5
    path = str(tmp_path / 'out.zip')
    write_submission(path, predictions, LEVELS)
    back = read_submission(path)
    check_complete(path, back, ids)
    assert score(back, labels, meta) == expected


def test_pickle_of_the_organisers(dump, tmp_path):
    predictions = load_dump(dump(samples_of(['P01_1_0', 'P01_1_1'])))
    path = tmp_path / 'official.pkl'
    write_official_pickle(str(path), predictions)
    content = pickle.loads(path.read_bytes())
    assert content['verb_output'].shape == (2, 97)
    assert content['noun_output'].shape == (2, 300)
    assert content['noun_output'].dtype == np.float32
    assert content['narration_id'].tolist() == ['P01_1_0', 'P01_1_1']


def test_dump_round_trip(dump, tmp_path):
    samples = samples_of(['a', 'b'])
    samples[1]['unreadable'] = True
    predictions = load_dump(dump(samples))
    write_dump(str(tmp_path / 'again.pkl'), predictions)
    again = load_dump(str(tmp_path / 'again.pkl'))
    assert again.narration_ids == ['a', 'b']
    assert again.unreadable.tolist() == [False, True]
    np.testing.assert_allclose(again.verb, predictions.verb, atol=1e-6)


@pytest.mark.parametrize('ids, message', [
    (['a'], r'of 3 narrations, 2 missing \(b, c\)$'),
    (['a', 'b', 'c', 'x'], r'1 that do not belong there \(x\)'),
    (['a', 'b', 'c', 'b'], r'1 more than once \(b\)'),
    (['x', 'y', 'z'], 'results of another split'),
])
def test_narrations_are_named(dump, ids, message):
    predictions = load_dump(dump(samples_of(ids)))
    with pytest.raises(ValueError, match=f'dump.pkl: .*{message}'):
        check_complete('dump.pkl', predictions, ['a', 'b', 'c'])


def test_classes_must_be_complete(dump):
    predictions = load_dump(dump(samples_of(['a'], num_nouns=299)))
    with pytest.raises(ValueError, match='noun scores .1, 299.'):
        check_complete('dump.pkl', predictions, ['a'])


def test_swapped_scores_are_an_error(dump):
    samples = samples_of(['a'])
    scores = samples[0]['pred_score']
    scores['verb'], scores['noun'] = scores['noun'], scores['verb']
    with pytest.raises(ValueError, match=r'verb scores \(1, 300\)'):
        check_complete('dump.pkl', load_dump(dump(samples)), ['a'])


def test_bad_scores_are_named(dump):
    samples = samples_of(['a', 'b'])
    samples[1]['pred_score']['noun'][7] = torch.nan
    with pytest.raises(ValueError, match='dump.pkl: noun .*infinite: b'):
        load_dump(dump(samples))
    samples = samples_of(['a'])
    samples[0]['pred_score']['verb'] -= 1
    with pytest.raises(ValueError, match='verb scores are not probabilities'):
        load_dump(dump(samples))
    with pytest.raises(ValueError, match='sample 0.*VerbNounHead'):
        load_dump(dump([dict(pred_score=torch.ones(3))]))


def test_supervision_levels_are_checked(dump, tmp_path):
    predictions = load_dump(dump(samples_of(['a'])))
    with pytest.raises(ValueError, match='sls_tl must be 0 to 5'):
        write_submission(
            str(tmp_path / 'x.zip'), predictions, dict(LEVELS, sls_tl=6))
    assert not list(tmp_path.glob('x.zip*'))


def test_fusion_is_a_weighted_mean_per_task(dump):
    first = load_dump(dump(samples_of(['a', 'b']), 'first.pkl'))
    second = load_dump(dump(samples_of(['b', 'a'], seed=1), 'second.pkl'))
    fused = fuse([first, second], dict(verb=[1, 3], noun=[1, 0]))
    np.testing.assert_allclose(
        np.exp(fused.verb[0]),
        0.25 * np.exp(first.verb[0]) + 0.75 * np.exp(second.verb[1]))
    np.testing.assert_allclose(fused.noun, first.noun)


@pytest.mark.parametrize('weights', [[1], [1, -1], [0, 0]])
def test_wrong_weights_are_named(dump, weights):
    part = load_dump(dump(samples_of(['a'])))
    with pytest.raises(ValueError, match='verb weights.*2 numbers'):
        fuse([part, part], dict(verb=weights, noun=[1, 1]))


def test_models_of_other_narrations_are_named(dump):
    first = load_dump(dump(samples_of(['a', 'b']), 'first.pkl'))
    second = load_dump(dump(samples_of(['a', 'c']), 'second.pkl'))
    with pytest.raises(ValueError, match='model 2.*missing .b.*c'):
        fuse([first, second], dict(verb=[1, 1], noun=[1, 1]))


def test_unreadable_for_one_model_may_be_readable_for_another(dump):
    samples = samples_of(['a', 'b'])
    second = load_dump(dump(samples_of(['a', 'b'], seed=1)))
    for sample in samples:
        sample['unreadable'] = True
    first = load_dump(dump(samples))
    weights = dict(verb=[1, 1], noun=[1, 1])
    assert not fuse([first, second], weights).unreadable.any()
    assert fuse([first, first], weights).unreadable.all()
