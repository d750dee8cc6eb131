"""Sizes that differ are named before a run starts."""
import copy

import pytest
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.runner import Runner

from cast_mmaction.engine.sizes import (SizesHook, check_classes, check_model,
                                        state_classes)
from tests.conftest import ROOT
from tests.toy import toy_config

CONFIGS = sorted((ROOT / 'configs').glob('*/*.py')) + sorted(
    (ROOT / 'configs').glob('cast/ablations/*.py'))
CONFIGS = [x for x in CONFIGS if x.parent.name not in ('_base_', 'models')]
TINY = dict(embed_dims=16, num_layers=1, num_heads=2)


@pytest.mark.parametrize('path', CONFIGS, ids=lambda x: x.stem)
def test_every_config_agrees_with_itself(path):
    check_classes(Config.fromfile(path))


@pytest.fixture
def k400():
    return Config.fromfile(ROOT / 'configs/cast_k400.py')


@pytest.fixture
def ek100():
    return Config.fromfile(ROOT / 'configs/cast_ek100.py')


@pytest.mark.parametrize('key, message', [
    ('model.cls_head.num_classes',
     'blending.augments.num_classes=400, but model.cls_head.num_classes=10'),
    ('val_dataloader.dataset.num_classes',
     'val_dataloader.dataset.num_classes=10, but model.cls_head.*=400'),
    ('test_evaluator.num_classes',
     'test_evaluator.num_classes=10, but model.cls_head.num_classes=400'),
])
def test_other_classes(k400, key, message):
    k400.merge_from_dict({key: 10})
    with pytest.raises(ValueError, match=message):
        check_classes(k400)


def test_other_verbs_in_the_blending(ek100):
    ek100.model.data_preprocessor.blending.num_verbs = 98
    with pytest.raises(ValueError, match='blending.num_verbs=98.*=97'):
        check_classes(ek100)


def test_a_part_that_means_epics_classes(ek100):
    ek100.model.cls_head.num_nouns = 5
    ek100.model.data_preprocessor.blending.num_nouns = 5
    with pytest.raises(ValueError, match='dataset.num_nouns=300.*=5'):
        check_classes(ek100)


@pytest.mark.parametrize('name', ['k400', 'ek100'])
def test_one_place_to_state_them(name, request):
    cfg = request.getfixturevalue(name)
    cfg.merge_from_dict(dict(num_classes=7, num_verbs=8, num_nouns=9))
    state_classes(cfg)
    check_classes(cfg)
    head = cfg.model.cls_head
    expected = dict(num_classes=7) if name == 'k400' else dict(
        num_verbs=8, num_nouns=9)
    assert {k: head[k] for k in expected} == expected
    dataset = cfg.test_dataloader.dataset
    assert {k: dataset[k] for k in expected} == expected


def small(cfg, **head):
    """A tiny model of a config, for 8 frames of 32 pixels."""
    cfg = copy.deepcopy(cfg)
    for role in ('spatial', 'temporal'):
        cfg.model.backbone[role].update(
            arch=TINY, img_size=32, num_frames=8, pretrained=None)
    cfg.model.cls_head.update(dict(in_channels=16), **head)
    for split in ('train', 'val', 'test'):
        for step in cfg[f'{split}_dataloader'].dataset.pipeline:
            for key, value in dict(
                    clip_len=8, scale=(32, 32), crop_size=32).items():
                if key in step:
                    step[key] = value
    return cfg


def check(cfg):
    check_model(MODELS.build(cfg.model), cfg)


@pytest.mark.parametrize('name', ['k400', 'ek100'])
def test_a_model_that_fits(name, request):
    check(small(request.getfixturevalue(name)))


@pytest.mark.parametrize('change, message', [
    (lambda c: c.model.cls_head.update(in_channels=24),
     'in_channels=24.*16 and 16 wide'),
    (lambda c: c.model.cls_head.update(in_channels=(16, 8)), '16 and 16 wide'),
    (lambda c: c.model.backbone.temporal.update(num_frames=16),
     'train_dataloader makes 8 frames a clip, temporal.*takes 16'),
    (lambda c: c.test_dataloader.dataset.pipeline[1].update(clip_len=32),
     'test_dataloader makes 32 frames a clip, spatial.*takes 8'),
    (lambda c: c.val_dataloader.dataset.pipeline[4].update(crop_size=48),
     'val_dataloader makes 48 pixels a side.*takes 32'),
    (lambda c: c.train_dataloader.dataset.pipeline[5].update(scale=(48, 48)),
     'train_dataloader makes 48 pixels a side.*takes 32'),
    (lambda c: c.model.cls_head.update(average_clips=None),
     'test_dataloader makes 15 views.*average_clips'),
])
def test_a_model_that_does_not(k400, change, message):
    cfg = small(k400)
    change(cfg)
    with pytest.raises(ValueError, match=message):
        check(cfg)


def test_one_feature_of_another_width():
    cfg = Config.fromfile(
        next((ROOT / 'configs/experts').glob('clip*dense*.py')))
    cfg.model.backbone.expert.update(
        arch=TINY, img_size=32, num_frames=8, pretrained=None)
    with pytest.raises(ValueError, match='in_channels=768.*16 wide'):
        check(cfg)


def test_a_run_does_not_start(tmp_path, k400):
    cfg = toy_config(tmp_path, **{
        'train_dataloader.dataset.num_classes': 4,
        'val_dataloader.dataset.num_classes': 3
    })
    runner = Runner.from_cfg(cfg)
    assert any(isinstance(hook, SizesHook) for hook in runner.hooks)
    with pytest.raises(ValueError, match='num_classes=3.*num_classes=4'):
        runner.call_hook('before_run')
