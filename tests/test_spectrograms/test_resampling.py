import numpy as np
import pytest
import torch

from cast_mmaction.datasets.sound import read_recording
from cast_mmaction.spectrograms import resampling
from cast_mmaction.spectrograms.resampling import by_ffmpeg, has_matrix
from cast_mmaction.spectrograms.form import Spectrograms
from tests.sounding import tone, write_sounding


def noise(rate, seconds=0.5):
    return np.random.RandomState(0).standard_normal(
        round(rate * seconds)).astype(np.float32)


def resample(sound, rate, new_rate):
    found = resampling.resample(torch.from_numpy(sound), rate, new_rate)
    return found.numpy()


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


def test_a_rate_without_a_short_period(tmp_path):
    """It is resampled where the file is read."""
    assert not has_matrix(44101, 16000)
    path = write_sounding(tmp_path / 'odd.mkv', tone(2, 44101), 44101,
                          'mono', 'pcm_s16le')
    assert read_recording(path, 0.5, 8000, 16000).rate == 16000


def test_full_precision_on_any_gpu(monkeypatch):
    """TF32 would put noise into the silent bands."""
    seen = []
    matmul = torch.Tensor.__matmul__

    def product(a, b):
        seen.append(torch.get_float32_matmul_precision())
        return matmul(a, b)

    monkeypatch.setattr(torch.Tensor, '__matmul__', product)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision('high')
    try:
        resample(noise(44100), 44100, 16000)
        assert torch.get_float32_matmul_precision() == 'high'
    finally:
        torch.set_float32_matmul_precision(before)
    assert seen == ['highest']


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_full_precision_under_autocast(dtype):
    """Where the data preprocessor of an AMP training works."""
    form = Spectrograms(40, 32, 16000, (0, ), 44100, 6640, 0, 6640)
    sound = torch.from_numpy(noise(44100))
    with torch.autocast('cpu', dtype):
        found = form.of(sound)
    assert torch.equal(found, form.of(sound))


def test_silence_around_the_sound():
    """No wrap-around and nothing of the mirror at either end."""
    sound = noise(44100)
    padded = np.pad(sound, 4410)
    np.testing.assert_allclose(
        resample(sound, 44100, 16000)[:8000],
        by_ffmpeg(padded, 44100, 16000)[1600:9600],
        atol=3e-6)
