"""Random draws of a training sample: from (seed, epoch, index) alone.

A sampler gives out indices that carry the seed and the epoch; a data set
seeds the random generators with them before its pipeline runs. Number and
persistence of the loader's workers, order of the samples and resuming then
stop mattering.
"""
import random
from contextlib import contextmanager
from typing import Iterator, Tuple

import numpy as np
import torch
from mmengine.dataset import DefaultSampler

from mmaction.registry import DATA_SAMPLERS


class SampleIndex(int):
    """The index of a sample, with the seed and epoch of its random draws."""
    seed: int
    epoch: int

    def __new__(cls, index: int, seed: int, epoch: int) -> 'SampleIndex':
        self = super().__new__(cls, index)
        self.seed = seed
        self.epoch = epoch
        return self

    def __reduce__(self) -> Tuple:  # crosses worker processes
        return type(self), (int(self), self.seed, self.epoch)

    def draws(self, attempt: int = 0) -> np.random.SeedSequence:
        """The source of randomness of this sample in this epoch."""
        return np.random.SeedSequence(
            [self.seed, self.epoch, int(self), attempt])


@contextmanager
def seeded(source: np.random.SeedSequence) -> Iterator[None]:
    """Seed `random`, `numpy` and `torch` (CPU) and restore them afterwards.

    Restoring keeps the draws of the training process (drop path, mixup) apart
    from the samples when no worker process loads them.
    """
    words = source.generate_state(8)
    python_state, numpy_state = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(int(words[0]))
        random.seed(int(words[1]))
        np.random.seed(words[2:])
        try:
            yield
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)


@DATA_SAMPLERS.register_module()
class EpochSampler(DefaultSampler):
    """mmengine's ``DefaultSampler`` giving out `SampleIndex`.

    The order of the samples is the same. ``DistSamplerSeedHook``, one of
    mmengine's default hooks, tells it the epoch.

    Args:
        dataset (Sized): The data set.
        shuffle (bool): Another order in every epoch. Defaults to True.
        seed (int, optional): Equal on all processes. Defaults to the seed of
            the run.
        round_up (bool): Repeat samples so that all processes get equally
            many. Defaults to True.
    """

    def __iter__(self) -> Iterator[SampleIndex]:
        for index in super().__iter__():
            yield SampleIndex(index, self.seed, self.epoch)
