"""Every config of the peers, at a size that trains in a moment."""
import math
import re

import pytest
import torch
from mmaction.registry import MODELS, PARAM_SCHEDULERS, TRANSFORMS
from mmcv.transforms import Compose

from tests.test_configs.recipes import load, recipes
from tests.test_models.peers import TINY, step

CONFIGS = recipes('aim', 'evl', 'experts', 'st_adapter', 'timesformer')
CLASSES = dict(
    kinetics400=400,
    kinetics600=600,
    kinetics700=700,
    sthv2=174,
    diving48=48,
    howto100m=1059)


def backbone_of(cfg):
    """The part of the backbone that has the sizes."""
    return cfg.model.backbone.get('expert', cfg.model.backbone)


def shrink(cfg):
    """The same config with tiny sizes and without weights."""
    part = backbone_of(cfg)
    part.update(arch=TINY, img_size=32, patch_size=16, pretrained=None)
    if part.type == 'EVL':
        part.num_decoder_layers = min(part.num_decoder_layers, 2)
    if part.type == 'STAdapter':
        part.adapter_dims = 8
    cfg.model.cls_head.in_channels = 16
    return cfg


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_a_tiny_model_takes_a_step(path):
    cfg = shrink(load(path))
    model = MODELS.build(cfg.model)
    model.init_weights()
    frames = backbone_of(cfg).num_frames
    # The temporal parts start behind zeros; the head always moves.
    moved = step(model, frames)
    assert {name for name in moved if 'cls_head' in name}


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_the_data_fit_the_model_and_the_name(path):
    cfg = load(path)
    frames = backbone_of(cfg).num_frames
    dense = re.search(r'-dense-(\d+)x(\d+)x1-', path.stem)
    uniform = re.search(r'-uniform-(\d+)-', path.stem)
    for split in ('train', 'val', 'test'):
        loader = cfg[f'{split}_dataloader']
        sample = loader.dataset.pipeline[1]
        assert sample.type == 'ClipSampleFrames'
        assert sample.clip_len == frames
        if dense:
            assert (sample.mode, sample.clip_len, sample.frame_interval) == (
                'dense', *map(int, dense.groups()))
        else:
            assert (sample.mode, sample.clip_len) == ('uniform',
                                                      int(uniform[1]))
    gpus, batch = map(int, re.search(r'_(\d+)xb(\d+)-', path.stem).groups())
    assert cfg.train_dataloader.batch_size == batch
    steps = cfg.optim_wrapper.get('accumulative_counts', 1)
    stated = re.search(r'= (\d+) (?:clips|videos)', path.read_text())[1]
    assert gpus * batch * steps == int(stated)
    assert f'-{cfg.train_cfg.max_epochs}e_' in path.stem
    if 'ek100' in path.stem:
        assert cfg.model.cls_head.type == 'VerbNounHead'
    else:
        name = path.stem.split('_')[-1].removesuffix('-rgb')
        assert cfg.model.cls_head.num_classes == CLASSES[name]
        for split in ('train', 'val', 'test'):
            dataset = cfg[f'{split}_dataloader'].dataset
            assert dataset.num_classes == CLASSES[name]
            assert dataset.ann_file.startswith(f'data/{name}/{name}_')
            assert dataset.data_prefix.video.startswith(f'data/{name}/')


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_the_stated_views_are_tested(path):
    text = path.read_text()
    cfg = load(path)
    assert all(f'# {key}:' in text
               for key in ('Source', 'Expected', 'Views', 'Weights'))
    clips, crops, side = re.search(
        r'# Views: test (\d) clips?.* x (\d) crops? of (\d+)',
        text).groups()
    pipeline = cfg.test_dataloader.dataset.pipeline
    assert pipeline[1].num_clips == int(clips)
    assert pipeline[4].type == ('ThreeViewCrop'
                                if int(crops) == 3 else 'CenterCrop')
    assert pipeline[3].size == pipeline[4].crop_size == int(side)
    assert backbone_of(cfg).get('img_size', 224) == int(side)


def test_the_warm_up_of_aim_lies_on_a_cosine_of_epochs():
    path, = (x for x in CONFIGS if 'aim-base' in x.stem
             and '-8x16x1-' in x.stem)
    length, optimizer = 10, torch.optim.SGD([torch.zeros(1)], lr=1.)
    warm_up, cosine = load(path).param_scheduler
    assert warm_up.pop('convert_to_iter_based')
    warm_up = PARAM_SCHEDULERS.get(warm_up.pop('type')).build_iter_from_epoch(
        optimizer, epoch_length=length, **warm_up)
    cosine = PARAM_SCHEDULERS.build(
        cosine, default_args=dict(optimizer=optimizer))
    for epoch in range(30):
        for i in range(length):
            share = min((epoch * length + i) / (2.5 * length - 1), 1)
            assert optimizer.param_groups[0]['lr'] == pytest.approx(
                (.1 + .9 * share) * (1 + math.cos(math.pi * epoch / 30)) / 2)
            optimizer.step()
            warm_up.step()
        cosine.step()


def _pipelines():
    seen = {}
    for path in CONFIGS:
        if 'ek100' in path.stem:
            continue  # labels of another kind: those of the CAST configs
        cfg = load(path)
        for split in ('train', 'val', 'test'):
            pipeline = cfg[f'{split}_dataloader'].dataset.pipeline
            part = backbone_of(cfg)
            seen.setdefault(str(pipeline), (f'{path.parent.name}-{split}',
                                            pipeline, part.num_frames,
                                            part.get('img_size', 224)))
    return seen.values()


@pytest.mark.parametrize(
    'pipeline, frames, side',
    [pytest.param(*rest, id=name) for name, *rest in _pipelines()])
def test_pipelines_run(shared, pipeline, frames, side):
    clip = shared / 'clips' / 'arm_wrestling.mp4'
    out = Compose([TRANSFORMS.build(t) for t in pipeline])(
        dict(filename=str(clip), label=0, start_index=0, modality='RGB'))
    assert out['inputs'].shape[1:] == (3, frames, side, side)
