"""torchcodec gives the frames of PyAV, or refuses in words."""
import builtins
import errno
import os
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.runner import Runner

from cast_mmaction import host
from cast_mmaction.datasets import VideoDecode, VideoInit, torchcodec_reader
from cast_mmaction.datasets.torchcodec_reader import (TorchCodecReader,
                                                      usable_gpu)
from cast_mmaction.datasets.video import (PyAVReader, UnreadableVideo,
                                          usable_readers)
from cast_mmaction.watched_loader import WatchedLoader
from tests.decoders import needs_torchcodec, turn, write_damaged
from tests.faults.videos import KINDS, write_video

GROUPS = dict(bf='2', g='4', sc_threshold='0')
FORKED = ('Cannot re-initialize CUDA in forked subprocess. To use CUDA with '
          "multiprocessing, you must use the 'spawn' start method")


def read_all(reader):
    return np.stack(reader.read(range(len(reader))))


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    """A whole video."""
    path = tmp_path_factory.mktemp('made') / 'whole.mp4'
    write_video(path, 'mpeg4', 'yuv420p', {})
    return str(path)


@needs_torchcodec
@pytest.mark.parametrize(
    'suffix, codec, pixels, options',
    [kind for kind in KINDS if kind[0] not in ('avi', 'mpg')] +
    [('mp4', 'libx264', 'yuv420p', GROUPS),
     ('mkv', 'libx264', 'yuv420p', GROUPS),
     ('flv', 'libx264', 'yuv420p', {}),
     ('mp4', 'libx264', 'yuv420p',
      {'x264-params': 'fullrange=on:colormatrix=bt709'})])
def test_the_frames_of_pyav(tmp_path, suffix, codec, pixels, options):
    path = tmp_path / f'made.{suffix}'
    write_video(path, codec, pixels, options)
    expected = read_all(PyAVReader(str(path)))
    np.testing.assert_array_equal(
        read_all(TorchCodecReader(str(path))), expected)
    content = path.read_bytes()
    for index in range(0, len(expected), 3):
        frame, = TorchCodecReader('gone', content=content).read([index])
        np.testing.assert_array_equal(frame, expected[index])


@needs_torchcodec
def test_a_turned_video_is_upright_once(tmp_path):
    path = tmp_path / 'turned.mp4'
    write_video(path, 'libx264', 'yuv420p', {})
    turn(path)
    expected = read_all(PyAVReader(str(path)))
    assert expected.shape == (12, 64, 48, 3)
    np.testing.assert_array_equal(
        read_all(TorchCodecReader(str(path))), expected)


@needs_torchcodec
def test_the_frames_of_real_clips(shared):
    clips = sorted((shared / 'clips/actions').rglob('*.mp4'))[::25]
    assert len(clips) >= 7
    for path in map(str, clips):
        length = len(PyAVReader(path))
        wanted = np.unique(np.linspace(0, length - 1, 8).astype(int)).tolist()
        np.testing.assert_array_equal(
            TorchCodecReader(path).read(wanted),
            PyAVReader(path).read(wanted))


@needs_torchcodec
@pytest.mark.parametrize('suffix, codec', [('avi', 'mpeg4'),
                                           ('mpg', 'mpeg2video')])
def test_files_that_pyav_alone_reads(tmp_path, suffix, codec):
    path = tmp_path / f'made.{suffix}'
    write_video(path, codec, 'yuv420p', GROUPS)
    with pytest.raises(UnreadableVideo,
                       match=f"made.{suffix}: .*decoder='pyav'"):
        read_all(TorchCodecReader(str(path)))


@needs_torchcodec
def test_a_frame_made_up_by_ffmpeg_is_not_told(tmp_path):
    """What torchcodec lacks, as its reader says: if this test fails, it can
    be asked now."""
    path = tmp_path / 'damaged.mp4'
    index = write_damaged(path)[0]
    with pytest.raises(UnreadableVideo):
        PyAVReader(str(path)).read([index])
    assert len(TorchCodecReader(str(path)).read([index])) == 1


@needs_torchcodec
def test_packets_that_are_no_packets_are_refused(shared):
    """As PyAV refuses them, frame by frame."""
    path = str(shared / 'clips/odd/decode_error.mp4')

    def reads(reader, index):
        try:
            return len(reader(path).read([index]))
        except UnreadableVideo:
            return 0

    good = [x for x in range(24, 36) if reads(TorchCodecReader, x)]
    assert good and good[-1] < 35
    assert all(reads(PyAVReader, index) for index in good)


@pytest.mark.slow
@needs_torchcodec
def test_a_loader_whose_workers_are_spawned(made, tmp_path):
    """What decoding on a GPU takes."""
    (tmp_path / 'list.txt').write_text(f'{made} 0\n' * 2)
    loader = Runner.build_dataloader(
        dict(
            batch_size=2,
            num_workers=1,
            multiprocessing_context='spawn',
            sampler=dict(type='EpochSampler', shuffle=True),
            dataset=dict(
                type='VideoListDataset',
                ann_file=str(tmp_path / 'list.txt'),
                pipeline=[
                    dict(type='VideoInit', decoder='torchcodec'),
                    dict(type='ClipSampleFrames', mode='dense', clip_len=4,
                         frame_interval=2),
                    dict(type='VideoDecode'),
                    dict(type='FormatShape', input_format='NCTHW'),
                    dict(type='PackActionInputs')
                ])),
        seed=0)
    assert isinstance(loader, WatchedLoader)
    batch, = loader
    assert [x.shape for x in batch['inputs']] == [(1, 3, 4, 48, 64)] * 2


