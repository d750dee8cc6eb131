import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.logging import MMLogger
from torch.utils.data import DataLoader

from cast_mmaction.datasets import (EpochSampler, UnreadableVideoHook,
                                    VideoListDataset)
from cast_mmaction.datasets.unreadable import TooManyUnreadable

PIPELINE = [
    dict(type='VideoInit'),
    dict(type='ClipSampleFrames', mode='uniform', clip_len=4),
    dict(type='VideoDecode'),
    dict(type='RandomResizedCrop'),
    dict(type='Resize', scale=(32, 32), keep_ratio=False),
    dict(type='Flip', flip_ratio=0.5),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs'),
]


@pytest.fixture
def videos(shared, tmp_path):
    """Four good videos and a list of them."""
    folder = tmp_path / 'videos'
    folder.mkdir()
    lines = []
    for label, name in enumerate(
        ['fight_001', 'diving_170', 'push_up_120', 'benchpress_165']):
        shutil.copy(shared / f'clips/actions/{name}.mp4', folder)
        lines.append(f'{name}.mp4 {label}')
    (tmp_path / 'list.txt').write_text('\n'.join(lines) + '\n')
    return tmp_path


def dataset_of(root, **options):
    return VideoListDataset(
        str(root / 'list.txt'),
        options.pop('pipeline', PIPELINE),
        data_prefix=dict(video=str(root / 'videos')),
        **options)


def inputs_of(dataset, epochs, **loader):
    sampler = EpochSampler(dataset, seed=3)
    loader = DataLoader(
        dataset,
        batch_size=2,
        sampler=sampler,
        collate_fn=pseudo_collate,
        **loader)
    found = []
    for epoch in epochs:
        sampler.set_epoch(epoch)
        found += [image for batch in loader for image in batch['inputs']]
    return torch.stack(found)


def test_samples(videos):
    dataset = dataset_of(videos, num_classes=4)
    assert len(dataset) == 4
    data = dataset[2]
    assert data['inputs'].shape == (1, 3, 4, 32, 32)
    assert data['inputs'].dtype == torch.uint8
    assert data['data_samples'].gt_label.tolist() == [2]


def test_augmentation_depends_on_seed_epoch_and_index_alone(videos):
    dataset = dataset_of(videos)
    expected = inputs_of(dataset, [0, 1])
    assert torch.equal(inputs_of(dataset, [0, 1], num_workers=2), expected)
    assert torch.equal(inputs_of(dataset, [1], num_workers=1), expected[4:])
    assert not torch.equal(expected[:4], expected[4:])


def test_paths_may_contain_spaces(videos):
    folder = videos / 'videos/playing trumpet'
    folder.mkdir()
    shutil.move(videos / 'videos/fight_001.mp4', folder / 'a b.mp4')
    (videos / 'list.txt').write_text('playing trumpet/a b.mp4 7\n\n')
    dataset = dataset_of(videos)
    assert dataset.get_data_info(0)['filename'].endswith('trumpet/a b.mp4')
    assert dataset[0]['data_samples'].gt_label.item() == 7


@pytest.mark.parametrize('text, message', [
    ('', 'list.txt: the list is empty'),
    ('fight_001.mp4 0\nfight_001.mp4\n', r'list.txt, line 2 .*path label'),
    ('fight_001.mp4 x\n', r"line 1 \('fight_001.mp4 x'\)"),
    ('fight_001.mp4 -1\n', 'line 1'),
    ('fight_001.mp4 1.5\n', 'line 1'),
    ('fight_001.mp4 3\nfight_001.mp4 4\n', 'line 2.*label 4.*num_classes=4'),
])
def test_bad_list_is_named(videos, text, message):
    (videos / 'list.txt').write_text(text)
    with pytest.raises(ValueError, match=message):
        dataset_of(videos, num_classes=4)


def test_missing_list_is_named(videos):
    (videos / 'list.txt').unlink()
    with pytest.raises(FileNotFoundError, match='list.txt'):
        dataset_of(videos)


def test_wrong_folder_is_named(videos):
    with pytest.raises(FileNotFoundError, match='nowhere.*data_prefix'):
        VideoListDataset(
            str(videos / 'list.txt'),
            PIPELINE,
            data_prefix=dict(video='nowhere'))


def damage(root, *names):
    for name in names:
        (root / 'videos' / name).write_bytes(b'not a video')


