import os
import pickle
import resource
import shutil
import socket
import struct
import zlib

import av  # noqa: F401  (before decord, as its reader imports them)
import cv2
import decord
import numpy as np
import pytest

from cast_mmaction.datasets import pyav_reader, torchcodec_reader
from cast_mmaction.datasets.loading import VideoDecode, VideoInit
from cast_mmaction.datasets.video import (READERS, FrameFolder, PyAVReader,
                                          UnreadableVideo)
from tests.decoders import (DECODERS, OTHERS, needs_torchcodec,
                            write_damaged)
from tests.faults.videos import write_video

# Frames and size of the unusual files that all decoders read.
READABLE = {
    'five_frames.mp4': (5, 256, 340),
    'gray.mp4': (56, 256, 340),
    'hevc.mp4': (56, 256, 340),
    'odd_341x257.mp4': (56, 257, 341),
    'one_frame.mp4': (1, 256, 340),
    'rotated_90_3_frames.mov': (3, 568, 320),
    'single_gop.mp4': (56, 256, 340),
    'tall_64x512.mp4': (56, 512, 64),
    'vfr.mp4': (78, 256, 340),
    'vp9.webm': (56, 256, 340),
}
NOT_BY_DECORD = {
    'av1.mp4': (28, 256, 340),
    'start_not_keyframe.mp4': (58, 256, 340),
}
UNREADABLE = [
    'audio_only.mp4', 'decode_error.mp4', 'text_renamed.mp4',
    'truncated_half.mp4', 'zero_bytes.mp4', 'missing.mp4'
]


@pytest.fixture(scope='module')
def odd(shared):
    return shared / 'clips/odd'


def read_all(reader):
    return np.stack(reader.read(range(len(reader))))


@pytest.mark.parametrize('name, decoder', [
    pytest.param(name, *decoder.values, marks=decoder.marks)
    for decoder in OTHERS for name in [*READABLE, *NOT_BY_DECORD]
    if decoder.values != ('decord', ) or name in READABLE
])
def test_decoders_agree(odd, name, decoder):
    frames = [
        read_all(READERS[key](str(odd / name))) for key in ('pyav', decoder)
    ]
    assert frames[0].shape == {**READABLE, **NOT_BY_DECORD}[name] + (3, )
    assert frames[0].dtype == frames[1].dtype == np.uint8
    np.testing.assert_array_equal(*frames)


@pytest.mark.parametrize('name', NOT_BY_DECORD)
def test_files_that_decord_does_not_read(odd, name):
    path = str(odd / name)
    with pytest.raises(UnreadableVideo, match=f"{name}.*decoder='pyav'"):
        READERS['decord'](path)


@pytest.mark.parametrize('decoder', DECODERS)
@pytest.mark.parametrize('name', UNREADABLE)
def test_damaged_file_is_named(odd, name, decoder):
    with pytest.raises(UnreadableVideo, match=name):
        read_all(READERS[decoder](str(odd / name)))


def test_every_file_has_an_expectation(odd):
    known = {*READABLE, *NOT_BY_DECORD, *UNREADABLE}
    assert {path.name for path in odd.iterdir()} <= known


