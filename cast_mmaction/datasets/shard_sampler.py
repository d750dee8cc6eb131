"""An order of samples in which shards are read one after the other."""
from collections import defaultdict
from typing import Dict, Iterator, List, Sized

import torch

from mmaction.registry import DATA_SAMPLERS
from ..storage.addresses import member_of
from .seeding import EpochSampler, SampleIndex


@DATA_SAMPLERS.register_module()
class ShardSampler(EpochSampler):
    """`EpochSampler` for lists of shards: few of them are open at a time.

    Shards come in random order, and their samples too. The epoch is dealt to
    `open_shards` lanes, each a row of whole shards; neighbours come from
    different lanes. Processes take samples in turn, as with every sampler of
    MMEngine: if `open_shards` is a multiple of their number, each lane belongs
    to one of them, and each shard is read by one machine.

    The order depends on neither processes nor workers, so that a training
    goes on in the middle of an epoch on other numbers of them.

    Args:
        dataset (Sized): Its ``filename`` are addresses in shards.
        open_shards (int): Lanes. Defaults to 64.
        **kwargs: See :class:`EpochSampler`.

    Raises:
        ValueError: If a sample is in no shard.
    """

    def __init__(self, dataset: Sized, open_shards: int = 64,
                 **kwargs) -> None:
        super().__init__(dataset, **kwargs)
        if open_shards < 1:
            raise ValueError(f'open_shards={open_shards} must be positive')
        self.open_shards = open_shards
        shards: Dict[str, List[int]] = defaultdict(list)
        for index in range(len(dataset)):
            name = dataset.get_data_info(index).get('filename', '')
            member = member_of(name)
            if member is None:
                raise ValueError(
                    f'ShardSampler: {name} is in no shard. It is for lists '
                    'that `tools/data/prepare.py shards` writes; others take '
                    'EpochSampler')
            shards[member.shard].append(index)
        self._shards = [torch.tensor(indices) for indices in shards.values()]

    def __iter__(self) -> Iterator[SampleIndex]:
        if not self.shuffle:
            yield from super().__iter__()
            return
        order = self.order()
        if self.round_up:
            order = (order * (self.total_size // len(order) + 1)
                     )[:self.total_size]
        for index in order[self.rank:self.total_size:self.world_size]:
            yield SampleIndex(index, self.seed, self.epoch)

    def order(self) -> List[int]:
        """The samples of this epoch, for all processes together."""
        generator = torch.Generator()
        generator.manual_seed(self.seed + self.epoch)
        places = torch.randperm(len(self._shards), generator=generator)
        row = torch.cat([
            shard[torch.randperm(len(shard), generator=generator)]
            for shard in (self._shards[place] for place in places.tolist())
        ])
        # Lanes of equal length, the first ones longer by one.
        lanes = torch.tensor_split(row, min(self.open_shards,
                                            len(self._shards)))
        rounds = len(lanes[-1])
        whole = torch.stack([lane[:rounds] for lane in lanes], dim=1)
        rest = [lane[rounds:] for lane in lanes]
        return torch.cat([whole.reshape(-1), *rest]).tolist()
