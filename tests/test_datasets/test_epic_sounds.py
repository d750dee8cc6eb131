import csv

import pytest
import torch

from cast_mmaction.datasets import EpicSoundsDataset
from tests.sounding import tone, write_sounding

HEADER = ('annotation_id', 'participant_id', 'video_id', 'start_timestamp',
          'stop_timestamp', 'description', 'class', 'class_id')
ROWS = [('P01_11_0', 'P01', 'P01_11', '00:00:00.500', '00:00:01.250',
         'clang / clatter', 'metal-only collision', '0'),
        ('P01_11_1', 'P01', 'P01_11', '00:00:01.020', '00:00:01.930',
         'paper rustle', 'rustle', '1')]
PIPELINE = [
    dict(type='VideoInit'),
    dict(type='ClipSampleFrames', mode='uniform', clip_len=4, test_mode=True),
    dict(
        type='AudioDecode', num_frames=100, num_mel_bins=32, test_mode=True),
    dict(type='VideoDecode'),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(
        type='PackActionInputs',
        collect_keys=('imgs', 'audio', 'has_audio'),
        meta_keys=('annotation_id', 'missing_sound'))
]


def write_csv(folder, rows, header=HEADER):
    with open(folder / 'sounds.csv', 'w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows([row[:len(header)] for row in rows])


@pytest.fixture
def folder(tmp_path):
    (tmp_path / 'P01/videos').mkdir(parents=True)
    write_sounding(
        tmp_path / 'P01/videos/P01_11.MP4', tone(2, begin=1.0))
    write_csv(tmp_path, ROWS)
    return tmp_path


def dataset_of(folder, **options):
    options = dict(dict(num_classes=2), **options)
    return EpicSoundsDataset(
        str(folder / 'sounds.csv'),
        PIPELINE,
        data_prefix=dict(videos=str(folder)),
        **options)


def test_segments_with_their_sound(folder):
    dataset = dataset_of(folder)
    assert len(dataset) == 2
    assert dataset.metainfo['classes'] == ['metal-only collision', 'rustle']
    first, second = dataset[0], dataset[1]
    assert first['data_samples'].gt_label.tolist() == [0]
    assert second['data_samples'].annotation_id == 'P01_11_1'
    assert first['inputs']['imgs'].shape == (1, 3, 4, 32, 32)
    audio = first['inputs']['audio'][0, 0]
    loud = audio.amax(dim=1) > 2
    # 0.75 s, of which the last third is loud; then nothing.
    assert not loud[:45].any() and loud[52:70].all()
    assert not audio[73:].any()
    assert (second['inputs']['audio'][0, 0, 2:85].amax(dim=1) > 2).all()


def test_split_without_labels(folder):
    write_csv(folder, ROWS, HEADER[:5])
    data = dataset_of(folder, test_mode=True)[1]
    assert 'gt_label' not in data['data_samples']
    with pytest.raises(ValueError, match='line 2 .P01_11_0.: class_id=None'):
        dataset_of(folder)


@pytest.mark.parametrize('column, value, message', [
    ('class_id', '2', 'class_id=2 is not one of 2 classes'),
    ('class_id', 'x', "class_id='x'"),
    ('class_id', '0', "class 0 is called 'rustle' here"),
    ('stop_timestamp', '00:00:01.000', '.*not after the start'),
    ('start_timestamp', '1.0', 'a wrong time'),
])
def test_wrong_rows_are_named(folder, column, value, message):
    wrong = list(ROWS[1])
    wrong[HEADER.index(column)] = value
    write_csv(folder, [ROWS[0], wrong])
    with pytest.raises(
            ValueError, match=f'sounds.csv, line 3 .P01_11_1.: {message}'):
        dataset_of(folder)


def test_missing_files_and_columns(folder):
    with pytest.raises(FileNotFoundError, match='P01_11.MP4'):
        dataset_of(folder, path_template='{video_id}/P01_11.MP4')
    write_csv(folder, ROWS, HEADER[:4])
    with pytest.raises(ValueError, match='no column stop_timestamp'):
        dataset_of(folder)


def test_unreadable_row_is_named(folder):
    (folder / 'P01/videos/P01_11.MP4').write_bytes(b'nothing')
    sample = dataset_of(folder, test_mode=True)[1]['data_samples']
    assert sample.unreadable_reason.startswith('sounds.csv (P01_11_1): ')
    assert torch.is_tensor(sample.gt_label)