@pytest.mark.parametrize('decoder', DECODERS)
def test_cut_file_is_named(shared, tmp_path, decoder):
    # The index at the front is whole, half of the frames are gone.
    whole = (shared / 'clips/arm_wrestling.mp4').read_bytes()
    path = tmp_path / 'cut.mp4'
    path.write_bytes(whole[:len(whole) // 2])
    with pytest.raises(UnreadableVideo, match='cut.mp4'):
        read_all(READERS[decoder](str(path)))


@pytest.mark.parametrize('decoder', DECODERS)
@pytest.mark.parametrize(
    'indices', [[0], [279], [0, 279], [185, 186, 187, 188],
                list(range(100, 164, 4)),
                list(range(0, 280, 17))])
def test_chosen_frames_are_those_of_the_whole_video(shared, decoder, indices):
    path = str(shared / 'clips/arm_wrestling.mp4')
    everything = PyAVReader(path).read(range(280))
    frames = READERS[decoder](path).read(indices)
    for index, frame in zip(indices, frames):
        np.testing.assert_array_equal(frame, everything[index])


class Counted:
    """A file whose packets are counted when they are read."""

    def __init__(self, container):
        self._container, self.packets = container, 0

    def __getattr__(self, name):
        return getattr(self._container, name)

    def __enter__(self):
        return self._container.__enter__()

    def __exit__(self, *error):
        return self._container.__exit__(*error)

    def demux(self, stream):
        for packet in self._container.demux(stream):
            self.packets += 1
            yield packet


@pytest.mark.parametrize('suffix, codec', [('mp4', 'libx264'),
                                           ('mkv', 'libx264'),
                                           ('avi', 'mpeg4'),
                                           ('mpg', 'mpeg2video')])
def test_reading_begins_at_the_key_frame_and_ends_with_the_last(
        tmp_path, suffix, codec):
    """With B frames; an mp4 is asked for times of presentation."""
    path = tmp_path / f'keys.{suffix}'
    write_video(path, codec, 'yuv420p', dict(bf='2', g='4', sc_threshold='0'))
    everything = read_all(PyAVReader(str(path)))
    assert len(everything) == 12
    reader = PyAVReader(str(path))
    keys = [i for i, x in enumerate(reader._packets) if x.is_key]
    index, group = keys[1] + 1, keys[2] - keys[1]
    counted = reader._container = Counted(reader._container)
    np.testing.assert_array_equal(
        reader.read([index])[0], everything[index])
    if suffix == 'mp4':  # the others may land further ahead
        assert counted.packets <= group
    for index in range(len(everything)):
        np.testing.assert_array_equal(
            PyAVReader(str(path)).read([index])[0], everything[index])


@pytest.mark.parametrize('decoder', DECODERS)
def test_frames_of_the_size_that_is_needed(shared, decoder):
    path = str(shared / 'clips/odd/odd_341x257.mp4')
    whole, = READERS[decoder](path).read([30])
    small, = READERS[decoder](path).read([30], short_side=128)
    assert small.shape == (128, 170, 3)
    expected = cv2.resize(whole, (170, 128), interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - expected).mean() < 2
    same, = READERS[decoder](path).read([30], short_side=257)
    np.testing.assert_array_equal(same, whole)  # never enlarged


def test_small_frames_of_other_sources(shared, frame_dir):
    folder = FrameFolder(str(frame_dir), 'frame_{:010d}.png', 1, 7)
    assert folder.read([0], short_side=10)[0].shape == (10, 15, 3)
    results = VideoInit()(
        dict(filename=str(shared / 'clips/odd/rotated_90_3_frames.mov')))
    results['frame_inds'] = np.array([0, 2])
    results = VideoDecode(short_side=80)(results)  # upright: 568 x 320
    assert results['img_shape'] == results['imgs'][1].shape[:2] == (142, 80)
    with pytest.raises(ValueError, match='short_side must be at least 1'):
        VideoDecode(short_side=0)


@pytest.mark.parametrize('name', ['arm_wrestling.mp4', 'odd/vfr.mp4'])
@pytest.mark.parametrize('segment', [(0., 1.), (2.3, 4.1), (1., 1.001)])
@pytest.mark.parametrize('decoder', OTHERS)
def test_segments_agree_with_the_whole_video(shared, name, segment, decoder):
    path = str(shared / 'clips' / name)
    readers = [READERS[key](path, *segment) for key in ('pyav', decoder)]
    assert len(readers[0]) == len(readers[1])
    frames = [read_all(reader) for reader in readers]
    np.testing.assert_array_equal(*frames)
    if name == 'arm_wrestling.mp4':  # 28 frames a second
        first = int(np.ceil(segment[0] * 28))
        whole = PyAVReader(path).read(range(first, first + len(frames[0])))
        np.testing.assert_array_equal(frames[0], whole)


@pytest.mark.parametrize('decoder', DECODERS)
@pytest.mark.parametrize('segment', [(9., 12.), (30., 31.)])
def test_segment_past_the_end(shared, decoder, segment):
    path = str(shared / 'clips/arm_wrestling.mp4')
    with pytest.raises(UnreadableVideo, match='wrestling.*ends at 10.00 s'):
        READERS[decoder](path, *segment)


def test_segment_reads_only_its_part_of_the_file(shared):
    reader = PyAVReader(str(shared / 'clips/arm_wrestling.mp4'), 8.5, 9.)
    assert len(reader._packets) < 100  # of 280: from the key frame before


@pytest.fixture
def frame_dir(tmp_path):
    for number in range(1, 8):
        image = np.full((20, 30, 3), 0, np.uint8)
        image[..., 2] = 30 * number  # red, in OpenCV's order
        cv2.imwrite(str(tmp_path / f'frame_{number:010d}.png'), image)
    return tmp_path


def test_frame_folder_gives_rgb_frames_of_the_segment(frame_dir):
    folder = FrameFolder(str(frame_dir), 'frame_{:010d}.png', 3, 6)
    assert len(folder) == 4
    frames = folder.read([0, 3])
    assert [frame[0, 0].tolist() for frame in frames] == [[90, 0, 0],
                                                          [180, 0, 0]]


def test_frame_folder_without_the_last_frame(frame_dir):
    with pytest.raises(UnreadableVideo, match='frame_0000000009.png'):
        FrameFolder(str(frame_dir), 'frame_{:010d}.png', 3, 9)


@pytest.mark.parametrize('decoder', DECODERS)
def test_pipeline_steps_open_once_and_share_frames(shared, decoder):
    results = VideoInit(decoder)(
        dict(filename=str(shared / 'clips/odd/five_frames.mp4')))
    assert (results['total_frames'], results['start_index']) == (5, 0)
    assert results['avg_fps'] == pytest.approx(28)
    results['frame_inds'] = np.array([4, 0, 4, 2])
    results = VideoDecode()(results)
    assert results['imgs'][0] is results['imgs'][2]
    assert results['img_shape'] == results['original_shape'] == (256, 340)
    everything = PyAVReader(results['filename']).read(range(5))
    for index, image in zip([4, 0, 4, 2], results['imgs']):
        np.testing.assert_array_equal(image, everything[index])
    with pytest.raises(ValueError):
        results['imgs'][0][:] = 0


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    """A whole video that needs no file of others."""
    path = tmp_path_factory.mktemp('made') / 'whole.mp4'
    write_video(path, 'mpeg4', 'yuv420p', {})
    return path


@pytest.mark.parametrize('decoder', DECODERS)
def test_a_title_in_another_encoding_is_no_fault(made, tmp_path, decoder):
    path = tmp_path / 'latin-1.mp4'
    path.write_bytes(made.read_bytes().replace(b'moving', b'm\xe9ving'))
    assert b'\xe9' in path.read_bytes()
    np.testing.assert_array_equal(
        read_all(READERS[decoder](str(path))),
        read_all(READERS[decoder](str(made))))


@pytest.mark.parametrize('suffix, codec', [('avi', 'mpeg4'),
                                           ('mp4', 'libx264')])
def test_frames_come_in_the_order_in_which_they_were_written(
        tmp_path, suffix, codec):
    """Ever brighter, with B frames."""
    path = tmp_path / f'order.{suffix}'
    write_video(path, codec, 'yuv420p', dict(bf='2'))
    levels = [frame[:, -1].mean() for frame in read_all(PyAVReader(str(path)))]
    assert len(levels) == 12 and levels == sorted(levels)


@pytest.mark.parametrize('decoder', DECODERS)
def test_frames_whose_order_is_not_known_are_refused(tmp_path, decoder):
    """They would come as 0, 3, 1, 2, 6, ...: as they are decoded."""
    path = tmp_path / 'order.avi'
    write_video(path, 'libx264', 'yuv420p', dict(bf='2'))
    assert len(PyAVReader(str(path))) == 12
    with pytest.raises(UnreadableVideo, match='order.avi'):
        read_all(READERS[decoder](str(path)))


@pytest.mark.parametrize('decoder', DECODERS)
def test_unknown_codec_is_named(tmp_path, decoder):
    path = tmp_path / 'strange.mkv'
    write_video(path, 'mpeg4', 'yuv420p', {})
    path.write_bytes(path.read_bytes().replace(b'V_MPEG4', b'V_ODDLY'))
    with pytest.raises(UnreadableVideo,
                       match='strange.mkv: has an unknown codec'):
        READERS[decoder](str(path))


def test_a_damaged_frame_is_not_taken_for_a_good_one(tmp_path):
    """FFmpeg makes one up from its neighbours, and says that it did."""
    path = tmp_path / 'damaged.mp4'
    made_up = write_damaged(path)
    assert made_up
    for index in made_up:
        with pytest.raises(UnreadableVideo, match=f'frame {index} of 12 cann'):
            PyAVReader(str(path)).read([index])
    good = min(made_up) - 1
    assert len(PyAVReader(str(path)).read([good])) == 1


@pytest.mark.parametrize(
    'decoder', ['pyav', pytest.param('torchcodec', marks=needs_torchcodec)])
def test_a_size_beyond_all_sizes(made, monkeypatch, decoder):
    for module in (pyav_reader, torchcodec_reader):
        monkeypatch.setattr(module, 'MAX_PIXELS', 64 * 48 - 1)
    with pytest.raises(UnreadableVideo, match='whole.mp4'):
        read_all(READERS[decoder](str(made)))


def test_decord_is_not_asked_about_a_file_that_announces_too_much(
        made, tmp_path, monkeypatch):
    """It would take memory for a billion frames, and die for want of it."""
    path = tmp_path / 'announced.mp4'
    data = bytearray(made.read_bytes())
    count = data.index(b'stts') + 12  # after the name, flags and entries
    data[count:count + 4] = struct.pack('>I', 10**9)
    path.write_bytes(data)
    monkeypatch.setattr(decord, 'VideoReader', None)
    with pytest.raises(UnreadableVideo, match='announced.mp4: is cut short: '
                       'it announces 1000000000 frames'):
        READERS['decord'](str(path))


def test_decord_finds_too_many_damaged_frames(made, monkeypatch):
    reader = READERS['decord'](str(made))

    class Worn:

        def get_batch(self, indices):
            raise decord.DECORDLimitReachedError(
                '[15:53:19] /src/video/video_reader.cc:731: too many frames')

    monkeypatch.setattr(reader, '_reader', Worn())
    with pytest.raises(UnreadableVideo) as caught:
        reader.read([0])
    assert 'whole.mp4: decord cannot read it (too many' in str(caught.value)


@pytest.fixture
def no_file(tmp_path):
    """What stands in a folder of videos and is none."""
    os.mkfifo(tmp_path / 'pipe')
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / 'socket'))
    (tmp_path / 'zero').symlink_to('/dev/zero')
    (tmp_path / 'folder').mkdir()
    return tmp_path


