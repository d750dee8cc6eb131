import pytest
import torch
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample

import cast_mmaction  # noqa: F401

CLASSES = dict(num_verbs=3, num_nouns=5)


def samples(count=4):
    made = []
    for i in range(count):
        sample = ActionDataSample()
        sample.set_field(torch.tensor([i % 3]), 'gt_verb')
        sample.set_field(torch.tensor([i % 5]), 'gt_noun')
        made.append(sample)
    return made


def test_late_fusion():
    features = torch.randn(4, 6), torch.randn(4, 6)
    added, losses = MODELS.build(dict(type='LateFusion', how='add'))(features)
    assert losses == {}
    torch.testing.assert_close(added, features[0] + features[1])
    joined, _ = MODELS.build(dict(type='LateFusion', how='concat'))(
        features, data_samples=[])
    assert joined.shape == (4, 12)
    with pytest.raises(ValueError, match="'add', 'concat'"):
        MODELS.build(dict(type='LateFusion', how='mean'))


def test_late_addition_needs_equal_widths():
    neck = MODELS.build(dict(type='LateFusion', how='add'))
    with pytest.raises(ValueError, match='6 and 8'):
        neck((torch.randn(4, 6), torch.randn(4, 8)))


def ensemble():
    return MODELS.build(
        dict(type='EnsembleHead', in_channels=(6, 8), **CLASSES))


def test_an_ensemble_averages_the_probabilities_of_both_experts():
    head = ensemble()
    feats = torch.randn(4, 6), torch.randn(4, 8)
    predicted = head.predict(feats, samples())
    scores = [h(x) for h, x in zip(head.members, feats)]
    for task, pair in zip(('verb', 'noun'), zip(*scores)):
        expected = sum(x.softmax(-1) for x in pair) / 2
        actual = torch.stack([s.pred_score[task] for s in predicted])
        torch.testing.assert_close(actual, expected)


def test_the_members_of_an_ensemble_learn_alone():
    head = ensemble()
    feats = [torch.randn(4, d, requires_grad=True) for d in (6, 8)]
    losses = head.loss(tuple(feats), samples())
    assert {k for k in losses if 'loss' in k} == {
        f'{role}_loss_{task}'
        for role in ('spatial', 'temporal') for task in ('verb', 'noun')
    }
    alone = head.members[0].loss(feats[0], samples())
    assert losses['spatial_loss_verb'] == alone['loss_verb']
    losses['temporal_loss_noun'].backward()
    assert feats[0].grad is None and feats[1].grad is not None
