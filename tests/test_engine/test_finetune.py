from types import SimpleNamespace

import pytest
import torch
from mmaction.registry import MODELS

from cast_mmaction.checkpoints import CheckpointError
from cast_mmaction.engine import FinetuneHook
from tests.test_checkpoints.layouts import SIZES, randomize

ONE = dict(type='CASTHead', num_classes=3)
TWO = dict(type='VerbNounHead', num_verbs=3, num_nouns=2)


def recognizer(head, **sizes):
    expert = dict(SIZES, **sizes)
    return MODELS.build(
        dict(
            type='Recognizer3D',
            backbone=dict(
                type='CAST',
                spatial=dict(type='CLIPExpert', **expert),
                temporal=dict(type='VideoMAEExpert', **expert)),
            cls_head=dict(in_channels=32, **head)))


@pytest.fixture
def source():
    model = recognizer(ONE)
    randomize(model)
    return model.state_dict()


@pytest.fixture
def finetune(tmp_path, source):
    """Starts a model from the file of ``source``; what was logged."""

    def start(model, **state):
        path = tmp_path / 'source.pth'
        torch.save(dict(state_dict=source), path)
        said = []
        runner = SimpleNamespace(
            model=model,
            iter=0,
            _resume=False,
            _has_loaded=False,
            logger=SimpleNamespace(info=lambda x, extra: said.append(x)))
        vars(runner).update(state)
        FinetuneHook(path).before_train(runner)
        return ''.join(said)

    return start


def copy_of(model):
    return {key: value.clone() for key, value in model.state_dict().items()}


@pytest.mark.parametrize('classes', [3, 5])
def test_all_but_the_classifier(finetune, source, classes):
    model = recognizer(dict(ONE, num_classes=classes))
    before = copy_of(model)
    said = finetune(model)
    for key, value in model.state_dict().items():
        fresh = key.startswith('cls_head.fc_cls')
        assert torch.equal(value, before[key] if fresh else source[key]), key
    assert said.endswith('starting anew: cls_head.fc_cls.bias, '
                         'cls_head.fc_cls.weight')


def test_from_one_label_to_two(finetune, source):
    model = recognizer(TWO)
    said = finetune(model)
    for key, value in model.backbone.state_dict().items():
        assert torch.equal(value, source[f'backbone.{key}']), key
    assert 'starting anew: cls_head.fc_noun.bias' in said
    assert 'without a place here: cls_head.fc_cls.bias' in said


def test_a_resumed_run_keeps_its_weights(finetune):
    model = recognizer(ONE)
    before = copy_of(model)
    assert finetune(model, iter=4) == ''
    assert all(torch.equal(value, before[key])
               for key, value in model.state_dict().items())


def test_another_model_is_refused(finetune):
    model = recognizer(ONE, arch=dict(SIZES['arch'], num_layers=1))
    with pytest.raises(CheckpointError, match='source.pth does not fit'):
        finetune(model)