@pytest.mark.parametrize('decoder', DECODERS)
@pytest.mark.parametrize('name', ['pipe', 'socket', 'zero', 'folder'])
def test_pipes_sockets_and_devices_are_not_opened(no_file, name, decoder):
    with pytest.raises(UnreadableVideo, match=f'{name}: is not a file'):
        READERS[decoder](str(no_file / name))


def test_images_that_are_no_files(no_file):
    with pytest.raises(UnreadableVideo, match='has no pipe'):
        FrameFolder(str(no_file), 'pipe', 1, 1)


@pytest.mark.parametrize('decoder', DECODERS)
@pytest.mark.parametrize('name', ['a\0b', 'x' * 5000, 'http://host/a.mp4'])
def test_names_that_no_file_has(name, decoder):
    with pytest.raises(UnreadableVideo, match='cannot be opened'):
        READERS[decoder](name)


@pytest.mark.parametrize('decoder', DECODERS)
def test_a_name_is_no_address(made, tmp_path, monkeypatch, decoder):
    """FFmpeg would join the files of `concat:a|b`."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(made, 'concat:a|b')
    assert len(READERS[decoder]('concat:a|b')) == 12


def test_too_many_open_files_are_not_the_fault_of_the_video(made):
    former = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE,
                       (len(os.listdir('/proc/self/fd')), former[1]))
    opened = []
    try:
        with pytest.raises(OSError, match='Too many open files'):
            while True:
                opened.append(open(os.devnull))
        with pytest.raises(OSError, match='Too many open files') as caught:
            PyAVReader(str(made))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, former)
        for file in opened:
            file.close()
    assert not isinstance(caught.value, UnreadableVideo)


def test_an_image_of_a_size_beyond_all_sizes(frame_dir):

    def chunk(kind, data):
        return struct.pack('>I', len(data)) + kind + data + struct.pack(
            '>I', zlib.crc32(kind + data))

    name = 'frame_0000000001.png'
    (frame_dir / name).write_bytes(
        b'\x89PNG\r\n\x1a\n' +
        chunk(b'IHDR', struct.pack('>IIBBBBB', 60000, 60000, 8, 2, 0, 0, 0)) +
        chunk(b'IDAT', zlib.compress(bytes(1000))) + chunk(b'IEND', b''))
    with pytest.raises(UnreadableVideo, match=f'cannot read {name}'):
        FrameFolder(str(frame_dir), 'frame_{:010d}.png', 1, 1).read([0])


def test_unknown_decoder():
    with pytest.raises(ValueError, match="'decord', 'pyav', 'torchcodec'"):
        VideoInit('opencv')


def test_error_crosses_processes():
    error = pickle.loads(pickle.dumps(UnreadableVideo('a.mp4', 'is empty')))
    assert str(error) == 'a.mp4: is empty'


@pytest.mark.parametrize('times', [np.arange(55) / 25, np.arange(56) / 24])
def test_decord_numbers_frames_as_pyav_or_refuses(odd, monkeypatch, times):
    """One frame is hidden by the container, or shown at another time."""
    path = str(odd / 'gray.mp4')
    READERS['decord'](path)
    monkeypatch.setattr(PyAVReader, 'times', lambda self: times)
    with pytest.raises(UnreadableVideo, match="gray.mp4.*decoder='pyav'"):
        READERS['decord'](path)
