"""Several clips of one decoding: `num_repeats` of a data set."""
import os
import signal

import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import ConcatDataset
from mmengine.hooks import Hook
from mmengine.runner import Runner

from cast_mmaction.datasets import (EpicKitchensDataset, UnreadableVideoHook,
                                    VideoListDataset)
from cast_mmaction.datasets.deferring import defer_augmentation
from cast_mmaction.datasets.seeding import SampleIndex
from cast_mmaction.datasets.video import PyAVReader
from cast_mmaction.engine.overview import overview
from tests.test_engine.test_no_waits import MODEL_CASES, recognizer
from tests.toy import At, assert_same, toy_config, weights
from tests.untrimmed import write_video

NAMES = ['fight_001', 'diving_170', 'push_up_120', 'benchpress_165']


def pipeline(pack='PackActionInputs'):
    return [
        dict(type='VideoInit'),
        dict(type='ClipSampleFrames', mode='dense', clip_len=4,
             frame_interval=2),
        dict(type='VideoDecode'),
        dict(type='ClipRandAugment', lazy=True),
        dict(type='RandomResizedCrop', lazy=True),
        dict(type='Resize', scale=(32, 32), keep_ratio=False, lazy=True),
        dict(type='Flip', flip_ratio=0.5, lazy=True),
        dict(type='FuseClip'),
        dict(type='FormatShape', input_format='NCTHW'),
        dict(type=pack, meta_keys=('frame_inds', 'narration_id')),
    ]


@pytest.fixture
def root(tmp_path):
    """Four videos, in a list and as rows of EPIC-KITCHENS."""
    rows, lines = ['narration_id,verb,noun'], []
    for label, name in enumerate(NAMES):
        scene = np.random.RandomState(label).randint(
            0, 256, (144, 250, 3), np.uint8)
        scene = cv2.GaussianBlur(scene, (0, 0), 3)
        write_video(tmp_path / f'{name}.mp4',
                    [scene[:, i:i + 192] for i in range(40)])
        lines.append(f'{name}.mp4 {label}')
        rows.append(f'{name},{label % 3},{label}')
    (tmp_path / 'list.txt').write_text('\n'.join(lines))
    (tmp_path / 'rows.csv').write_text('\n'.join(rows))
    return tmp_path


def listed(root, **options):
    return dict(
        dict(
            type='VideoListDataset',
            ann_file=str(root / 'list.txt'),
            data_prefix=dict(video=str(root)),
            pipeline=pipeline()), **options)


def narrated(root, **options):
    return dict(
        type='EpicKitchensDataset',
        ann_file=str(root / 'rows.csv'),
        data_prefix=dict(clips=str(root)),
        pipeline=pipeline('PackVerbNounInputs'),
        num_verbs=3,
        num_nouns=4,
        **options)


def build(config):
    config = dict(config)
    return dict(
        VideoListDataset=VideoListDataset,
        EpicKitchensDataset=EpicKitchensDataset)[config.pop('type')](**config)


@pytest.mark.parametrize('kind', [listed, narrated])
def test_clips_are_decoded_once_and_augmented_apart(root, monkeypatch, kind):
    decoded, read = [], PyAVReader.read
    monkeypatch.setattr(
        PyAVReader, 'read',
        lambda self, *args: decoded.append(self.path) or read(self, *args))
    index = SampleIndex(2, seed=3, epoch=1)
    alone = build(kind(root))[index]
    clips = build(kind(root, num_repeats=3))[index]
    assert len(decoded) == 2 and len(clips) == 3
    first, *others = (clip['data_samples'] for clip in clips)
    for other in others:
        assert (other.frame_inds == first.frame_inds).all()
        assert {k: v.tolist() for k, v in other.items()} == {
            k: v.tolist() for k, v in first.items()}
    pixels = {clip['inputs'].numpy().tobytes() for clip in clips}
    assert len(pixels) == 3
    # what there is without repeats comes first, and again the same
    assert torch.equal(clips[0]['inputs'], alone['inputs'])
    again = build(kind(root, num_repeats=2))[index]
    for clip, same in zip(clips, again):
        assert torch.equal(clip['inputs'], same['inputs'])


def epoch_of(dataset, number=0, **options):
    loader = Runner.build_dataloader(
        dict(
            dataset=dataset,
            batch_size=3,
            num_workers=number,
            sampler=dict(type='EpochSampler', shuffle=True),
            **options),
        seed=5)
    batches = list(loader)
    assert [len(x['inputs']) for x in batches] == [6, 2]  # 3 videos, then 1
    assert len(loader) == 2
    samples = [x for batch in batches for x in batch['data_samples']]
    return torch.cat([torch.stack(x['inputs']) for x in batches]), samples


