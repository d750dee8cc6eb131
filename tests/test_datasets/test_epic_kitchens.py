import csv
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmaction.datasets import PackActionInputs

from cast_mmaction.datasets import EpicKitchensDataset
from cast_mmaction.datasets.epic_annotations import (read_classes,
                                                     read_narrations, seconds)
from cast_mmaction.datasets.video import PyAVReader

COLUMNS = ('narration_id,participant_id,video_id,narration_timestamp,'
           'start_timestamp,stop_timestamp,start_frame,stop_frame,narration,'
           'verb,verb_class,noun,noun_class,all_nouns,all_noun_classes')
TAKE = ('P01_11_0,P01,P01_11,00:00:00.56,00:00:00.00,00:00:01.89,1,53,'
        "take plate,take,0,plate,2,['plate'],[2]")
OPEN = ('P01_11_1,P01,P01_11,00:00:04.56,00:00:04.00,00:00:06.50,112,182,'
        "open door,open,3,door,3,['door'],[3]")
PIPELINE = [
    dict(type='VideoInit'),
    dict(type='ClipSampleFrames', mode='uniform', clip_len=4, test_mode=True),
    dict(type='VideoDecode'),
    dict(type='ShortSideResize', size=32),
    dict(type='CenterCrop', crop_size=32),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackVerbNounInputs'),
]


@pytest.fixture
def epic(shared, tmp_path):
    """One real, untrimmed video of 10 s with two narrations."""
    folder = tmp_path / 'P01/videos'
    folder.mkdir(parents=True)
    shutil.copy(shared / 'clips/arm_wrestling.mp4', folder / 'P01_11.MP4')
    write(tmp_path, COLUMNS, TAKE, OPEN)
    return tmp_path


def write(root: Path, *lines):
    (root / 'rows.csv').write_text('\n'.join(lines) + '\n')


def dataset_of(root, source='videos', **options):
    return EpicKitchensDataset(
        str(root / 'rows.csv'),
        PIPELINE,
        data_prefix={source: str(root)},
        **options)


def test_official_validation_file(shared):
    path = str(shared / 'epic100/EPIC_100_validation.csv')
    narrations = read_narrations(path, 97, 300)
    assert len(narrations) == 9668
    second = narrations[1]
    assert second.narration_id == 'P01_11_1'
    assert (second.verb, second.noun) == (1, 2)
    assert (second.start_time, second.stop_time) == (1.56, 2.45)
    assert (second.start_frame, second.stop_frame) == (93, 147)
    assert (second.participant_id, second.video_id) == ('P01', 'P01_11')


def test_official_training_and_test_files(shared):
    folder = shared / 'epic100'
    rows = read_narrations(
        str(folder / 'EPIC_100_train_first2000_source.csv'), 97, 300)
    assert len(rows) == 2000 and (rows[1].verb, rows[1].noun) == (6, 114)
    rows = read_narrations(
        str(folder / 'EPIC_100_test_timestamps.csv'), 97, 300)
    assert len(rows) == 13092
    assert rows[0].verb is None and rows[0].noun is None


@pytest.mark.parametrize('header', [True, False])
def test_reference_lists(tmp_path, header):
    path = tmp_path / 'list.csv'
    lines = ['P01_11_0,0,2', 'P02_101_13,96,299']
    path.write_text('\n'.join(['narration_id,verb,noun'] * header + lines))
    first, second = read_narrations(str(path), 97, 300)
    assert (first.verb, first.noun) == (0, 2)
    assert (second.participant_id, second.video_id) == ('P02', 'P02_101')


def test_class_files(shared, epic):
    folder = shared / 'epic100'
    dataset = dataset_of(
        epic,
        class_files=dict(
            verb_classes=str(folder / 'EPIC_100_verb_classes.csv'),
            noun_classes=str(folder / 'EPIC_100_noun_classes.csv'),
            tail_verbs=str(folder / 'EPIC_100_tail_verbs.csv'),
            tail_nouns=str(folder / 'EPIC_100_tail_nouns.csv'),
            unseen_participants=str(
                folder / 'EPIC_100_unseen_participant_ids_validation.csv')))
    meta = dataset.metainfo
    assert meta['verb_classes'][:4] == ['take', 'put', 'wash', 'open']
    assert len(meta['noun_classes']) == 300
    assert meta['verb_categories'][0] == 'retrieve'
    assert (len(meta['tail_verbs']), len(meta['tail_nouns'])) == (86, 228)
    assert meta['unseen_participants'] == ['P18', 'P32']


def test_segments_of_untrimmed_videos(epic):
    dataset = dataset_of(epic)
    data = dataset[1]
    sample = data['data_samples']
    assert data['inputs'].shape == (1, 3, 4, 32, 32)
    assert data['inputs'].dtype == torch.uint8
    assert (sample.gt_verb.tolist(), sample.gt_noun.tolist()) == ([3], [3])
    assert sample.narration_id == 'P01_11_1'
    results = dataset.pipeline.transforms[0](dataset.get_data_info(1))
    assert results['total_frames'] == 70  # 2.5 s of 28 frames
    results['frame_inds'] = np.array([0, 69])
    results = dataset.pipeline.transforms[2](results)
    video = PyAVReader(str(epic / 'P01/videos/P01_11.MP4'))
    for image, frame in zip(results['imgs'], video.read([112, 181])):
        np.testing.assert_array_equal(image, frame)


