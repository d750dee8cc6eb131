import json

import numpy as np
import pytest
import torch

from cast_mmaction.evaluation import ClipAccuracy, VerbNounMetric
from mmaction.structures import ActionDataSample
from .epic import golden_case


def verb_noun_sample(narration_id, verb, noun, scores, unreadable=False):
    sample = ActionDataSample(metainfo=dict(narration_id=narration_id))
    if verb is not None:
        sample.set_field(torch.tensor([verb]), 'gt_verb')
        sample.set_field(torch.tensor([noun]), 'gt_noun')
    sample.set_pred_score(scores)
    if unreadable:
        sample.set_metainfo(dict(unreadable=True))
    return sample.to_dict()


def two_class_sample(narration_id, verb, noun, likes=(0, 0), **options):
    scores = {
        task: torch.full((6, ), 0.1).index_fill(0, torch.tensor(like), 0.5)
        for task, like in zip(('verb', 'noun'), likes)
    }
    return verb_noun_sample(narration_id, verb, noun, scores, **options)


def figures_of(samples, meta=None, size=None):
    metric = VerbNounMetric()
    metric.dataset_meta = meta
    for sample in samples:
        metric.process(None, [sample])
    return metric.evaluate(size or len(samples))


def test_golden_figures_through_the_metric(shared):
    golden = json.loads((shared / 'golden/epic100_metrics.json').read_text())
    case, ids = golden_case(shared)
    scores = {
        task: torch.from_numpy(case[f'{task}_scores']).softmax(dim=1)
        for task in ('verb', 'noun')
    }
    samples = [
        verb_noun_sample(ids[i], case['verbs'][i], case['nouns'][i],
                         {task: rows[i] for task, rows in scores.items()})
        for i in range(len(ids))
    ]
    meta = dict(
        tail_verbs=case['tail_verbs'],
        tail_nouns=case['tail_nouns'],
        unseen_participants=['P18', 'P32'])
    figures = figures_of(samples, meta)
    assert next(iter(figures)) == 'all/action_top1'
    balance = figures.pop('all/harmonic_mean')
    assert figures == pytest.approx(golden['metrics'], abs=1e-4)
    assert balance == pytest.approx(52.588535, abs=1e-4)


def test_repeated_narrations_count_once():
    samples = [
        two_class_sample('P01_1_0', 0, 0),
        two_class_sample('P01_1_1', 0, 1),
        two_class_sample('P01_1_0', 0, 0),
    ]
    assert figures_of(samples)['all/action_top1'] == 50


def test_unreadable_counts_as_wrong():
    samples = [
        two_class_sample('P01_1_0', 0, 0),
        two_class_sample('P01_1_1', 0, 0, unreadable=True),
    ]
    figures = figures_of(samples)
    assert set(figures.values()) == {50}


def test_nan_scores_are_named():
    samples = [two_class_sample(f'P01_1_{i}', 0, 0) for i in range(3)]
    samples[1]['pred_score']['noun'][2] = torch.nan
    with pytest.raises(ValueError, match='noun scores.* P01_1_1'):
        figures_of(samples)


def test_samples_without_labels():
    unlabelled = two_class_sample('P01_1_0', None, None)
    assert figures_of([unlabelled]) == {}
    with pytest.raises(ValueError, match='1 of 2.*P01_1_0'):
        figures_of([unlabelled, two_class_sample('P01_1_1', 0, 0)])


def test_half_precision_scores():
    sample = two_class_sample('P01_1_0', 0, 0)
    for task, scores in sample['pred_score'].items():
        sample['pred_score'][task] = scores.bfloat16()
    assert figures_of([sample])['all/action_top1'] == 100


def clip_sample(label, scores, unreadable=False):
    sample = ActionDataSample().set_gt_label(label)
    sample.set_pred_score(torch.tensor(scores))
    if unreadable:
        sample.set_metainfo(dict(unreadable=True))
    return sample.to_dict()


@pytest.mark.parametrize('topk', [(1, ), (1, 2)])
def test_clip_accuracy_counts_unreadable_as_wrong(topk):
    metric = ClipAccuracy(metric_options=dict(top_k_accuracy=dict(topk=topk)))
    metric.process(None, [
        clip_sample(0, [.7, .2, .1]),
        clip_sample(1, [.1, .8, .1]),
        clip_sample(2, [.1, .2, .7], unreadable=True),
        clip_sample(0, [.7, .2, .1], unreadable=True),
    ])
    figures = metric.evaluate(4)
    for k in topk:
        assert figures[f'acc/top{k}'] == 0.5
    np.testing.assert_allclose(figures['acc/mean1'], 0.5)


@pytest.mark.parametrize('reasons, share', [(['', 'a.mp4: mute', '', ''], 25),
                                            ([''] * 4, 0)])
def test_share_of_missing_sound(reasons, share):
    clips, narrations = [], []
    for i, reason in enumerate(reasons):
        clips.append(clip_sample(0, [.7, .2, .1]))
        narrations.append(two_class_sample(f'P01_1_{i}', 0, 0))
        clips[-1]['missing_sound'] = narrations[-1]['missing_sound'] = reason
    metric = ClipAccuracy()
    metric.process(None, clips)
    figures = metric.evaluate(4)
    assert list(figures)[0] == 'acc/top1'  # what save_best='auto' goes by
    assert figures['acc/missing_sound'] == share
    assert figures_of(narrations)['all/missing_sound'] == share


def test_without_sound_nothing_is_said_about_it():
    metric = ClipAccuracy()
    metric.process(None, [clip_sample(0, [.7, .2, .1])])
    assert not [key for key in metric.evaluate(1) if 'sound' in key]
