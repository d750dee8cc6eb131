"""FFmpeg's resampling of sound, as a product with a matrix.

To set FFmpeg's resampler up takes as long as to resample some seconds. It is
linear, and the same after every common period of the two rates: its answers
to single samples, taken once in a process, are all that it can do.
"""
import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..precision import full_float32

# Samples of a common period up to which there is a matrix: all usual rates
# have less, 44,100 Hz has 441 to 16,000 Hz.
LONGEST_PERIOD = 2000
# Results that a row of the product has at least; with fewer it is slow.
WIDTH = 128
# Zero crossings of the filter to either side, at the lower of the two rates;
# FFmpeg has 16.
CROSSINGS = 17
# Seconds on both sides of a stretch that only the filter sees.
MARGIN = 0.02
# Samples that FFmpeg gets at a time: as many as stay in the CPU's cache.
PIECE = 2**13


class Filter(NamedTuple):
    """What each sample of a block becomes.

    Attributes:
        matrix: (reach + step + reach, results of a block).
        step: Samples from block to block.
        reach: Samples beside a block that its results depend on.
    """
    matrix: Tensor
    step: int
    reach: int


def at_rate(samples: Tensor, rate: int, num_samples: int,
            sample_rate: int) -> Tensor:
    """A stretch of sound at another rate, without its margins.

    Args:
        samples: With `MARGIN` on both sides, (N, ), on any device.
        rate: Theirs; see `has_matrix`.
        num_samples: To give back.
        sample_rate: To give back.

    Returns:
        (num_samples, ).
    """
    skip = round(MARGIN * sample_rate)
    samples = resample(samples, rate, sample_rate)[skip:][:num_samples]
    return F.pad(samples, (0, num_samples - len(samples)))


def has_matrix(rate: int, new_rate: int) -> bool:
    """Whether `resample` can do it."""
    return rate // math.gcd(rate, new_rate) <= LONGEST_PERIOD


def resample(samples: Tensor, rate: int, new_rate: int) -> Tensor:
    """Bring a sound to another rate; there is silence on both sides of it.

    Args:
        samples: (N, ), float32, on any device.
        rate: Samples a second; see `has_matrix`.
        new_rate: Samples a second to give back.

    Returns:
        (M, ), at least ``N * new_rate / rate`` samples.
    """
    if rate == new_rate:
        return samples
    matrix, step, reach = ffmpegs_filter(rate, new_rate, samples.device)
    blocks = -(-len(samples) // step)
    padded = F.pad(samples, (reach, blocks * step - len(samples) + reach))
    with full_float32(samples.device):
        return (padded.unfold(0, len(matrix), step) @ matrix).flatten()


@lru_cache(maxsize=16)
def ffmpegs_filter(rate: int, new_rate: int, device: torch.device) -> Filter:
    """FFmpeg's answers to one sample at every place of a period."""
    common = math.gcd(rate, new_rate)
    repeats = -(-WIDTH * common // new_rate)
    step, width = (x // common * repeats for x in (rate, new_rate))
    reach = math.ceil(CROSSINGS * max(rate / new_rate, 1))
    # Samples so far from each other that no result hears two of them, and
    # each at the next place of a block. Silence before and after.
    apart = -(-2 * (reach + 1) // step) * step + 1
    places = apart * np.arange(1, step + 1)
    sound = np.zeros(apart * (step + 2), np.float32)
    sound[places] = 1
    answers = by_ffmpeg(sound, rate, new_rate)
    # Results of a block by the samples around it.
    row = np.arange(step + 2 * reach)[:, None]
    column = np.arange(width)
    place = places[(row - reach) % step - 1]  # of the same place in a block
    block = (place - row + reach) // step
    near = abs(row - reach - column * rate / new_rate) <= reach
    matrix = np.where(near, answers[block * width + column], 0)
    matrix = torch.from_numpy(matrix).to(device, non_blocking=True)
    return Filter(matrix, step, reach)


def by_ffmpeg(samples: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    """Bring a sound to any other rate with FFmpeg's resampler, (M, )."""
    import av
    resampler = av.AudioResampler('fltp', 'mono', new_rate)
    parts = []
    for start in range(0, len(samples), PIECE):
        frame = av.AudioFrame.from_ndarray(
            samples[None, start:start + PIECE], 'fltp', 'mono')
        frame.sample_rate = rate
        parts += resampler.resample(frame)
    parts += resampler.resample(None)
    return np.concatenate([part.to_ndarray()[0] for part in parts])
