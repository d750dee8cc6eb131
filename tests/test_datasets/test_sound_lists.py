import csv
import subprocess
import sys

import pytest

from cast_mmaction.class_names import read_class_names
from cast_mmaction.datasets.sound_lists import (kinetics_sound_entries,
                                                vggsound_entries)
from tests.toy import ROOT


@pytest.fixture
def vggsound(tmp_path):
    """Four clips of three classes; names with commas, as there are."""
    path = tmp_path / 'vggsound.csv'
    path.write_text('---g-f_I2yQ,1,people marching,test\n'
                    '--0PQM4-hqg,30,"waterfall burbling, roaring",train\n'
                    '--56QUhyDQM,185,playing tennis,train\n'
                    '--5OkAjCI7g,40,people marching,train\n')
    return path


def prepare(*arguments):
    return subprocess.run(
        [sys.executable, 'tools/data/prepare.py', *map(str, arguments)],
        cwd=ROOT,
        text=True,
        capture_output=True)


def labels_of(annotations):
    return {entry.name: entry.label for entry in annotations.entries}


def test_vggsound_labels(vggsound):
    found = vggsound_entries(str(vggsound), 'train', num_classes=3)
    assert found.classes == [
        'people marching', 'playing tennis', 'waterfall burbling, roaring'
    ]
    assert labels_of(found) == {
        '--0PQM4-hqg_000030': 2,
        '--56QUhyDQM_000185': 1,
        '--5OkAjCI7g_000040': 0
    }
    test = vggsound_entries(str(vggsound), 'test', 3)
    assert list(labels_of(test)) == ['---g-f_I2yQ_000001']
    assert len(vggsound_entries(str(vggsound), None, 3).entries) == 4


def test_vggsound_lines_and_classes_are_checked(vggsound):
    with pytest.raises(ValueError, match='3 classes instead of 309'):
        vggsound_entries(str(vggsound), 'train')
    vggsound.write_text('id,start,label,split\n')
    with pytest.raises(ValueError, match='vggsound.csv, line 1'):
        vggsound_entries(str(vggsound), 'train')


def test_vggsound_by_the_tool(tmp_path):
    path = tmp_path / 'vggsound.csv'
    with open(path, 'w', newline='') as file:
        csv.writer(file).writerows(
            (f'video-{i:05d}', 20 + i, f'class {i % 309:03d}', 'train')
            for i in range(400))
    videos = tmp_path / 'videos'
    videos.mkdir()
    for name in ('video-00001_000021', 'video-00002_22_32',
                 'video-00003_23000_33000', 'video-00310', 'video-00005_4'):
        (videos / f'{name}.mp4').write_bytes(b'not read')
    done = prepare('vggsound', path, '--split', 'train', '--videos', videos,
                   '--out', tmp_path / 'train.txt')
    assert done.returncode == 0, done.stderr
    assert (tmp_path / 'train.txt').read_text().splitlines() == [
        'video-00001_000021.mp4 1', 'video-00002_22_32.mp4 2',
        'video-00003_23000_33000.mp4 3', 'video-00310.mp4 1'
    ]
    assert '400 annotated, 4 found' in done.stdout
    names = read_class_names(str(tmp_path / 'vggsound_classes.txt'), 309)
    assert names[3] == 'class 003'


def test_kinetics_sound(shared, tmp_path):
    path = shared / 'annotations/kinetics-400_val.csv'
    with open(path, newline='') as file:
        classes = {
            row['youtube_id']: row['label']
            for row in csv.DictReader(file)
        }
    found = kinetics_sound_entries(str(path))
    labels = labels_of(found)
    assert len(found.classes) == 31
    assert 1400 < len(labels) < 1600  # 50 of each
    assert len(set(labels.values())) == 31
    for video, label in labels.items():
        assert classes[video] == found.classes[label]
    out = tmp_path / 'val.txt'
    done = prepare('kineticssound', path, '--out', out)
    assert done.returncode == 0, done.stderr
    assert len(out.read_text().splitlines()) == len(labels)


def test_kinetics_sound_without_a_class(tmp_path):
    path = tmp_path / 'val.csv'
    path.write_text('label,youtube_id\nbowling,abc\n')
    with pytest.raises(ValueError, match='val.csv: no video of blowing nose'):
        kinetics_sound_entries(str(path))
