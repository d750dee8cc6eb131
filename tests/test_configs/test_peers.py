"""Every config of the peers, at a size that trains in a moment."""
import re
from pathlib import Path

import pytest
from mmaction.registry import MODELS, TRANSFORMS
from mmcv.transforms import Compose
from mmengine.config import Config

from tests.test_models.peers import TINY, step

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ('aim', 'evl', 'experts', 'st_adapter', 'timesformer')
CONFIGS = sorted(
    path for folder in FOLDERS for path in (ROOT / 'configs' /
                                            folder).glob('*.py'))


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
    cfg = shrink(Config.fromfile(path))
    model = MODELS.build(cfg.model)
    model.init_weights()
    frames = backbone_of(cfg).num_frames
    # The temporal parts start behind zeros; the head always moves.
    moved = step(model, frames)
    assert {name for name in moved if 'cls_head' in name}


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_the_data_fit_the_model_and_the_name(path):
    cfg = Config.fromfile(path)
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
    clips = int(re.search(r'= (\d+) clips', path.read_text())[1])
    assert gpus * batch * steps == clips
    assert f'-{cfg.train_cfg.max_epochs}e_' in path.stem
    classes = dict(kinetics400=400, sthv2=174)
    if 'ek100' in path.stem:
        assert cfg.model.cls_head.type == 'VerbNounHead'
    else:
        name = path.stem.split('_')[-1].removesuffix('-rgb')
        assert cfg.model.cls_head.num_classes == classes[name]
        assert cfg.train_dataloader.dataset.num_classes == classes[name]


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_the_stated_views_are_tested(path):
    text = path.read_text()
    cfg = Config.fromfile(path)
    assert all(f'# {key}:' in text
               for key in ('Source', 'Expected', 'Views', 'Weights'))
    clips, crops = re.search(
        r'# Views: test (\d) clips?.* x (\d) crops?', text).groups()
    pipeline = cfg.test_dataloader.dataset.pipeline
    assert pipeline[1].num_clips == int(clips)
    assert pipeline[4].type == ('ThreeViewCrop'
                                if int(crops) == 3 else 'CenterCrop')


def _pipelines():
    seen = {}
    for path in CONFIGS:
        if 'ek100' in path.stem:
            continue  # labels of another kind: those of the CAST configs
        cfg = Config.fromfile(path)
        for split in ('train', 'val', 'test'):
            pipeline = cfg[f'{split}_dataloader'].dataset.pipeline
            frames = backbone_of(cfg).num_frames
            seen.setdefault(str(pipeline), (f'{path.parent.name}-{split}',
                                            pipeline, frames))
    return seen.values()


@pytest.mark.parametrize(
    'pipeline, frames',
    [pytest.param(*rest, id=name) for name, *rest in _pipelines()])
def test_pipelines_run(shared, pipeline, frames):
    clip = shared / 'clips' / 'arm_wrestling.mp4'
    out = Compose([TRANSFORMS.build(t) for t in pipeline])(
        dict(filename=str(clip), label=0, start_index=0, modality='RGB'))
    assert out['inputs'].shape[1:] == (3, frames, 224, 224)
