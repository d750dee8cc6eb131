import pickle

import numpy as np
import pytest

from cast_mmaction.datasets.sound import (MissingSound, Piece, _extent, _join,
                                         read_sound)
from cast_mmaction.datasets.video import PyAVReader
from tests.sounding import damage_sound, tone, write_sounding

RATE = 16000


def heard(sound):
    """First and last second of the tone."""
    places = np.flatnonzero(abs(sound.samples) > 0.1)
    return places[0] / RATE, places[-1] / RATE


@pytest.mark.parametrize('rate, layout, codec, ending', [
    (44100, 'stereo', 'aac', 'mp4'),
    (16000, 'mono', 'aac', 'mp4'),
    (8000, 'mono', 'aac', 'mp4'),
    (48000, '5.1', 'aac', 'mp4'),
    (192000, 'stereo', 'flac', 'mkv'),
    (48000, '5.1', 'pcm_s16le', 'mkv'),
    (44100, 'stereo', 'pcm_u8', 'mkv'),
    (22050, 'mono', 'libmp3lame', 'mkv'),
])
def test_any_rate_and_channels(tmp_path, rate, layout, codec, ending):
    path = write_sounding(
        tmp_path / f'video.{ending}',
        tone(2, rate, begin=1.0, end=1.2), rate, layout, codec)
    sound = read_sound(path, 0.5, RATE, RATE)
    assert sound.samples.shape == (RATE, )
    assert sound.samples.dtype == np.float32
    assert sound.share > 0.99
    assert heard(sound) == pytest.approx((0.5, 0.7), abs=0.002)
    # The mean of the channels: AAC cuts the subwoofer's, one of six, off.
    peak = 0.25 if (layout, codec) == ('5.1', 'aac') else 0.3
    place = slice(int(0.55 * RATE), int(0.65 * RATE))
    assert abs(sound.samples[place]).max() == pytest.approx(peak, rel=0.1)


@pytest.mark.parametrize('sound_start, video_start', [(0.4, 0), (0, 0.4)])
def test_time_counts_from_the_first_frame(tmp_path, sound_start, video_start):
    path = write_sounding(
        tmp_path / 'video.mkv',
        tone(2, 48000, begin=1.0, end=1.2),
        48000,
        codec='pcm_s16le',
        sound_start=sound_start,
        video_start=video_start)
    sound = read_sound(path, 0., 2 * RATE, RATE)
    begin = 1.0 + sound_start - video_start
    assert heard(sound) == pytest.approx((begin, begin + 0.2), abs=0.002)
    if sound_start:  # it begins later ...
        assert sound.begin == pytest.approx(0.4 * RATE, abs=80)
        assert sound.end == 2 * RATE
        assert not sound.samples[:sound.begin - 80].any()
    else:  # ... or ends earlier than the video
        assert sound.begin == 0
        assert sound.end == pytest.approx(1.6 * RATE, abs=80)
    assert sound.share == pytest.approx(0.8, abs=0.01)


def test_a_stretch_is_that_of_the_whole(tmp_path):
    sweep = tone(3, RATE) * np.linspace(0.1, 1, 3 * RATE, dtype=np.float32)
    path = write_sounding(
        tmp_path / 'video.mp4', sweep, RATE, 'mono', seconds=3)
    whole = read_sound(path, 0, 3 * RATE, RATE).samples
    part = read_sound(path, 1.3, RATE, RATE).samples
    np.testing.assert_allclose(
        part, whole[int(1.3 * RATE):][:RATE], atol=2e-3)


def test_reads_on_in_an_open_file(tmp_path):
    path = write_sounding(tmp_path / 'video.mp4', tone(2))
    frames = PyAVReader(path).read([3, 30, 49])
    reader = PyAVReader(path)
    inside = read_sound(path, 0.5, RATE, RATE, container=reader.container)
    np.testing.assert_array_equal(
        inside.samples,
        read_sound(path, 0.5, RATE, RATE).samples)
    for frame, expected in zip(reader.read([3, 30, 49]), frames):
        np.testing.assert_array_equal(frame, expected)


def test_files_of_sound_alone(tmp_path):
    path = write_sounding(
        tmp_path / 'sound.flac',
        tone(2, begin=1.0, end=1.2),
        codec='flac',
        pictures=False)
    assert heard(read_sound(path, 0.5, RATE, RATE)) == pytest.approx(
        (0.5, 0.7), abs=0.002)


@pytest.mark.parametrize('options, start, reason', [
    (dict(sound=None), 0, 'no audio track'),
    (dict(sound=tone(1)), 1.2, 'no sound from 1.20 s to 1.70 s'),
    (dict(sound=np.zeros(88200, np.float32)), 0, 'is silent'),
])
def test_missing_sound_is_named(tmp_path, options, start, reason):
    path = write_sounding(tmp_path / 'video.mp4', **options)
    with pytest.raises(MissingSound, match=f'video.mp4: .*{reason}'):
        read_sound(path, start, RATE // 2, RATE)


def test_no_such_file(tmp_path):
    with pytest.raises(MissingSound, match='gone.flac: there is no such'):
        read_sound(str(tmp_path / 'gone.flac'), 0, RATE, RATE)


def test_damage_counts_where_it_is(tmp_path):
    path = write_sounding(tmp_path / 'video.mp4', tone(4), seconds=4)
    whole = read_sound(path, 0, RATE, RATE)
    damage_sound(path, after=2.)
    np.testing.assert_array_equal(
        read_sound(path, 0, RATE, RATE).samples, whole.samples)
    with pytest.raises(MissingSound, match='video.mp4: its sound is damaged'):
        read_sound(path, 2.5, RATE, RATE)
    assert len(PyAVReader(path).read(range(100))) == 100


def test_error_crosses_processes():
    error = pickle.loads(pickle.dumps(MissingSound('a.mp4', 'is silent')))
    assert str(error) == 'a.mp4: is silent'


def test_only_what_is_there_counts():
    def piece(place, count):
        return Piece(place, np.ones(count, np.float32), RATE)

    # Out of order, one over the other, beyond both ends.
    pieces = [piece(50, 10), piece(-5, 20), piece(10, 10), piece(95, 20)]
    assert _extent(pieces, 0, 100) == (0, 100, 35)
    assert _extent(pieces, 20, 60) == (30, 40, 10)
    assert _extent(pieces, 60, 30)[2] == 0
    assert np.flatnonzero(_join(pieces, 100)).tolist() == [
        *range(20), *range(50, 60), *range(95, 100)]
