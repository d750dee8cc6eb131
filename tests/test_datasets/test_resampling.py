import numpy as np
import pytest

from cast_mmaction.datasets import resampling
from cast_mmaction.datasets.resampling import by_ffmpeg, resample


def noise(rate, seconds=0.5):
    return np.random.RandomState(0).standard_normal(
        round(rate * seconds)).astype(np.float32)


@pytest.mark.parametrize('rate', [
    8000, 11025, 12000, 22050, 24000, 32000, 44100, 48000, 96000, 192000])
def test_equal_to_ffmpeg(rate):
    sound = noise(rate)
    edge = 500  # FFmpeg mirrors the sound at its ends
    found = resample(sound, rate, 16000)
    assert found.dtype == np.float32
    assert len(found) >= 8000
    np.testing.assert_allclose(
        found[edge:8000 - edge],
        by_ffmpeg(sound, rate, 16000)[edge:8000 - edge],
        atol=3e-6)


def test_other_rates_than_16_khz():
    sound = noise(48000)
    np.testing.assert_allclose(
        resample(sound, 48000, 22050)[700:10000],
        by_ffmpeg(sound, 48000, 22050)[700:10000],
        atol=3e-6)


def test_a_rate_without_a_short_period(monkeypatch):
    sound = noise(44101)
    monkeypatch.setattr(resampling, 'ffmpegs_filter', None)  # not asked for
    np.testing.assert_array_equal(
        resample(sound, 44101, 16000), by_ffmpeg(sound, 44101, 16000))


def test_silence_around_the_sound():
    """No wrap-around and nothing of the mirror at either end."""
    sound = noise(44100)
    padded = np.pad(sound, 4410)
    np.testing.assert_allclose(
        resample(sound, 44100, 16000)[:8000],
        by_ffmpeg(padded, 44100, 16000)[1600:9600],
        atol=3e-6)