def test_trimmed_clips(shared, epic):
    for name in ('P01_11_0', 'P01_11_1'):
        shutil.copy(shared / 'clips/odd/five_frames.mp4',
                    epic / f'{name}.mp4')
    dataset = dataset_of(epic, 'clips')
    both = EpicKitchensDataset(
        str(epic / 'rows.csv'),
        PIPELINE,
        data_prefix=dict(videos=None, clips=str(epic)))
    assert both.get_data_info(1) == dataset.get_data_info(1)
    info = dataset.get_data_info(1)
    assert info['filename'] == str(epic / 'P01_11_1.mp4')
    assert 'start_time' not in info  # the clip is the segment
    write(epic, 'P01_11_0,0,2', 'P01_11_1,3,3')
    assert dataset_of(epic, 'clips').get_data_info(1)['verb'] == 3


def test_frame_folders(epic):
    folder = epic / 'P01/rgb_frames/P01_11'
    folder.mkdir(parents=True)
    for number in range(112, 183):
        image = np.full((32, 32, 3), number, np.uint8)
        cv2.imwrite(str(folder / f'frame_{number:010d}.jpg'), image)
    write(epic, COLUMNS, OPEN)
    dataset = dataset_of(epic, 'frames')
    results = dataset.pipeline.transforms[0](dataset.get_data_info(0))
    assert results['total_frames'] == 71
    frames = dataset[0]['inputs'][0, 0, :, 0, 0]
    segment = 71 / 4
    expected = [112 + int(segment * (i + 0.5)) for i in range(4)]
    assert frames.tolist() == pytest.approx(expected, abs=1)  # JPEG


def test_test_split_has_no_labels(epic):
    names = COLUMNS.split(',')[:8]
    write(epic, ','.join(names), ','.join(TAKE.split(',')[:8]))
    sample = dataset_of(epic, test_mode=True)[0]['data_samples']
    assert 'gt_verb' not in sample and 'gt_noun' not in sample
    with pytest.raises(ValueError, match='P01_11_0.*test_mode=True'):
        dataset_of(epic)


def edited(**changes):
    row = next(csv.DictReader([COLUMNS, TAKE]))
    row.update(changes)
    return ','.join(f'"{value}"' for value in row.values())


@pytest.mark.parametrize('lines, message', [
    ([edited(verb_class='97')], 'line 2 ..P01_11_0.*verb_class=97.*97'),
    ([edited(noun_class='300')], 'P01_11_0.*noun_class=300'),
    ([edited(verb_class='take')], "P01_11_0.*verb_class='take'"),
    ([edited(stop_timestamp='00:00:00.00')], 'P01_11_0.*before the start'),
    ([edited(start_frame='60')], 'P01_11_0.*stop frame 53'),
    ([edited(start_timestamp='soon')], 'P01_11_0.*is not a time'),
    ([TAKE, OPEN, TAKE], 'line 4 ..P01_11_0.*twice'),
    ([TAKE, 'P01_11_7,P01'], 'line 3 ..P01_11_7.*2 columns, expected 15'),
    ([], 'no rows'),
])
def test_bad_row_is_named(epic, lines, message):
    write(epic, COLUMNS, *lines)
    with pytest.raises(ValueError, match=f'rows.csv.*{message}'):
        dataset_of(epic)


def test_missing_files_are_named(epic):
    write(epic, COLUMNS, TAKE, edited(narration_id='P01_12_0',
                                      video_id='P01_12'))
    with pytest.raises(FileNotFoundError, match='P01_12.MP4.*P01_12_0'):
        dataset_of(epic)
    (epic / 'rows.csv').unlink()
    with pytest.raises(FileNotFoundError, match='rows.csv'):
        dataset_of(epic)


def test_segment_past_the_end_is_named_with_its_row(epic):
    write(epic, COLUMNS, edited(stop_timestamp='00:00:31.00'), OPEN)
    sample = dataset_of(epic, test_mode=True)[0]['data_samples']
    assert sample.unreadable is True
    reason = sample.unreadable_reason
    assert reason.startswith('rows.csv (P01_11_0): ')
    assert 'P01_11.MP4' in reason and '31.00 s' in reason
    sample = dataset_of(epic)[0]['data_samples']  # training: the other row
    assert sample.narration_id == 'P01_11_1'
    assert 'P01_11_0' in sample.replaces[0]


@pytest.mark.parametrize('options, message', [
    (dict(source='movies'), 'clips, videos, frames'),
    (dict(class_files=dict(verbs='x.csv')), "no 'verbs'"),
    (dict(num_verbs=3), 'verb_class=3'),
])
def test_wrong_options_are_named(epic, options, message):
    with pytest.raises(ValueError, match=message):
        dataset_of(epic, **options)


def test_classes_of_another_set_are_named(shared, epic):
    path = str(shared / 'epic100/EPIC_100_verb_classes.csv')
    with pytest.raises(ValueError, match='97 classes.*has 98'):
        dataset_of(epic, class_files=dict(verb_classes=path), num_verbs=98)
    wrong = epic / 'classes.csv'
    wrong.write_text('id,key,instances,category\n1,take,[],retrieve\n')
    with pytest.raises(ValueError, match='line 2: expected class 0'):
        read_classes(str(wrong))


@pytest.mark.parametrize('pack', [
    dict(type='PackActionInputs'), dict(type='mmaction.PackActionInputs'),
    PackActionInputs()
])
def test_the_hosts_last_step_is_refused(tmp_path, pack):
    """It knows one label, and would leave out both."""
    write(tmp_path, COLUMNS, TAKE)
    with pytest.raises(ValueError, match='PackVerbNounInputs'):
        EpicKitchensDataset(
            str(tmp_path / 'rows.csv'), [*PIPELINE[:-1], pack],
            data_prefix=dict(clips=str(tmp_path)))


def test_lists_need_clips(epic):
    write(epic, 'P01_11_0,0,2')
    with pytest.raises(ValueError, match='P01_11_0.*trimmed clips'):
        dataset_of(epic)


def test_seconds():
    assert seconds('01:02:03.50') == 3723.5
