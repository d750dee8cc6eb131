"""Augmentation on the device against that of the worker."""
import random

import numpy as np
import pytest
import torch
from mmaction.registry import MODELS, TRANSFORMS
from mmaction.structures import ActionDataSample
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.runner import Runner
from torch._subclasses.fake_tensor import FakeTensorMode

from cast_mmaction.datasets import device_ops, fusing
from cast_mmaction.datasets.clip_ops import MOVES
from cast_mmaction.datasets.deferring import (Drawn, defer_augmentation,
                                              finished)
from cast_mmaction.datasets.fusing import View
from cast_mmaction.datasets.planes import Conversion
from cast_mmaction.engine.sizes import check_deferred
from tests.test_datasets.test_rand_augment import CASES, smooth_clip
from tests.test_engine.test_no_waits import (Transfers, count_reads,
                                             training_config)
from tests.toy import ROOT
from tests.untrimmed import write_video



@pytest.fixture(scope='module')
def frames():
    clip = smooth_clip(num_frames=4, height=96, width=128)
    clip.flags.writeable = False  # as VideoDecode gives them
    return clip


def on_device(frames, *what):
    frames = torch.tensor(frames).permute(0, 3, 1, 2)
    result = device_ops.augmented_view(frames, *what)
    assert result.dtype == torch.uint8
    return result.permute(0, 2, 3, 1).numpy()


@pytest.mark.parametrize('name, arguments, largest, mean', CASES)
@pytest.mark.parametrize('view', [
    View((10, 5, 70, 65), (90, 80)),
    View((20, 10, 120, 90), (50, 40)),
    View((0, 0, 128, 96), (128, 96))
])
@pytest.mark.parametrize('behind', [(), (('Sharpness', (.6, )), )])
def test_each_operation(frames, name, arguments, largest, mean, view, behind):
    """On the pixels that are kept, and (with sharpness) on whole frames."""
    operations = [(name, arguments), *behind]
    expected = fusing.augmented_view(frames, operations, view, True)
    found = on_device(frames, operations, view, True)
    differs = np.abs(found.astype(int) - expected)
    # OpenCV scales with weights of few digits.
    assert differs.mean() < .25
    assert (differs > 3).mean() < .005


def test_without_operations(frames):
    for view in (View((10, 5, 70, 65), (90, 80)),
                 View((0, 0, 128, 96), (128, 96))):
        expected = view.of(frames, flip=True)
        found = on_device(frames, [], view, True)
        assert np.abs(found.astype(int) - expected).max() <= 1


STEPS = [
    dict(type='ClipRandAugment', lazy=True),
    dict(type='RandomResizedCrop', lazy=True),
    dict(type='Resize', scale=(64, 64), keep_ratio=False, lazy=True),
    dict(type='Flip', flip_ratio=.5, lazy=True)
]


def config(policy='rand-m7-n4-mstd0.5-inc1', **preprocessor):
    steps = [dict(STEPS[0], policy=policy), *STEPS[1:]]
    end = [
        dict(type='FuseClip'),
        dict(type='FormatShape', input_format='NCTHW'),
        dict(type='PackActionInputs')
    ]
    preprocessor = dict(
        dict(type='ActionDataPreprocessor', format_shape='NCTHW'),
        **preprocessor)
    return Config(
        dict(
            augment_on_device=True,
            model=dict(data_preprocessor=preprocessor),
            train_dataloader=dict(dataset=dict(pipeline=steps + end))))


def batch(cfg, clips, seed):
    """Clips of several sizes on their way to the model, and the next draws
    of all generators."""
    random.seed(seed), np.random.seed(seed)
    steps = cfg.train_dataloader.dataset.pipeline
    pipeline = Compose([TRANSFORMS.build(step) for step in steps])
    samples = [
        pipeline(
            dict(
                imgs=list(clip),
                img_shape=clip.shape[1:3],
                label=0,
                num_clips=2,
                clip_len=2,
                modality='RGB')) for clip in clips
    ]
    drawn = random.random(), np.random.rand()
    preprocessor = MODELS.build(cfg.model.data_preprocessor)
    return preprocessor(pseudo_collate(samples), True)['inputs'], drawn


@pytest.mark.parametrize(
    'policy', ['rand-m7-n4-mstd0.5-inc1', 'rand-m9-n3-mstd0.5'])
def test_same_seed_gives_the_same_clips(frames, policy):
    """With the same draws; that is also: with the same distribution."""
    clips = [frames, frames[:, :80], frames[:, :, :100]]
    worker, deferred = config(policy), config(policy)
    defer_augmentation(deferred)
    found = []
    for seed in range(40):
        expected, drawn = batch(worker, clips, seed)
        result, as_drawn = batch(deferred, clips, seed)
        assert drawn == as_drawn
        assert result.shape == expected.shape == (3, 2, 3, 2, 64, 64)
        assert result.dtype == expected.dtype
        found.append((result - expected).abs())
    found = torch.stack(found)
    print(f'mean {found.mean():.3f}, largest of a batch '
          f'{found.mean((1, 2, 3, 4, 5, 6)).max():.3f}, '
          f'more than 1 level: {(found > 1).float().mean():.2%}')
    assert found.mean() < .3
    assert found.mean((1, 2, 3, 4, 5, 6)).max() < 1.