def test_training_replaces_unreadable_videos(videos):
    damage(videos, 'fight_001.mp4')
    (videos / 'videos/diving_170.mp4').unlink()
    dataset = dataset_of(videos)
    expected = inputs_of(dataset, [0, 1])
    assert torch.equal(inputs_of(dataset, [0, 1], num_workers=1), expected)
    sample = dataset[0]['data_samples']
    assert sample.gt_label.item() in (2, 3)
    assert any('fight_001.mp4' in reason for reason in sample.replaces)
    assert 'replaces' not in dataset[2]['data_samples']


def test_replacing_is_bounded(videos):
    damage(videos, 'fight_001.mp4', 'diving_170.mp4', 'push_up_120.mp4',
           'benchpress_165.mp4')
    dataset = dataset_of(videos, max_refetch=3)
    with pytest.raises(RuntimeError, match='4 samples.*list.txt.*fight_001'):
        dataset[0]


def test_other_errors_are_not_swallowed(videos):
    pipeline = [dict(type='VideoInit'), dict(type='VideoDecode')]
    with pytest.raises(KeyError, match='frame_inds'):
        dataset_of(videos, pipeline=pipeline)[0]


def test_testing_marks_unreadable_videos(videos):
    damage(videos, 'diving_170.mp4')
    dataset = dataset_of(videos, test_mode=True)
    sample = dataset[1]
    assert sample['inputs'].shape == (1, 3, 4, 32, 32)
    assert sample['data_samples'].gt_label.item() == 1
    assert sample['data_samples'].unreadable is True
    assert 'diving_170.mp4' in sample['data_samples'].unreadable_reason
    assert 'unreadable' not in dataset[0]['data_samples']


def runner_of(root, samples=10):
    return SimpleNamespace(
        epoch=2,
        work_dir=str(root),
        train_dataloader=SimpleNamespace(dataset=range(samples)),
        logger=MMLogger.get_current_instance())


@pytest.mark.parametrize('batches, stopped_after', [(10, 10), (300, 200)])
def test_too_much_unreadable_stops_a_training(tmp_path, batches,
                                              stopped_after):
    """Three of ten are replaced; at most a quarter of the epoch may be."""
    hook = UnreadableVideoHook(max_share=0.25)
    runner = runner_of(tmp_path, samples=batches * 2)
    batch = dict(data_samples=[dict(), dict()])
    worse = dict(data_samples=[dict(replaces=['a.mp4: is damaged']), dict()])
    for _ in range(2):  # an earlier epoch does not count
        hook.before_train_epoch(runner)
        for place in range(batches // 2):
            hook.after_train_iter(runner, place, worse)
    (tmp_path / hook.file_name).unlink(missing_ok=True)
    hook.before_train_epoch(runner)
    with pytest.raises(TooManyUnreadable, match='epoch 3 .*max_share=0.25'):
        for done in range(1, batches + 1):
            hook.after_train_iter(runner, done - 1,
                                  batch if done % 10 < 2 else worse)
        hook.after_train_epoch(runner)
    assert done == stopped_after
    assert 'a.mp4: is damaged' in (tmp_path / hook.file_name).read_text()


def test_a_share_that_is_allowed(tmp_path):
    hook = UnreadableVideoHook(max_share=0.5)
    runner = runner_of(tmp_path, samples=200)
    for place in range(100):
        hook.after_train_iter(
            runner, place,
            dict(data_samples=[dict(replaces=['a.mp4: is damaged']), {}]))
    hook.after_train_epoch(runner)
    with pytest.raises(ValueError, match='from 0 to 1, got 10'):
        UnreadableVideoHook(max_share=10)


def test_hook_lists_what_was_unreadable(videos):
    damage(videos, 'diving_170.mp4')
    hook = UnreadableVideoHook()
    runner = runner_of(videos)
    training = pseudo_collate([dataset_of(videos)[i] for i in (1, 2)])
    testing = pseudo_collate(
        [dataset_of(videos, test_mode=True)[i] for i in (0, 1)])
    path = videos / 'unreadable_videos.txt'
    hook.after_train_epoch(runner)
    assert not path.exists()
    hook.after_train_iter(runner, 0, training)
    hook.after_test_iter(runner, 0, testing)
    hook.after_test_epoch(runner)
    line, = path.read_text().splitlines()
    assert line.startswith('2\t') and 'diving_170.mp4' in line


def test_numpy_seeding_is_untouched_by_a_host_sampler(videos):
    dataset = dataset_of(videos)
    np.random.seed(0)
    first = dataset[0]['inputs']
    assert not torch.equal(first, dataset[0]['inputs'])
