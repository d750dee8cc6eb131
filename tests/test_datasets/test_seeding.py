import pickle
import random

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from cast_mmaction.datasets.seeding import EpochSampler, SampleIndex, seeded


class Draws(Dataset):
    """Its samples are one draw of every generator that a pipeline may use."""

    def __len__(self):
        return 12

    def __getitem__(self, index):
        with seeded(index.draws()):
            return (int(index), random.random(), np.random.rand(),
                    torch.rand(1).item())


def epochs_of(epochs, **loader):
    sampler = EpochSampler(Draws(), seed=3)
    loader = DataLoader(
        Draws(), batch_size=4, sampler=sampler, collate_fn=list, **loader)
    found = []
    for epoch in epochs:
        sampler.set_epoch(epoch)
        found.append([sample for batch in loader for sample in batch])
    return found


def test_draws_do_not_depend_on_workers_or_on_resuming():
    expected = epochs_of([0, 1, 2])
    assert epochs_of([0, 1, 2], num_workers=2) == expected
    assert epochs_of([0, 1, 2], num_workers=1,
                     persistent_workers=True) == expected
    assert epochs_of([2]) == expected[2:]


def test_every_sample_and_epoch_draws_anew():
    first, second = epochs_of([0, 1])
    draws = [draw for epoch in (first, second) for _, *draw in epoch]
    assert len({tuple(draw) for draw in draws}) == 24
    assert len({number for draw in draws for number in draw}) == 72


def test_order_of_the_samples_does_not_matter():
    data = Draws()
    a, b = SampleIndex(4, seed=0, epoch=1), SampleIndex(5, seed=0, epoch=1)
    assert [data[a], data[b]] == [data[b], data[a]][::-1]
    assert data[a] != data[SampleIndex(4, seed=1, epoch=1)]


def test_generators_go_on_as_if_nothing_happened():
    torch.manual_seed(0), np.random.seed(0), random.seed(0)
    expected = torch.rand(1), np.random.rand(), random.random()
    torch.manual_seed(0), np.random.seed(0), random.seed(0)
    with pytest.raises(KeyError), seeded(SampleIndex(0, 0, 0).draws()):
        torch.rand(1), np.random.rand(), random.random()
        raise KeyError
    assert (torch.rand(1), np.random.rand(), random.random()) == expected


def test_index_is_an_int_that_crosses_processes():
    index = pickle.loads(pickle.dumps(SampleIndex(7, seed=1, epoch=2)))
    assert (index, index.seed, index.epoch) == (7, 1, 2)
    assert list(range(10))[index] == 7


@pytest.mark.parametrize('round_up', [True, False])
def test_ranks_share_the_samples(monkeypatch, round_up):
    parts = []
    for rank in range(2):
        monkeypatch.setattr('mmengine.dataset.sampler.get_dist_info',
                            lambda rank=rank: (rank, 2))
        sampler = EpochSampler(range(7), seed=0, round_up=round_up)
        parts.append(list(sampler))
        assert len(parts[-1]) == len(sampler)
    assert sorted({*parts[0], *parts[1]}) == list(range(7))
    assert len(parts[0]) + len(parts[1]) == (8 if round_up else 7)