def test_only_what_is_needed_travels(frames):
    """The crop, where no operation looks beyond it."""
    cfg = config('rand-m7-n1')
    defer_augmentation(cfg)
    pipeline = Compose([
        TRANSFORMS.build(x) for x in cfg.train_dataloader.dataset.pipeline])
    sizes = {}
    for seed in range(40):
        random.seed(seed), np.random.seed(seed)
        sample = pipeline(
            dict(
                imgs=list(frames),
                img_shape=(96, 128),
                num_clips=1,
                clip_len=4,
                modality='RGB'))
        clip, drawn = sample['inputs'], sample['data_samples'].deferred
        assert clip.dtype == torch.uint8 and clip.is_contiguous()
        beyond = any(name in (*MOVES, *fusing.MEASURING, *fusing.WHOLE)
                     for name, _ in drawn.operations)
        sizes.setdefault(beyond, set()).add(tuple(clip.shape[2:4]))
        if not beyond:
            assert drawn.view.box == (0, 0, *clip.shape[3:1:-1])
    assert sizes[True] == {(96, 128)} and len(sizes[False]) > 5


def test_a_config_is_changed():
    cfg = config(type='AudioVisualDataPreprocessor', mean=[1., 2., 3.])
    defer_augmentation(cfg)
    assert 'augment_on_device' not in cfg
    assert cfg.train_dataloader.dataset.pipeline[4:] == [
        dict(type='DeferClip'),
        dict(
            type='PackActionInputs',
            meta_keys=('img_shape', 'img_key', 'video_id', 'timestamp',
                       'deferred'))
    ]
    assert cfg.model.data_preprocessor == dict(
        type='AugmentingAudioVisualDataPreprocessor',
        mean=[1., 2., 3.],
        format_shape='NCTHW')
    before = cfg.to_dict()
    defer_augmentation(cfg)  # not asked for: nothing happens
    assert cfg.to_dict() == before


def test_what_cannot_be_deferred_is_said(frames):
    cfg = config()
    cfg.train_dataloader.dataset.pipeline.insert(
        5, dict(type='ClipRandomErasing'))
    with pytest.raises(ValueError, match='FuseClip, ClipRandomErasing'):
        defer_augmentation(cfg)
    with pytest.raises(ValueError, match='not for BaseDataPreprocessor'):
        defer_augmentation(config(type='BaseDataPreprocessor'))
    cfg = config()
    cfg.train_dataloader.dataset = dict(
        type='ConcatDataset', datasets=[cfg.train_dataloader.dataset])
    with pytest.raises(ValueError, match='and it is a ConcatDataset'):
        defer_augmentation(cfg)
    cfg = config()
    cfg.train_dataloader.dataset.pipeline[2].interpolation = 'area'
    defer_augmentation(cfg)
    with pytest.raises(ValueError, match="interpolation='area'"):
        batch(cfg, [frames], 0)


def test_nobody_to_do_it(tmp_path):
    cfg = training_config(tmp_path, 'evl')
    cfg.train_dataloader.dataset.pipeline = [dict(type='DeferClip')]
    model = MODELS.build(cfg.model)
    with pytest.raises(ValueError, match="add 'deferred' to the meta_keys"):
        check_deferred(model, cfg)
    steps = [
        dict(type='DeferClip'),
        dict(type='PackActionInputs', meta_keys=('deferred', ))
    ]
    cfg.train_dataloader.dataset.pipeline = steps
    with pytest.raises(ValueError, match='not ActionDataPreprocessor'):
        check_deferred(model, cfg)
    cfg.train_dataloader.dataset.pipeline = [dict(type='FuseClip')]
    check_deferred(model, cfg)
    cfg.model.data_preprocessor.type = 'AugmentingActionDataPreprocessor'
    cfg.train_dataloader.dataset.pipeline = steps
    check_deferred(MODELS.build(cfg.model), cfg)
    cfg.val_dataloader = dict(dataset=dict(pipeline=[
        dict(type='VideoDecode', planes=True), dict(type='CenterCrop')
    ]))
    with pytest.raises(ValueError, match='the val pipeline has VideoDecode'):
        check_deferred(MODELS.build(cfg.model), cfg)
    cfg.val_dataloader.dataset.pipeline[0].planes = False
    check_deferred(MODELS.build(cfg.model), cfg)
    cfg.train_dataloader.dataset.pipeline = [
        dict(type='VideoDecode', planes=True), dict(STEPS[1]), *steps
    ]
    check_deferred(MODELS.build(cfg.model), cfg)
    cfg.train_dataloader.dataset.pipeline[1]['lazy'] = False
    with pytest.raises(ValueError, match='train pipeline has VideoDecode'):
        check_deferred(MODELS.build(cfg.model), cfg)
    cfg.augment_on_device = True  # as the host's own tools leave it
    with pytest.raises(ValueError, match='read by the tools/train.py'):
        check_deferred(MODELS.build(cfg.model), cfg)


