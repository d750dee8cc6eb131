"""What CAST has, CAVA and CA2ST have: files, inference, two processes."""
import copy

import pytest
import torch
from mmaction.apis import inference_recognizer
from mmaction.registry import MODELS
from mmengine.config import Config
from safetensors.torch import load_file

from cast_mmaction import from_pretrained
from cast_mmaction.checkpoints import CheckpointError, trained_only
from cast_mmaction.hub import publish
from tests.sounding import tone, write_sounding
from tests.test_models.sound import TINY, backbone_config, experts
from tests.test_distributed import run
from tests.toy import ROOT, assert_same, weights

PREPROCESSOR = dict(
    type='AudioVisualDataPreprocessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    format_shape='NCTHW')
PIPELINE = [
    dict(type='VideoInit'),
    dict(
        type='ClipSampleFrames',
        mode='uniform',
        clip_len=4,
        num_clips=2,
        test_mode=True),
    dict(type='AudioDecode', num_frames=36, num_mel_bins=32, test_mode=True),
    dict(type='VideoDecode'),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(
        type='PackActionInputs',
        collect_keys=('imgs', 'audio', 'has_audio'),
        meta_keys=('img_shape', 'missing_sound'))
]


def config(**backbone):
    return dict(
        type='MMRecognizer3D',
        data_preprocessor=PREPROCESSOR,
        backbone=dict(backbone_config(**backbone)),
        cls_head=dict(
            type='CA2STHead',
            in_channels=16,
            num_classes=5,
            average_clips='prob'))


def randomized(cfg):
    torch.manual_seed(0)
    model = MODELS.build(copy.deepcopy(cfg))
    model.init_weights()
    for parameter in model.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=.2)
    return model.eval()


@pytest.fixture(scope='module')
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp('sounding')
    return dict(
        loud=write_sounding(folder / 'loud.mp4', tone(2)),
        other=write_sounding(folder / 'other.mp4', tone(2, frequency=3000)),
        mute=write_sounding(folder / 'mute.mp4', None))


def test_a_video_with_sound_and_the_same_without(videos):
    model = randomized(config(share_projections=True))
    model.cfg = Config(dict(model=config(), test_pipeline=PIPELINE))
    samples = {
        name: inference_recognizer(model, video)
        for name, video in videos.items()
    }
    scores = {name: sample.pred_score for name, sample in samples.items()}
    assert samples['loud'].missing_sound == ''
    assert 'no audio' in samples['mute'].missing_sound
    assert not torch.allclose(scores['loud'], scores['other'])
    assert not torch.allclose(scores['loud'], scores['mute'])
    # The frames are the same: without a spectrogram at all, the same scores.
    model.backbone.register_forward_pre_hook(
        lambda _, args, kwargs: (args, dict(imgs=kwargs['imgs'])),
        with_kwargs=True)
    alone = inference_recognizer(model, videos['loud']).pred_score
    torch.testing.assert_close(alone, scores['mute'])


@pytest.fixture
def files(tmp_path):
    """A config whose experts come from files."""
    cfg = config(share_projections=True, drop_path_rate=.2)
    for name, expert in experts(TINY).items():
        torch.manual_seed(len(name))
        path = str(tmp_path / f'{name}.pth')
        torch.save(MODELS.build(expert).state_dict(), path)
        cfg['backbone']['experts'][name]['pretrained'] = path
    return cfg


def test_only_what_is_trained_is_stored(files):
    model = randomized(files)
    with trained_only(model):
        small = copy.deepcopy(model.state_dict())
    trained = {n for n, p in model.named_parameters() if p.requires_grad}
    assert small.keys() == trained | {
        f'backbone.{name}.frozen_identity'
        for name in ('spatial', 'temporal', 'audio')
    }
    other = MODELS.build(copy.deepcopy(files))
    other.load_state_dict(small)
    for name, value in other.state_dict().items():
        assert torch.equal(value, model.state_dict()[name]), name
    files['backbone']['experts']['audio']['pretrained'] = files['backbone'][
        'experts']['spatial']['pretrained']
    with pytest.raises(CheckpointError, match='spatial.pth'):
        MODELS.build(files).load_state_dict(small)


def test_publishes_as_one_file(files, tmp_path):
    model = randomized(files)
    cfg = Config(
        dict(
            model=files,
            test_dataloader=dict(dataset=dict(pipeline=PIPELINE))))
    path = publish(model, cfg, tmp_path / 'out', 'ca2st')
    assert load_file(path).keys() == model.state_dict().keys()
    again = from_pretrained(path)
    for name, value in again.state_dict().items():
        assert torch.equal(value, model.state_dict()[name]), name


def training(folder, model, videos, batch):
    """A config of a training on six files, two of them without sound."""
    lists = folder / 'list.txt'
    files = [videos[name] for name in ('loud', 'other', 'mute')] * 2
    lists.write_text(
        ''.join(f'{file} {i % 5}\n' for i, file in enumerate(files)))
    cfg = Config.fromfile(ROOT / 'configs/_base_/default_runtime.py')
    cfg.merge_from_dict(
        Config.fromfile(ROOT / 'configs/_base_/schedules/adamw_50e.py')
        ._cfg_dict.to_dict())
    cfg.merge_from_dict(
        dict(
            model=model,
            work_dir=str(folder),
            train_dataloader=dict(
                batch_size=batch,
                num_workers=0,
                sampler=dict(type='EpochSampler', shuffle=True),
                dataset=dict(
                    type='VideoListDataset',
                    ann_file=str(lists),
                    num_classes=5,
                    pipeline=PIPELINE)),
            train_cfg=dict(max_epochs=2),
            auto_scale_lr=dict(base_batch_size=6),
            default_hooks=dict(
                logger=dict(interval=1), checkpoint=dict(save_best=None)),
            log_level='INFO'))
    cfg.pop('val_cfg'), cfg.pop('test_cfg')
    cfg.train_dataloader.dataset.pipeline[1].update(
        num_clips=1, test_mode=False)
    cfg.param_scheduler[0].warmup = 1
    path = folder / 'config.py'
    cfg.dump(path)
    return path


@pytest.mark.slow
def test_two_processes_learn_and_resume(tmp_path, files, videos):
    """Files with sound and without, experts from files."""
    path = training(tmp_path, files, videos, 3)
    launcher = ROOT / 'tools/dist_train.sh'
    run(launcher, path, 2)
    first, second = (weights(tmp_path / f'epoch_{i}.pth') for i in (1, 2))
    trained = {
        n
        for n, p in MODELS.build(files).named_parameters() if p.requires_grad
    }
    assert second.keys() - trained == {
        f'backbone.{name}.frozen_identity'
        for name in ('spatial', 'temporal', 'audio')
    }
    # One step from the start: what is seen is still behind zeros of the head.
    moved = {n for n in trained if not torch.equal(first[n], second[n])}
    assert {n for n in trained if '.audio.' in n and '.up.' in n} <= moved
    assert {n for n in trained if n.startswith('cls_head.fc_cls')} <= moved
    assert (tmp_path / 'missing_sound.txt').read_text().count('mute.mp4') == 1

    (tmp_path / 'epoch_2.pth').unlink()
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_1.pth'))
    run(launcher, path, 2, '--resume')
    assert_same(second, weights(tmp_path / 'epoch_2.pth'))
