import pytest
import torch

from cast_mmaction.models.blending import VerbNounBlending
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample

MIXUP = dict(type='MixupBlending', alpha=0.8)


def batch(size=6):
    """Clips whose value tells verb and noun: sample i is i, verb i, noun i+1."""
    clips = torch.arange(size).float().view(-1, 1, 1, 1, 1, 1)
    samples = []
    for i in range(size):
        sample = ActionDataSample()
        sample.set_field(torch.tensor([i]), 'gt_verb')
        sample.set_field(torch.tensor([i + 1]), 'gt_noun')
        samples.append(sample)
    return clips.expand(size, 1, 3, 2, 4, 4).clone(), samples


@pytest.mark.parametrize('config', [
    MIXUP,
    dict(type='CutmixBlending', alpha=1.),
    dict(type='RandomBatchAugment', augments=MIXUP, probs=0.9),
    dict(type='RandomBatchAugment', augments=[MIXUP], probs=[1.]),
])
def test_clip_verb_and_noun_share_one_lambda(config):
    torch.manual_seed(0)
    blend = MODELS.build(
        dict(
            type='VerbNounBlending',
            augment=config,
            num_verbs=6,
            num_nouns=9))
    for _ in range(5):
        clips, samples = blend(*batch())
        for clip, sample in zip(clips, samples):
            assert sample.gt_verb.shape == (6, )
            assert sample.gt_noun.shape == (9, )
            torch.testing.assert_close(sample.gt_noun[1:7], sample.gt_verb)
            # The mean of a clip is that of its labels, in the same shares.
            expected = (sample.gt_verb * torch.arange(6)).sum()
            torch.testing.assert_close(clip.mean(), expected)


def test_probability_zero_changes_nothing():
    blend = VerbNounBlending(
        dict(type='RandomBatchAugment', augments=MIXUP, probs=0.),
        num_verbs=6,
        num_nouns=9)
    expected, _ = batch()
    clips, samples = blend(*batch())
    assert torch.equal(clips, expected)
    assert samples[2].gt_verb.tolist() == [0, 0, 1, 0, 0, 0]


def test_label_of_another_set_is_an_error():
    blend = VerbNounBlending(MIXUP, num_verbs=3, num_nouns=9)
    with pytest.raises(RuntimeError):
        blend(*batch())
