from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate

from mmaction.registry import DATASETS, METRICS, MODELS, TRANSFORMS
from tests.sounding import tone, write_sounding
from tests.toy import ROOT

# Frames of sound, views of a test, and classes.
DATA = dict(
    vggsound=(1024, 2, 309),
    kineticssound=(1024, 5, 31),
    ucf101=(400, 2, 101),
    ek100_sound=(400, 2, None),
    epic_sounds=(400, 2, None))


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    return write_sounding(
        tmp_path_factory.mktemp('sounding') / 'video.mp4', tone(2))


def config_of(name):
    return Config.fromfile(ROOT / f'configs/_base_/datasets/{name}.py')


@pytest.mark.parametrize('name', DATA)
def test_pipelines_give_frames_and_sound(name, video):
    cfg = config_of(name)
    frames, clips, classes = DATA[name]
    preprocessor = MODELS.build(
        dict(type='AudioVisualDataPreprocessor', format_shape='NCTHW'))
    for split, views in (('train', 1), ('val', 1), ('test', 3 * clips)):
        dataset = cfg[f'{split}_dataloader'].dataset
        assert dataset.get('num_classes') == classes
        pipeline = Compose([TRANSFORMS.build(x) for x in dataset.pipeline])
        data = pipeline(
            dict(
                filename=video,
                start_index=0,
                modality='RGB',
                label=0,
                narration_id='P01_1_0'))
        # A spectrogram that is left to the preprocessor is made there.
        inputs = preprocessor(pseudo_collate([data]))['inputs']
        assert inputs['imgs'].shape == (1, views, 3, 16, 224, 224)
        assert inputs['audio'].shape == (1, views, 1, frames, 128)
        assert inputs['has_audio'].tolist() == [[True] * views]
        assert data['data_samples'].missing_sound == ''


@pytest.mark.parametrize('name', DATA)
def test_parts_exist(name):
    cfg = config_of(name)
    for split in ('train', 'val', 'test'):
        assert cfg[f'{split}_dataloader'].dataset.type in DATASETS
    METRICS.build(cfg.test_evaluator)
    names = cfg.test_dataloader.dataset.get('classes')
    if names == 'kinetics_sound':
        shipped = Path('cast_mmaction/datasets/classes') / f'{names}.txt'
        assert (ROOT / shipped).is_file()
