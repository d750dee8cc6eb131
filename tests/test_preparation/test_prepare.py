"""`prepare.py kinetics` and `epic` on files that the tests make."""
import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple

import av
import numpy as np
import pytest

from cast_mmaction.datasets.sound import read_sound
from cast_mmaction.datasets.video import PyAVReader
from cast_mmaction.preparation import encode, work
from tests.conftest import ROOT
from tests.faults.videos import write_video
from tests.toy import load_tool

tool = load_tool('data/prepare')

CODECS = ['pyav'] + ['ffmpeg'] * bool(shutil.which('ffmpeg'))


def make_video(path, frames=75, rate=25, size=(96, 64)):
    """A grey that rises by 3 a frame, beside a tone."""
    with av.open(str(path), 'w') as container:
        stream = container.add_stream(
            'libx264', rate=rate, options=dict(g='250', qp='4'))
        stream.width, stream.height = size
        stream.pix_fmt = 'yuv420p'
        sound = container.add_stream('aac', rate=16000)
        sound.layout = 'mono'
        for number in range(frames):
            image = np.full((size[1], size[0], 3), 3 * number, np.uint8)
            container.mux(
                stream.encode(av.VideoFrame.from_ndarray(image, 'rgb24')))
        container.mux(stream.encode())
        tone = np.sin(np.arange(16000 * frames // rate) / 5)
        wave = av.AudioFrame.from_ndarray(
            tone[None].astype(np.float32), 'fltp', 'mono')
        wave.sample_rate, wave.pts = 16000, 0
        container.mux(sound.encode(wave))
        container.mux(sound.encode())
    return path


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    return make_video(tmp_path_factory.mktemp('whole') / 'whole.mp4')


@pytest.fixture
def codec(request, monkeypatch):
    """Encode with PyAV, as where there is no ffmpeg, or with ffmpeg."""
    if request.param == 'pyav':
        monkeypatch.setattr(encode, 'encoder', lambda: 'pyav')
        monkeypatch.setattr(work, 'encoder', lambda: 'pyav')


@pytest.fixture
def root(tmp_path, whole):
    """Annotations of two classes, and most of their videos."""
    (tmp_path / 'train.csv').write_text(
        'label,youtube_id,time_start,time_end,split\n'
        'archery,t1,1,11,train\nbowling,t2,5,15,train\n')
    (tmp_path / 'val.csv').write_text(
        'label,youtube_id,time_start,time_end,split,is_cc\n'
        'archery,v1,1,11,val,0\nbowling,v2,5,15,val,1\n'
        'bowling,v3,5,15,val,1\nbowling,v4,5,15,val,1\n')
    folder = tmp_path / 'videos'
    (folder / 'bowling').mkdir(parents=True)
    for name in ('t1_000001_000011', 'bowling/t2', 'v1_raw'):
        shutil.copy(whole, folder / f'{name}.mp4')
    (folder / 'v2.mp4').touch()
    (folder / 'v3.mp4').write_bytes(whole.read_bytes()[:4000])
    return tmp_path


def run(root, *options, command='kinetics', files=('train.csv', 'val.csv')):
    tool.main([
        command, *(str(root / file) for file in files), '--videos',
        str(root / 'videos'), '--out',
        str(root / 'out'), '--workers', '2', *map(str, options)
    ])


def lines(path):
    return path.read_text().splitlines()


@pytest.mark.parametrize('codec', CODECS, indirect=True)
def test_from_archive_to_lists(root, codec, capsys):
    small = root / 'small'
    run(root, '--num-classes', 2, '--resized', small, '--short-side', 32,
        '--key-frames', 10)
    out = root / 'out'
    assert lines(out / 'train.txt') == ['t1_000001_000011.mp4 0',
                                        'bowling/t2.mp4 1']
    assert lines(out / 'val.txt') == ['v1_raw.mp4 0']
    assert lines(out / 'kinetics_classes.txt') == ['archery', 'bowling']
    with open(out / 'report.csv', newline='') as file:
        archery, bowling = csv.DictReader(file)
    assert (archery['annotated'], archery['found']) == ('2', '2')
    assert {key: bowling[key] for key in ('annotated', 'found', 'missing',
                                          'zero bytes', 'broken')} == {
        'annotated': '4', 'found': '1', 'missing': '1', 'zero bytes': '1',
        'broken': '1'}
    problems = '\n'.join(lines(out / 'problems.txt'))
    assert 'broken\tv3\t' in problems and 'missing\tv4\t' in problems

    path = small / 'bowling/t2.mp4'
    frames = PyAVReader(str(path)).read(range(75))
    assert frames[0].shape == (32, 48, 3)
    for number in (0, 40, 74):
        assert abs(frames[number].mean() - 3 * number) < 4
    with av.open(str(path)) as container:
        keys = [round(x.pts * x.time_base * 25) for x in
                container.demux(video=0) if x.is_keyframe and x.size]
    assert sorted(keys) == list(range(0, 75, 10))
    sound = read_sound(str(path), 0.5, 16000, 16000)
    assert sound.share == 1 and abs(sound.samples).max() > 0.7

    # Once more: nothing is made, a lost journal costs reading alone.
    before = {x: x.stat().st_mtime_ns for x in small.rglob('*.mp4')}
    capsys.readouterr()
    options = ('--num-classes', 2, '--resized', small, '--short-side', 32)
    (out / 'journal').unlink()
    run(root, *options)
    assert '3 good files were in' in capsys.readouterr().out
    assert before == {x: x.stat().st_mtime_ns for x in small.rglob('*.mp4')}
    run(root, *options)
    assert '4 of 4 videos are known' in capsys.readouterr().out
    # What was damaged since is made again, a mended source too.
    path.write_bytes(path.read_bytes()[:1000])
    shutil.copy(root / 'videos/v1_raw.mp4', root / 'videos/v3.mp4')
    run(root, *options)
    assert len(PyAVReader(str(path))) == 75
    assert lines(out / 'val.txt') == ['v1_raw.mp4 0', 'v3.mp4 1']


EPIC = ('narration_id,participant_id,video_id,start_timestamp,'
        'stop_timestamp,start_frame,stop_frame,verb_class,noun_class\n'
        'P01_01_0,P01,P01_01,00:00:00.00,00:00:01.00,0,25,0,2\n'
        'P01_01_1,P01,P01_01,00:00:01.21,00:00:02.03,30,50,3,4\n'
        'P01_01_2,P01,P01_01,00:00:02.041,00:00:02.05,50,51,3,4\n'
        'P01_01_3,P01,P01_01,00:00:07.00,00:00:09.00,175,225,3,4\n'
        'P02_01_0,P02,P02_01,00:00:00.00,00:00:01.00,0,25,0,2\n')


@pytest.mark.parametrize('codec', CODECS, indirect=True)
def test_segments_of_epic(root, whole, codec, capsys):
    (root / 'EPIC_100_train.csv').write_text(EPIC)
    video = root / 'videos/P01_01.MP4'
    shutil.copy(whole, video)
    options = dict(command='epic', files=['EPIC_100_train.csv'])
    run(root, **options)
    assert "path_template='{video_id}.MP4'" in capsys.readouterr().out
    assert len(lines(root / 'out/EPIC_100_train.csv')) == 5  # P02 is not there
    run(root, '--clips', root / 'clips', **options)
    assert lines(root / 'out/EPIC_100_train.csv') == EPIC.splitlines()[:4]
    for name, start, stop in [('P01_01_0', 0, 1), ('P01_01_1', 1.21, 2.03),
                              ('P01_01_2', 2.041, 2.05)]:
        expected = PyAVReader(str(video), start, stop)
        clip = PyAVReader(str(root / f'clips/{name}.mp4'))
        assert len(clip) == len(expected)
        everything = range(len(clip))
        for one, other in zip(clip.read(everything),
                              expected.read(everything)):
            assert abs(one.mean() - other.mean()) < 2
    sound = read_sound(str(root / 'clips/P01_01_1.mp4'), 0.1, 8000, 16000)
    assert sound.share == 1
    problems = '\n'.join(lines(root / 'out/problems.txt'))
    assert 'broken\tP01_01_3\t' in problems and 'not inside' in problems
    assert 'missing\tP02_01_0\t' in problems
    with pytest.raises(SystemExit, match='stays as it is: give another'):
        tool.main([
            'epic', str(root / 'EPIC_100_train.csv'), '--videos',
            str(root / 'videos'), '--out', str(root)
        ])


def test_a_stop_costs_the_file_at_hand(root, whole):
    """Killed in the middle, by a signal that nobody can catch."""
    long = make_video(root / 'long.mp4', frames=40, size=(640, 480))
    rows = ['label,youtube_id'] + [f'archery,c{x:02d}' for x in range(12)]
    (root / 'many.csv').write_text('\n'.join(rows) + '\n')
    for number in range(12):
        shutil.copy(long, root / f'videos/c{number:02d}.mp4')
    command = [
        sys.executable, 'tools/data/prepare.py', 'kinetics',
        str(root / 'many.csv'), '--videos', str(root / 'videos'), '--out',
        str(root / 'many.txt'), '--resized', str(root / 'small'),
        '--num-classes', '1', '--workers', '1'
    ]
    first = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    while len(list(root.glob('small/c*.mp4'))) < 2:
        assert first.poll() is None
        time.sleep(0.02)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert not (root / 'many.txt').exists()
    time.sleep(2)  # the file at hand is ended, and then the worker
    done = {x: x.stat().st_mtime_ns for x in root.glob('small/c*.mp4')}
    assert 2 <= len(done) < 12
    tool.main(command[2:])
    after = {x: x.stat().st_mtime_ns for x in root.glob('small/c*.mp4')}
    assert len(after) == 12 and done.items() <= after.items()
    assert len(lines(root / 'many.txt')) == 12


def test_a_full_disk(root, monkeypatch, capsys):
    usage = namedtuple('usage', 'total used free')
    options = ('--num-classes', 2, '--resized', root / 'small')
    monkeypatch.setattr(shutil, 'disk_usage', lambda path: usage(9, 9, 100))
    with pytest.raises(SystemExit) as caught:
        run(root, *options)
    assert 'GB are free. Make room there' in str(caught.value)
    assert not list(root.rglob('small/*.mp4'))
    monkeypatch.undo()

    def full(order):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(work, 'make', full)
    with pytest.raises(SystemExit) as caught:
        run(root, *options)
    assert 'goes on from here' in str(caught.value)
    monkeypatch.undo()
    run(root, *options)
    assert len(lines(root / 'out/train.txt')) == 2


def test_contradictions_are_told_without_videos(root, capsys):
    with open(root / 'val.csv', 'a') as file:
        file.write('archery,v2,5,15,val,1\nbowling,t2,5,15,val,1\n')
    tool.main(['kinetics', str(root / 'train.csv'), str(root / 'val.csv'),
               '--out', str(root / 'out'), '--num-classes', '2'])
    assert lines(root / 'out/train.txt') == ['t1.mp4 0']
    assert 't2.mp4 1' in lines(root / 'out/val.txt')
    text = capsys.readouterr().out
    assert 'contradictory: v2' in text and 'contradictory: t2' in text


def test_neither_ffmpeg_nor_pyav(monkeypatch):
    monkeypatch.setenv('PATH', '')
    assert encode.encoder() == 'pyav'
    monkeypatch.setitem(sys.modules, 'av', None)
    with pytest.raises(FileNotFoundError, match='the package ffmpeg'):
        encode.encoder()


def test_lists_without_reading(root, shared, capsys):
    run(root, '--num-classes', 2)
    assert len(lines(root / 'out/val.txt')) == 2  # the broken one too
    assert '--verify reads every one' in capsys.readouterr().out
    run(root, '--num-classes', 2, '--verify', '--shards', root / 'shards')
    assert len(lines(root / 'out/val.txt')) == 1
    assert len(lines(root / 'shards/train.txt')) == 2
    assert (root / 'shards/val-000000.tar').is_file()
    (root / 'v2-test.json').write_text('[{"id": "t1"}, {"id": "t2"}]')
    run(root, '--labels',
        shared / 'annotations/something-something-v2-labels.json',
        command='ssv2', files=['v2-test.json'])
    assert lines(root / 'out/test.txt') == ['t1_000001_000011.mp4',
                                            'bowling/t2.mp4']


@pytest.mark.parametrize('options, message', [
    ([], 'names 2 classes instead of 400, 600 or 700'),
    (['--num-classes', 2, '--out', 'one.txt'], 'is one list, but .*train, v'),
    (['--num-classes', 2, '--resized', 'videos/b'], 'lies in .*videos'),
    (['--num-classes', 2, '--short-side', 0], '--short-side must be positive'),
    (['--num-classes', 2, '--videos', 'none'], 'none: there is no such fol'),
])
def test_wrong_options(root, monkeypatch, options, message):
    monkeypatch.chdir(root)
    with pytest.raises(SystemExit, match=f'error: .*{message}'):
        run(root, *options)


def test_a_rotated_source_stands_upright(shared, tmp_path):
    source = str(shared / 'clips/odd/rotated_90_3_frames.mov')
    for name in CODECS:
        order = encode.Order(source, str(tmp_path / f'{name}.mp4'), 80)
        plan = encode._plan(order)
        if name == 'pyav':
            encode._with_pyav(order, plan, order.target)
        else:
            encode.make(order)
        made = PyAVReader(order.target).read(range(3))
        first, = PyAVReader(source).read([0])
        assert made[0].shape == (142, 80, 3)
        small = first[::4, ::4][:142, :80].astype(int)
        assert abs(made[0] - small[:142]).mean() < 25