class Decoder:
    """Stands for torchcodec's, with PyAV's frames; `late` are the next."""
    error, late, options = None, 0, {}

    def __init__(self, source, **options):
        Decoder.options = options
        if Decoder.error:
            raise RuntimeError(Decoder.error)
        self._reader = PyAVReader(source)

    def get_frames_at(self, numbers):
        times = self._reader.times()[[x + Decoder.late for x in numbers]]
        data = torch.full((len(numbers), 48, 64, 3), 7, dtype=torch.uint8)
        return SimpleNamespace(data=data, pts_seconds=torch.tensor(times))


@pytest.fixture
def fake(monkeypatch):
    """A machine with torchcodec and two GPUs."""
    monkeypatch.setattr(Decoder, 'error', None)
    monkeypatch.setattr(Decoder, 'late', 0)
    monkeypatch.setitem(sys.modules, 'torchcodec', SimpleNamespace())
    monkeypatch.setitem(sys.modules, 'torchcodec.decoders',
                        SimpleNamespace(VideoDecoder=Decoder))
    monkeypatch.setattr(torchcodec_reader, 'torchcodec_problem', lambda: None)
    monkeypatch.setattr(torch.cuda, 'init', lambda: None)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    monkeypatch.setattr(torch.cuda, 'current_device', lambda: 1)
    monkeypatch.delenv('LOCAL_RANK', raising=False)
    return Decoder


@pytest.mark.parametrize('device, rank, expected', [('cuda', None, 'cuda:1'),
                                                     ('cuda', '2', 'cuda:0'),
                                                     ('cuda:0', '1', 'cuda:0'),
                                                     ('cpu', '1', 'cpu')])
def test_the_gpu_of_this_process(made, fake, monkeypatch, device, rank,
                                 expected):
    if rank:
        monkeypatch.setenv('LOCAL_RANK', rank)
    results = VideoInit('torchcodec', device=device)(dict(filename=made))
    results['frame_inds'] = np.array([5, 0, 5])
    results = VideoDecode(short_side=24)(results)
    assert fake.options['device'] == expected
    assert fake.options['num_ffmpeg_threads'] == 1
    assert [x.shape for x in results['imgs']] == [(24, 32, 3)] * 3
    assert results['imgs'][0].min() == 7


def test_a_neighbour_is_not_taken_for_a_frame(made, fake):
    fake.late = 1
    with pytest.raises(UnreadableVideo, match='frame 3 of 12 cannot be decod'):
        TorchCodecReader(made).read([3])


@pytest.mark.parametrize('device, message, kind, words', [
    ('cpu', 'f, /a/b.cpp:3, Could not push packet to decoder: Invalid data\n-',
     UnreadableVideo, r"t read it \(Could not push.* data\); decoder='pyav'"),
    ('cpu', f'Could not open input file: a {os.strerror(errno.EMFILE)}',
     OSError, 'Too many open files'),
    ('cuda:0', 'CUDA error: out of memory', RuntimeError, 'cuda:0 fails .CUD'),
    ('cuda:0', 'f, /a/NVDECCache.cpp:3, Could not push packet to decoder: '
     'Generic error', UnreadableVideo, 'Could not push packet'),
])
def test_whose_fault_it_is(made, fake, device, message, kind, words):
    fake.error = message
    with pytest.raises(kind, match=words) as caught:
        TorchCodecReader(made, device=device).read([0])
    assert caught.type is kind and 'whole.mp4' in str(caught.value)


def test_a_gpu_in_a_forked_worker(made, fake, monkeypatch):

    def init():
        raise RuntimeError(FORKED)

    monkeypatch.setattr(torch.cuda, 'init', init)
    with pytest.raises(RuntimeError, match="num_workers=0 or multiprocessing_"
                       "context='spawn'"):
        TorchCodecReader(made, device='cuda')


@pytest.mark.skipif(torch.cuda.is_available(), reason='about CPU machines')
def test_no_gpu():
    with pytest.raises(RuntimeError, match="device='cpu' takes none of them"):
        usable_gpu('cuda')


@pytest.mark.parametrize('options', [
    dict(device='cuda'),
    dict(decoder='decord', device='cuda'),
    dict(decoder='torchcodec', device='mps')
])
def test_devices_that_a_decoder_has_not(options):
    with pytest.raises(ValueError, match="'cuda' with decoder='torchcodec'"):
        VideoInit(**options)


@pytest.mark.parametrize('found, module, words', [
    (None, None, "is installed. Run: pip install 'cast-mmaction.torchcodec.'"),
    ('0.10', None, 'torchcodec>=0.17 is needed, 0.10 is'),
    ('0.17', OSError('libtorch_cuda.so'), 'be loaded .libtorch_cuda.so.'),
    ('0.17', SimpleNamespace(ffmpeg_major_version=None), 'finds no FFmpeg'),
    ('0.17', SimpleNamespace(ffmpeg_major_version=5), None)
])
def test_what_is_missing(made, monkeypatch, found, module, words):
    original = builtins.__import__

    def load(name, *args, **kwargs):
        if name != 'torchcodec':
            return original(name, *args, **kwargs)
        if isinstance(module, Exception):
            raise module
        return module

    monkeypatch.setattr(builtins, '__import__', load)
    monkeypatch.setattr(host, 'installed', lambda package: found)
    host.torchcodec_problem.cache_clear()
    try:
        if words is None:
            assert 'torchcodec' in usable_readers()
        else:
            assert [*usable_readers()] == ['pyav', 'decord']
            with pytest.raises(ImportError, match=words):
                TorchCodecReader(made)
    finally:
        host.torchcodec_problem.cache_clear()
