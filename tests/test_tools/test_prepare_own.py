"""`prepare.py folder` and `csv`: from a folder of videos to a training."""
import csv
import os
import re
import sys

import av
import numpy as np
import pytest
from mmaction.registry import DATASETS
from mmengine.config import Config

from tests.toy import load_tool

prepare = load_tool('data/prepare')


@pytest.fixture
def run(monkeypatch, capsys):
    """Calls the tool; gives what it printed, or its error."""

    def call(*args):
        monkeypatch.setattr(sys, 'argv', ['prepare.py', *map(str, args)])
        try:
            prepare.main()
        except SystemExit as stop:
            return stop.code
        return capsys.readouterr().out

    return call


def write_video(path, seed=0):
    """Eight frames of 48 x 32 noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.RandomState(seed)
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('mpeg4', rate=8)
        stream.width, stream.height = 48, 32
        for _ in range(8):
            frame = av.VideoFrame.from_ndarray(
                rng.randint(0, 255, (32, 48, 3), np.uint8), 'rgb24')
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


@pytest.fixture
def videos(tmp_path):
    for place, name in enumerate(['cut bread', 'wave']):
        for number in range(5):
            write_video(tmp_path / f'videos/{name}/{number} a.mp4',
                        10 * place + number)
    return tmp_path / 'videos'


def lines(path):
    return path.read_text().splitlines()


def test_folder(run, videos, tmp_path):
    out = tmp_path / 'out'
    text = run('folder', videos, '--out', out, '--size', 'small')
    assert '8 clips to train on, 2 to validate on; 2 labels' in text
    assert lines(out / 'classes.txt') == ['cut bread', 'wave']
    train, val = lines(out / 'train.txt'), lines(out / 'val.txt')
    assert len(train) == 8 and not set(train) & set(val)
    assert sorted(line.rpartition(' ')[2] for line in val) == ['0', '1']

    cfg = Config.fromfile(out / 'config.py')
    assert cfg.work_dir == f'work_dirs/{out.name}'  # not of all own data sets
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    assert dataset.metainfo['classes'] == ['cut bread', 'wave']
    assert dataset[0]['inputs'].shape == (1, 3, 16, 112, 112)
    assert cfg.model.cls_head.num_classes == 2
    # Once more: the same split, and an edited config stays.
    (out / 'config.py').write_text('edited = 1')
    assert 'stays as it is' in run(
        'folder', videos, '--out', out, '--size', 'small')
    assert lines(out / 'val.txt') == val
    assert (out / 'config.py').read_text() == 'edited = 1'


def test_sizes_are_stated_once(run, videos, tmp_path):
    out = tmp_path / 'out'
    run('folder', videos, '--out', out)
    path = out / 'config.py'
    text = path.read_text()
    assert text.count('224') == 1 and text.count('num_classes = ') == 1
    path.write_text(text.replace('img_size = 224', 'img_size = 64').replace(
        'num_classes = 2', 'num_classes = 3'))
    cfg = Config.fromfile(path)
    assert cfg.model.backbone.spatial.img_size == 64
    assert cfg.model.cls_head.num_classes == 3
    assert cfg.model.data_preprocessor.blending.augments.num_classes == 3
    with pytest.raises(ValueError, match='2 names for num_classes=3'):
        DATASETS.build(cfg.val_dataloader.dataset)


def test_csv_of_verbs_and_nouns(run, videos, tmp_path):
    table = tmp_path / 'table.csv'
    rows = [('file', 'verb', 'noun')]
    for number in range(5):
        rows += [(f'cut bread/{number} a.mp4', 'cut', 'bread'),
                 (f'wave/{number} a.mp4', 'wave', 'hand, left')]
    with open(table, 'w', newline='') as file:
        csv.writer(file).writerows(rows)
    out = tmp_path / 'out'
    run('csv', table, '--videos', videos, '--out', out, '--size', 'small')
    cfg = Config.fromfile(out / 'config.py')
    dataset = DATASETS.build(cfg.val_dataloader.dataset)
    assert dataset.metainfo['noun_classes'] == ['bread', 'hand, left']
    assert len(dataset) == 2
    sample = dataset[0]['data_samples']
    assert int(sample.gt_verb) == int(sample.gt_noun)


def test_a_split_that_somebody_has_made(run, videos, tmp_path):
    table = tmp_path / 'videos/table.csv'
    table.write_text('file,label,split\n' + ''.join(
        f'wave/{n} a.mp4,w,{"val" if n == 3 else "train"}\n'
        for n in range(5)))
    run('csv', table, '--out', tmp_path / 'out')
    assert lines(tmp_path / 'out/val.txt') == ['wave/3 a.mp4 0']


def test_what_is_no_video_is_named(run, videos, tmp_path):
    (videos / 'wave/readme.txt').write_text('hello')
    (videos / 'wave/photo.png').write_bytes(b'png')
    (videos / 'wave/empty.mp4').touch()
    os.symlink('nowhere.mp4', videos / 'wave/link.mp4')
    text = run('folder', videos, '--out', tmp_path / 'out')
    assert '4 files were passed over' in text
    listed = '\n'.join(lines(tmp_path / 'out/passed_over.txt'))
    for line in ('readme.txt: not a video', 'photo.png: not a video',
                 'empty.mp4: the file is empty',
                 'link.mp4: a link to nothing (nowhere.mp4)'):
        assert line in listed


def table_of(text):

    def make(videos, tmp_path):
        path = tmp_path / 'table.csv'
        path.write_text(text)
        return ['csv', path, '--videos', videos]

    return make


def empty_folder(videos, tmp_path):
    (tmp_path / 'empty/a').mkdir(parents=True)
    return ['folder', tmp_path / 'empty']


def single_clip(videos, tmp_path):
    write_video(videos / 'rare/0.mp4')
    return ['folder', videos]


def beside(videos, tmp_path):
    write_video(videos / 'lost.mp4')
    return ['folder', videos]


@pytest.mark.parametrize('make, message', [
    (lambda videos, tmp_path: ['folder', tmp_path / 'absent'],
     'absent: there is no such folder'),
    (empty_folder, 'empty: no video in any folder of it'),
    (single_clip, "only one clip of 'rare': a class needs at least two"),
    (beside, 'lost.mp4: lies beside the classes'),
    (table_of('path,label\n'), "the columns are 'path, label'; expected"),
    (table_of('file,label\nwave/0 a.mp4\n'), 'line 2 .*: 1 columns, expec'),
    (table_of('file,label\nwave/0 a.mp4,\n'), 'line 2: an empty label'),
    (table_of('file,label\nwave/0 a.mp4,a,b\n'), 'line 2 .*: 3 columns, exp'),
    (table_of('file,label\nwave/0 a.mp4,a\nwave/0 a.mp4,b\n'),
     'line 3: .wave/0 a.mp4. is there twice'),
    (table_of('file,label\nabsent.mp4,a\n'), 'line 2\\): there is no such'),
    (table_of('file,label,split\nwave/0 a.mp4,a,test\n'),
     "split is 'test', neither train nor val"),
    (table_of('file,label\n"wave/0 a.mp4,a\n'), 'line 2: broken CSV'),
])
def test_bad_input(run, videos, tmp_path, make, message):
    text = run(*make(videos, tmp_path), '--out', tmp_path / 'out')
    assert text.startswith('error: ') and re.search(message, text), text
    assert '\n' not in text
    assert not (tmp_path / 'out').exists()