def test_the_device_is_only_sent_to(frames):
    """Every operation; fake tensors refuse to be read."""
    model = MODELS.build(
        dict(type='AugmentingActionDataPreprocessor', format_shape='NCTHW'))
    view = View((10, 5, 70, 65), (32, 32))
    plans = [Drawn([(name, arguments)], view, True)
             for name, arguments, *_ in CASES]
    plans += [Drawn([*plans[0].operations, *plans[1].operations], view, False),
              Drawn([*plans[-1].operations, ('Sharpness', (.3, ))], view,
                    False)]
    clips = [torch.tensor(frames)[None] for _ in plans]
    plans.append(plans[0]._replace(conversion=Conversion.by(False, .3, .1)))
    clips.append(clips[0][..., 0].repeat_interleave(3, 2)[:, :, ::2])
    samples = [ActionDataSample(metainfo=dict(deferred=x)) for x in plans]
    model._device = torch.device('cuda')  # pretended
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    with mode, Transfers() as transfers:
        inputs = model(dict(inputs=clips, data_samples=samples))['inputs']
    assert inputs.device.type == 'cuda'
    assert inputs.shape == (len(plans), 1, 3, 4, 32, 32)
    assert transfers.asynchronous >= len(plans)
    assert not transfers.waits


def test_frames_beside_sound(frames):
    sample = ActionDataSample(
        metainfo=dict(
            deferred=Drawn([('ShearX', (.2, ))], View((8, 8, 72, 72),
                                                      (32, 32)), True)))
    clip = torch.tensor(frames)[None]
    alone, sounding = (
        MODELS.build(dict(type=f'Augmenting{kind}', format_shape='NCTHW'))
        for kind in ('ActionDataPreprocessor', 'AudioVisualDataPreprocessor'))
    expected = alone(dict(inputs=[clip], data_samples=[sample]))['inputs']
    inputs = dict(
        imgs=[clip],
        audio=[torch.zeros(1, 1, 8, 8)],
        has_audio=[torch.ones(1, dtype=torch.bool)])
    found = sounding(dict(inputs=inputs, data_samples=[sample]))['inputs']
    assert found['imgs'].shape == (1, 1, 3, 4, 32, 32)
    torch.testing.assert_close(found['imgs'], expected, rtol=0, atol=0)


def test_a_training(tmp_path, frames):
    """On two clips each of videos of two sizes, read by a worker; no
    iteration waits for what the device computes."""
    lines = []
    for number in range(4):
        name = f'{number}.mp4'
        moving = [np.roll(frames[0], 3 * i, 1) for i in range(20)]
        write_video(tmp_path / name,
                    [x[:, :96 + 16 * (number % 2)] for x in moving])
        lines += [f'{name} {number}\n'] * 8
    (tmp_path / 'list.txt').write_text(''.join(lines))
    kinetics = Config.fromfile(
        ROOT / 'configs/_base_/datasets/kinetics400.py')
    kinetics.train_pipeline[1].clip_len = 4
    kinetics.train_pipeline[5].scale = (32, 32)
    cfg = training_config(
        tmp_path,
        'cast, mixup',
        augment_on_device=True,
        **{'train_dataloader.num_workers': 1})
    cfg.train_dataloader.dataset = dict(
        type='VideoListDataset',
        ann_file=str(tmp_path / 'list.txt'),
        data_prefix=dict(video=str(tmp_path)),
        num_repeats=2,
        pipeline=kinetics.train_pipeline)
    defer_augmentation(cfg)
    runner = Runner.from_cfg(cfg)
    found = count_reads(runner)
    assert len(found) == 16
    assert not any(x for i, x in found.items() if i not in (7, 15)), found


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_cuda_agrees(frames):
    """With the CPU, while torch refuses to wait."""
    rgb = torch.tensor(frames)[None]
    planes = rgb[..., 0].repeat_interleave(3, 2)[:, :, ::2].contiguous()
    for name, arguments, *_ in CASES:
        for behind, clip, colors in (((), rgb, None),
                                     ((('Sharpness', (.6, )), ), rgb, None),
                                     ((), planes, Conversion.by(True, .3, .1))):
            drawn = Drawn([(name, arguments), *behind],
                          View((10, 5, 70, 65), (90, 80)), True, colors)
            there = clip.pin_memory().to('cuda', non_blocking=True)
            torch.cuda.set_sync_debug_mode('error')
            try:
                found = finished(there, drawn)
            finally:
                torch.cuda.set_sync_debug_mode(0)
            differs = (found.cpu().int() - finished(clip, drawn).int()).abs()
            assert (differs > 1).float().mean() < .001, name
