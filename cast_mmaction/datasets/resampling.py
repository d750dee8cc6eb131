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

# Samples of a common period up to which there is a matrix: all usual rates
# have less, 44,100 Hz has 441 to 16,000 Hz.
LONGEST_PERIOD = 2000
# Results that a row of the product has at least; with fewer it is slow.
WIDTH = 128
# Zero crossings of the filter to either side, at the lower of the two rates;
# FFmpeg has 16.
CROSSINGS = 17
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


def resample(samples: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    """Bring a sound to another rate; there is silence on both sides of it.

    Args:
        samples: (N, ), float32.
        rate: Samples a second.
        new_rate: Samples a second to give back.

    Returns:
        (M, ), float32, at least ``N * new_rate / rate`` samples.
    """
    if rate // math.gcd(rate, new_rate) > LONGEST_PERIOD:
        return by_ffmpeg(samples, rate, new_rate)
    matrix, step, reach = ffmpegs_filter(rate, new_rate)
    blocks = -(-len(samples) // step)
    padded = F.pad(
        torch.from_numpy(samples),
        (reach, blocks * step - len(samples) + reach))
    return (padded.unfold(0, len(matrix), step) @ matrix).flatten().numpy()


@lru_cache(maxsize=16)
def ffmpegs_filter(rate: int, new_rate: int) -> Filter:
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
    return Filter(torch.from_numpy(matrix), step, reach)


def by_ffmpeg(samples: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    """Bring a sound to another rate with FFmpeg's resampler; see `resample`.
    """
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
