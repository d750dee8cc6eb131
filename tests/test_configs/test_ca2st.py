"""Every config with sound, from a video file to a loss and to scores."""
import pytest
import torch
from mmaction.registry import MODELS, TRANSFORMS
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.optim import build_optim_wrapper

from tests.sounding import tone, write_sounding
from tests.test_models.sound import TINY
from tests.toy import ROOT

CONFIGS = sorted((ROOT / 'configs/ca2st').glob('*.py'))
# Frames of sound, clips of a test, and whether positions are in seconds.
DATA = dict(
    vggsound=(1024, 2, False),
    kineticssound=(1024, 5, False),
    ucf101=(400, 2, False),
    **{
        'epic-sounds': (400, 2, True),
        'ek100': (400, 2, True)
    })


@pytest.fixture(scope='module')
def videos(tmp_path_factory):
    """With sound, and without."""
    folder = tmp_path_factory.mktemp('sounding')
    return (write_sounding(folder / 'loud.mp4', tone(2)),
            write_sounding(folder / 'mute.mp4', None))


def shrunk(path):
    """The same config with narrow, shallow experts without weights."""
    cfg = Config.fromfile(path)
    backbone = cfg.model.backbone
    for expert in backbone.experts.values():
        expert.update(arch=TINY, pretrained=None)
    for exchange in backbone.exchanges:
        if 'layers' in exchange:
            assert exchange.layers == [9, 10, 11]
            exchange.layers = [1]
    cfg.model.cls_head.in_channels = 16
    return cfg


def batch(cfg, split, videos):
    steps = cfg[f'{split}_dataloader'].dataset.pipeline
    pipeline = Compose([TRANSFORMS.build(step) for step in steps])
    return pseudo_collate([
        pipeline(
            dict(
                filename=video,
                start_index=0,
                modality='RGB',
                label=label,
                verb=label,
                noun=label,
                narration_id=f'P01_1_{label}'))
        for label, video in enumerate(videos)
    ])


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_from_files_to_a_step_and_to_scores(path, videos):
    cfg = shrunk(path)
    frames, clips, seconds = DATA[path.stem.split('_')[-1][:-len('-rgb-audio')]]
    assert cfg.model.backbone.experts.audio.num_frames == frames
    model = MODELS.build(cfg.model)
    assert bool(model.backbone.time_codes) == seconds
    cfg.optim_wrapper.accumulative_counts = 1
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper)
    data = batch(cfg, 'train', videos)
    assert [bool(x) for x in data['inputs']['has_audio']] == [True, False]
    model.train()
    assert model.train_step(data, optimizer)['loss'].isfinite()

    data = batch(cfg, 'test', videos[1:])
    assert len(data['inputs']['imgs'][0]) == 3 * clips
    with torch.no_grad():
        sample, = model.eval().test_step(data)
    scores = sample.pred_score
    scores = scores.values() if isinstance(scores, dict) else [scores]
    for score in scores:
        assert score.sum().item() == pytest.approx(1, abs=1e-4)