def test_an_epoch_has_every_clip(root):
    """Beside one another, whoever loads them and through other data sets."""
    clips, samples = epoch_of(listed(root, num_repeats=2))
    labels = [x.gt_label.item() for x in samples]
    assert labels[::2] == labels[1::2] and sorted(labels[::2]) == [0, 1, 2, 3]
    assert not any(torch.equal(*pair) for pair in clips.split(2))
    by_worker, _ = epoch_of(listed(root, num_repeats=2), number=1)
    assert torch.equal(by_worker, clips)
    epoch_of(ConcatDataset([build(listed(root, num_repeats=2))]))


def test_a_replaced_video_counts_once(root):
    (root / 'diving_170.mp4').write_bytes(b'not a video')
    _, samples = epoch_of(listed(root, num_repeats=2))
    labels = [x.gt_label.item() for x in samples]
    assert labels[::2] == labels[1::2] and 1 not in labels
    hook = UnreadableVideoHook()
    hook.after_train_iter(None, 0, dict(data_samples=samples))
    assert hook._replaced == 1
    assert list(hook.reasons.values()) == [1]


@pytest.mark.parametrize('options, message', [
    (dict(num_repeats=0), 'num_repeats=0 of a VideoListDataset: .*from 1'),
    (dict(num_repeats=1.5), 'num_repeats=1.5 of'),
    (dict(num_repeats='2'), "num_repeats='2' of"),
    (dict(num_repeats=True), 'num_repeats=True of'),
    (dict(num_repeats=2, test_mode=True), 'test_mode=True: .*training'),
    (dict(num_repeats=2, pipeline=[dict(type='DecordInit')]), 'VideoDecode'),
])
def test_wrong_numbers_are_named(root, options, message):
    with pytest.raises(ValueError, match=message):
        build(listed(root, **options))


class Clips(Hook):
    """Counts the clips that a training sees, and reads what it announces."""

    def __init__(self):
        self.numbers = []

    def before_train(self, runner):
        self.rows = dict(overview(runner))

    def after_train_iter(self, runner, batch_idx, data_batch=None, **kwargs):
        self.numbers.append(len(data_batch['inputs']))


def training(work_dir, dataset, case, *hooks, workers=0, **changes):
    cfg = toy_config(work_dir, epochs=2)
    cfg.model = recognizer(*MODEL_CASES[case])
    cfg.train_dataloader = dict(
        batch_size=1,
        num_workers=workers,
        dataset=dataset,
        sampler=dict(type='EpochSampler', shuffle=True))
    for key in ('dataloader', 'evaluator', 'cfg'):
        cfg[f'val_{key}'] = cfg[f'test_{key}'] = None
    cfg.default_hooks.checkpoint.save_best = None
    cfg.default_hooks.strict_load.allow_random_experts = True
    cfg.merge_from_dict({'auto_scale_lr.enable': True, 'resume': False,
                         'model.backbone.drop_path_rate': .2, **changes})
    defer_augmentation(cfg)
    runner = Runner.from_cfg(cfg)
    for hook in hooks:
        runner.register_hook(hook)
    return runner


@pytest.mark.parametrize('kind, case, on_device', [
    (listed, 'cast, mixup', False),
    (narrated, 'cast, two labels, mixup', True)])
def test_a_resumed_training_equals_an_uninterrupted_one(root, kind, case,
                                                        on_device):
    """In the middle of an epoch, on other workers; both heads, with mixup."""
    dataset, seen = kind(root, num_repeats=3), Clips()
    options = dict(augment_on_device=on_device)
    training(root / 'whole', dataset, case, seen, **options).train()
    assert seen.numbers == [3] * 8  # 2 epochs of 4 videos of 3 clips
    rows = seen.rows
    assert rows['batch'] == '3 = 1 videos x 3 clips of each'
    assert rows['clips'].startswith('4 in training, each 3 times, 2 x 4')
    assert '0.01 x 1 / 4 videos' in rows['lr']

    part = training(root / 'part', dataset, case,
                    At(4, lambda: os.kill(os.getpid(), signal.SIGTERM)),
                    workers=1, **options)
    with pytest.raises(SystemExit):
        part.train()
    then = Clips()
    training(root / 'part', dataset, case, then, resume=True,
             **options).train()
    assert then.numbers and set(then.numbers) == {3}
    assert len(then.numbers) < 4  # in the middle of the second epoch
    assert_same(weights(root / 'whole/epoch_2.pth'),
                weights(root / 'part/epoch_2.pth'))
