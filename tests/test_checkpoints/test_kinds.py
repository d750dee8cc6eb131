"""Self-supervised and fine-tuned VideoMAE are told apart."""
import pytest
import torch
from mmaction.registry import MODELS

from cast_mmaction.checkpoints import CheckpointError, kind_of
from tests.test_checkpoints.layouts import SIZES, videomae_layouts
from tests.test_checkpoints.test_pretrained import expert, saved

KIND = {
    'pre-training': 'pre-trained',
    'encoder of a pre-training': 'pre-trained',
    'fine-tuning': 'fine-tuned',
    'data-parallel': 'fine-tuned',
    'MVD pre-training': 'pre-trained',
    'MMAction2': 'fine-tuned',
}


@pytest.mark.parametrize('layout', KIND)
def test_the_kind_of_every_layout(tmp_path, layout):
    weights = videomae_layouts()[layout]
    assert kind_of(weights) == KIND[layout]
    # So does a file that this package made of it.
    own = expert('VideoMAEExpert', saved(tmp_path, weights)).state_dict()
    assert kind_of(own) == 'fine-tuned'
    without_norm = {k: v for k, v in own.items() if not k.startswith('norm.')}
    assert kind_of(without_norm) == 'pre-trained'


@pytest.mark.parametrize('layout, wanted', [
    ('fine-tuning', 'pre-trained'), ('pre-training', 'fine-tuned')])
def test_the_other_kind_is_named(tmp_path, layout, wanted):
    path = saved(tmp_path, videomae_layouts()[layout])
    with pytest.raises(CheckpointError) as error:
        expert('VideoMAEExpert', path, pretrained_kind=wanted).init_weights()
    for said in (str(path), KIND[layout], wanted, 'pretrained_kind=None'):
        assert said in str(error.value)
    for kind in (KIND[layout], None):
        expert('VideoMAEExpert', path, pretrained_kind=kind).init_weights()


def test_an_unknown_kind():
    with pytest.raises(ValueError, match="'finetuned'.*pre-trained"):
        expert('VideoMAEExpert', 'none', pretrained_kind='finetuned')


@pytest.mark.parametrize('keep', [True, False])
def test_the_read_out_norm_can_start_fresh(tmp_path, keep):
    weights = videomae_layouts()['fine-tuning']
    videomae = expert(
        'VideoMAEExpert', saved(tmp_path, weights), pretrained_norm=keep)
    videomae.init_weights()
    theirs = weights['fc_norm.weight']
    assert not torch.equal(theirs, torch.ones(32))
    assert torch.equal(videomae.norm.weight,
                       theirs if keep else torch.ones(32))
    assert torch.equal(videomae.blocks[1].mlp.fc1.weight,
                       weights['blocks.1.mlp.fc1.weight'])


def head(path, num_classes=5):
    return MODELS.build(
        dict(
            type='CASTHead',
            in_channels=32,
            num_classes=num_classes,
            pretrained=str(path)))


@pytest.mark.parametrize('prefix, name', [('', 'head'), ('module.', 'head'),
                                          ('', 'cls_head.fc_cls')])
def test_the_head_starts_from_the_classifier(tmp_path, prefix, name):
    weights = {
        k: v
        for k, v in videomae_layouts()['fine-tuning'].items()
        if not k.startswith('head.')
    }
    theirs = dict(weight=torch.randn(5, 32), bias=torch.randn(5))
    weights.update({f'{name}.{part}': v for part, v in theirs.items()})
    path = saved(
        tmp_path, {'model': {f'{prefix}{k}': v
                             for k, v in weights.items()}})
    model = head(path)
    model.init_weights()
    for part, value in theirs.items():
        assert torch.equal(getattr(model.fc_cls, part), value)


@pytest.mark.parametrize('layout, num_classes, message', [
    ('pre-training', 5, 'no classifier.*pre-trained.*cls_head.pretrained'),
    ('MMAction2', 7, r'\(5, 32\).*\(7, 32\).*cls_head.pretrained'),
])
def test_files_without_a_fitting_classifier(tmp_path, layout, num_classes,
                                            message):
    path = saved(tmp_path, videomae_layouts()[layout])
    with pytest.raises(CheckpointError, match=message) as error:
        head(path, num_classes).init_weights()
    assert str(path) in str(error.value)


def test_experts_alone_drop_whole_samples():
    videomae = MODELS.build(
        dict(type='VideoMAEExpert', drop_path_rate=.3, **SIZES))
    rates = [block.drop_path.drop_prob for block in videomae.blocks]
    assert rates == [0, .3]
    adapted = MODELS.build(
        dict(
            type='AdaptedExpert',
            expert=dict(type='VideoMAEExpert', **SIZES),
            drop_path_rate=.999999))
    clip = torch.randn(2, 3, 4, 32, 32)
    torch.manual_seed(0)
    tokens = adapted.train().encode(clip)
    first = adapted.embed(clip)
    block = adapted.blocks[0]  # the first block is never dropped
    first = first + block.attend(first)
    first = first + block.feed_forward(first)[0]
    torch.testing.assert_close(tokens, first)
    assert not torch.allclose(adapted.eval().encode(clip), first)
