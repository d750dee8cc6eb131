"""Log-mel spectrograms as Kaldi makes them, which AST was trained on.

Frames of 25 ms every 10 ms, whole ones only; mean removed, pre-emphasis,
symmetric Hann window; triangles in mel space from 20 Hz to half the sampling
rate. A frame knows nothing of its neighbours, so that a part of a sound gives
that part of its spectrogram.
"""
import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from ..precision import full_float32

LOW = 20.  # Hz
PRE_EMPHASIS = 0.97
FLOOR = torch.finfo(torch.float32).eps


def frame_length(sample_rate: int) -> int:
    """Samples of a frame: 25 ms."""
    return sample_rate // 40


def frame_shift(sample_rate: int) -> int:
    """Samples from one frame to the next: 10 ms."""
    return sample_rate // 100


def num_frames(num_samples: int, sample_rate: int) -> int:
    """Whole frames in so many samples."""
    rest = num_samples - frame_length(sample_rate)
    return 1 + rest // frame_shift(sample_rate) if rest >= 0 else 0


def fbank(waveform: Tensor, sample_rate: int, num_mel_bins: int) -> Tensor:
    """Logarithm of the energies in mel bands.

    Args:
        waveform: Samples, (..., N), from -1 to 1.
        sample_rate: Hz, a multiple of 100.
        num_mel_bins: Bands.

    Returns:
        (..., frames, num_mel_bins), on the device of `waveform`; no frames if
        N is less than 25 ms.

    Raises:
        ValueError: If the sampling rate is not a multiple of 100 Hz.
    """
    if sample_rate % 100:
        raise ValueError(f'sample_rate={sample_rate} must be a multiple of '
                         '100 Hz, so that a step of 10 ms is whole samples')
    length = frame_length(sample_rate)
    if waveform.shape[-1] < length:
        return waveform.new_zeros(*waveform.shape[:-1], 0, num_mel_bins)
    frames = waveform.unfold(-1, length, frame_shift(sample_rate))
    # Filled up with zeros to a power of 2.
    width = 2**math.ceil(math.log2(length))
    padded = frames.new_zeros(*frames.shape[:-1], width)
    inside = padded[..., :length]
    inside.copy_(frames)
    inside -= frames.mean(dim=-1, keepdim=True)
    # The first sample is its own predecessor.
    before = F.pad(inside[..., :-1], (1, 0))
    before[..., 0] = inside[..., 0]
    inside.sub_(before, alpha=PRE_EMPHASIS)
    inside *= torch.hann_window(
        length, periodic=False, dtype=frames.dtype, device=frames.device)
    spectrum = torch.fft.rfft(padded)
    power = spectrum.real**2 + spectrum.imag**2  # quicker than abs()**2
    # The highest frequency is in no band.
    filters = mel_filters(sample_rate, width, num_mel_bins, power.dtype,
                          power.device)
    with full_float32(power.device):
        energies = power[..., :-1] @ filters
    return energies.clamp_min_(FLOOR).log_()


def _mel(frequency: Tensor) -> Tensor:
    return 1127 * torch.log1p(frequency / 700)


@lru_cache
def mel_filters(sample_rate: int, width: int, num_mel_bins: int,
                dtype: torch.dtype, device: torch.device) -> Tensor:
    """Triangles that are straight in mel space and overlap by half.

    Args:
        sample_rate: Hz.
        width: Points of the Fourier transform.
        num_mel_bins: Bands.
        dtype: Of the result.
        device: Of the result.

    Returns:
        (width / 2, num_mel_bins).
    """
    ends = torch.tensor([LOW, sample_rate / 2], dtype=torch.float64)
    edges = torch.linspace(*_mel(ends), num_mel_bins + 2, dtype=torch.float64)
    step = edges[1] - edges[0]
    points = torch.arange(width // 2, dtype=torch.float64)
    mel = _mel(points * sample_rate / width)[:, None]
    filters = (1 - (mel - edges[1:-1]).abs() / step).clamp_min(0)
    return filters.to(device, dtype, non_blocking=True)
