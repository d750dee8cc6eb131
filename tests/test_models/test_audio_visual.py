import numpy as np
import pytest
import torch

from cast_mmaction.models.audio_visual import AUDIOSET_MEAN, AUDIOSET_STD
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample
from mmengine.dataset import pseudo_collate

MIXUP = dict(type='MixupBlending', alpha=0.8)


def batch_of(size=4, views=1, missing=(), verb_noun=False):
    """Sample i is i everywhere, in frames and in sound."""
    batch = []
    for i in range(size):
        sample = ActionDataSample(metainfo=dict(missing_sound=''))
        if verb_noun:
            sample.set_field(torch.tensor([i]), 'gt_verb')
            sample.set_field(torch.tensor([i + 1]), 'gt_noun')
        else:
            sample.set_gt_label(i)
        inputs = dict(
            imgs=torch.full((views, 3, 4, 8, 8), i, dtype=torch.uint8),
            audio=torch.full((views, 1, 50, 20), float(i)),
            has_audio=torch.full((views, ), i not in missing))
        batch.append(dict(inputs=inputs, data_samples=sample))
    return pseudo_collate(batch)


def preprocessor(blending=None, **options):
    options = dict(
        dict(mean=[0.] * 3, std=[1.] * 3, format_shape='NCTHW'), **options)
    return MODELS.build(
        dict(
            type='AudioVisualDataPreprocessor', blending=blending, **options))


def test_normalises_both():
    data = preprocessor(mean=[1.] * 3, std=[2.] * 3)(batch_of(views=6))
    inputs = data['inputs']
    assert inputs['imgs'].shape == (4, 6, 3, 4, 8, 8)
    assert inputs['audio'].shape == (4, 6, 1, 50, 20)
    assert inputs['has_audio'].shape == (4, 6)
    assert inputs['has_audio'].dtype == torch.bool
    for i in range(4):
        assert (inputs['imgs'][i] == (i - 1) / 2).all()
        expected = (i - AUDIOSET_MEAN) / (2 * AUDIOSET_STD)
        assert inputs['audio'][i].flatten().tolist() == pytest.approx(
            [expected] * 6000)


def test_frames_alone_are_refused():
    data = dict(
        inputs=[torch.zeros(1, 3, 4, 8, 8)], data_samples=[None])
    with pytest.raises(ValueError, match='put AudioDecode into the pipeline'):
        preprocessor()(data)


def test_sound_alone():
    batch = batch_of(views=2)
    batch['inputs'] = dict(audio=batch['inputs']['audio'])
    audio = preprocessor()(batch)['inputs']
    assert audio.shape == (4, 2, 1, 50, 20)
    assert audio[3, 0, 0, 0, 0].item() == pytest.approx(
        (3 - AUDIOSET_MEAN) / (2 * AUDIOSET_STD))


def mixed(blending, seed=2, **options):
    torch.manual_seed(seed)
    np.random.seed(seed)
    # Spectrograms stay what they are: i everywhere.
    model = preprocessor(
        dict(type='AudioVisualBlending', augment=MIXUP, **blending),
        audio_mean=0.,
        audio_std=0.5)
    return model(batch_of(**options), training=True)


@pytest.mark.parametrize('verb_noun', [False, True])
def test_mixes_frames_sound_and_labels_in_step(verb_noun):
    sizes = dict(num_verbs=4, num_nouns=6) if verb_noun else dict(
        num_classes=4)
    data = mixed(sizes, verb_noun=verb_noun)
    moved = 0
    for i in range(4):
        sample = data['data_samples'][i]
        label = sample.gt_verb if verb_noun else sample.gt_label
        assert label.sum() == pytest.approx(1)
        if verb_noun:
            assert torch.equal(sample.gt_noun[1:5], label)
        # The label says what the frames are made of ...
        frames = data['inputs']['imgs'][i]
        assert frames.flatten().tolist() == pytest.approx(
            [float(label @ torch.arange(4.))] * frames.numel(), abs=1e-5)
        # ... and the sound, as far as whole places allow.
        sound = data['inputs']['audio'][i].flatten()
        shares = torch.bincount(sound.long(), minlength=4) / sound.numel()
        assert shares.tolist() == pytest.approx(label.tolist(), abs=0.06)
        moved += int(shares[i] < 1)
    assert moved >= 2


def test_sound_is_taken_as_a_box():
    data = mixed(dict(num_classes=4))
    for i in range(4):
        other = data['inputs']['audio'][i, 0, 0] != i
        box = other.any(dim=1)[:, None] & other.any(dim=0)
        assert torch.equal(other, box)


def test_missing_sound_is_mixed_with_nothing():
    data = mixed(dict(num_classes=4), missing=(0, 1, 2))
    has_audio = data['inputs']['has_audio']
    assert has_audio[:, 0].tolist() == [False, False, False, True]
    for i in range(4):
        assert (data['inputs']['audio'][i] == i).all()
    assert any(x.gt_label.max() < 1 for x in data['data_samples'])


def test_nothing_is_mixed_in_evaluation():
    model = preprocessor(
        dict(type='AudioVisualBlending', augment=MIXUP, num_classes=4))
    data = model(batch_of(), training=False)
    assert data['data_samples'][2].gt_label.tolist() == [2]


def test_sometimes_nothing_is_mixed():
    augment = dict(type='RandomBatchAugment', augments=MIXUP, probs=0.)
    model = preprocessor(
        dict(type='AudioVisualBlending', augment=augment, num_classes=4),
        audio_mean=0.,
        audio_std=0.5)
    data = model(batch_of(), training=True)
    assert (data['inputs']['audio'][3] == 3).all()
    assert data['data_samples'][3].gt_label.tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize('sizes', [
    {}, dict(num_verbs=3), dict(num_classes=3, num_verbs=3, num_nouns=3)
])
def test_labels_of_one_kind(sizes):
    with pytest.raises(ValueError, match='num_classes, or num_verbs'):
        MODELS.build(
            dict(type='AudioVisualBlending', augment=MIXUP, **sizes))


@pytest.mark.parametrize('kind', ['MixupBlending', 'CutmixBlending'])
def test_shares_are_known_where_the_clips_are_not(kind):
    """On a device; 'meta' can be indexed and computed with, but not read."""
    blending = MODELS.build(
        dict(
            type='AudioVisualBlending',
            num_classes=4,
            augment=dict(type=kind, alpha=0.8)))
    batch = batch_of()['data_samples']
    for sample in batch:
        sample.gt_label = sample.gt_label.to('meta')
    inputs = (torch.empty(4, 3, 2, 8, 8), torch.empty(4, 1, 1, 50, 20),
              torch.ones(4, 1, dtype=torch.bool))
    imgs, audio, batch = blending(*(x.to('meta') for x in inputs), batch)
    assert imgs.shape == inputs[0].shape and audio.shape == inputs[1].shape
    assert [x.gt_label.shape for x in batch] == [(4, )] * 4
