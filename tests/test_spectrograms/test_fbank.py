import pytest
import torch

from cast_mmaction.spectrograms.fbank import fbank, num_frames

# torchaudio 2.11.0's compliance.kaldi.fbank of noise(rate) * 0.4: htk_compat,
# no energy, Hann, no dither, 10 ms; every 33rd frame, every quarter of bins.
TORCHAUDIO = {
    (16000, 128): [
        -8.37506, -1.29721, -0.10378, 3.05714, -5.35686, -3.54518, -0.47991,
        1.45241, -6.43657, -3.62981, -0.93551, 1.60292
    ],
    (24000, 64): [
        -6.17326, -1.31557, 1.60756, 3.93538, -5.38084, -1.43496, 1.36603,
        4.59135, -6.20247, -0.51887, 1.89377, 4.06643
    ]
}


def noise(count):
    i = torch.arange(count)
    return ((i * i * 7919 + i * 104729) % 10007).float() / 10007 - 0.5


@pytest.mark.parametrize('rate, bins', TORCHAUDIO)
def test_equals_torchaudio(rate, bins):
    found = fbank(noise(rate) * 0.4, rate, bins)
    assert found.shape == (98, bins)
    torch.testing.assert_close(
        found[::33, ::bins // 4].flatten(),
        torch.tensor(TORCHAUDIO[rate, bins]),
        atol=1e-4,
        rtol=0)


@pytest.mark.parametrize('rate', [8000, 16000, 24000, 44100])
def test_equals_kaldi(rate):
    kaldi = pytest.importorskip(
        'kaldi_native_fbank', reason='kaldi-native-fbank is not installed')
    options = kaldi.FbankOptions()
    options.frame_opts.dither = 0
    options.frame_opts.window_type = 'hanning'
    options.frame_opts.samp_freq = rate
    options.mel_opts.num_bins = 23
    options.use_energy = False
    options.htk_compat = True
    reference = kaldi.OnlineFbank(options)
    sound = noise(rate) * 0.4
    reference.accept_waveform(rate, sound.tolist())
    reference.input_finished()
    frames = [
        torch.from_numpy(reference.get_frame(i))
        for i in range(reference.num_frames_ready)
    ]
    torch.testing.assert_close(
        fbank(sound, rate, 23), torch.stack(frames), atol=1e-4, rtol=0)


def test_equals_transformers():
    transformers = pytest.importorskip(
        'transformers', reason='transformers is not installed')
    sound = noise(16000) * 0.4
    # The numpy version has one band of no frequency, and says so.
    with pytest.warns(UserWarning, match='zero values'):
        extract = transformers.ASTFeatureExtractor(
            do_normalize=False, max_length=98)
    expected = extract(
        sound.numpy(), sampling_rate=16000, return_tensors='pt')
    # It counts in double precision.
    torch.testing.assert_close(
        fbank(sound.double(), 16000, 128).float(),
        expected['input_values'][0],
        atol=1e-5,
        rtol=0)


def test_a_part_of_a_sound_is_a_part_of_its_spectrogram():
    sound = noise(16000)
    whole = fbank(sound, 16000, 64)
    part = fbank(sound[30 * 160:69 * 160 + 400], 16000, 64)
    torch.testing.assert_close(part, whole[30:70])
    batch = fbank(sound.view(4, 4000), 16000, 64)
    torch.testing.assert_close(batch[1], fbank(sound[4000:8000], 16000, 64))


@pytest.mark.parametrize('samples, frames', [(399, 0), (400, 1), (559, 1),
                                             (560, 2), (160000, 998)])
def test_whole_frames_only(samples, frames):
    assert num_frames(samples, 16000) == frames
    assert fbank(torch.zeros(samples), 16000, 23).shape == (frames, 23)


def test_silence_is_finite():
    floor = torch.tensor(torch.finfo(torch.float32).eps).log()
    assert (fbank(torch.zeros(4000), 16000, 128) == floor).all()


def test_rate_without_whole_steps():
    with pytest.raises(ValueError, match='sample_rate=22055'):
        fbank(torch.zeros(30000), 22055, 128)
