"""A data loader that names the sample which does not come."""
import os.path as osp
from functools import partial
from typing import Callable, Iterator, Optional

import torch
from torch.utils.data import DataLoader, Dataset, get_worker_info

from .parcels import parcelled
from .process_signals import die_with_parent
from .repeats import side_by_side

# Seconds; a damaged disk or a lost network share blocks for ever.
TIMEOUT = 600


class WatchedLoader(DataLoader):
    """PyTorch's loader, with a limit to waiting and the name of the sample.

    With worker processes a batch may take ``timeout`` seconds, 600 if none is
    given. The workers end when their parent does, whatever they are doing.
    They send the clips of a batch as one tensor: one open file, not one for
    each clip and label.

    A sample may be several clips (``num_repeats`` of a data set): a batch
    holds those of all its samples.

    Raises:
        TimeoutError: Names the samples at which the workers are.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if self.batch_sampler is not None:
            self.collate_fn = partial(side_by_side, self.collate_fn)
        if self.num_workers > 0:
            self.timeout = self.timeout or TIMEOUT
            # Written by the workers; -1: none.
            self._at = torch.full((self.num_workers, ), -1).share_memory_()
            self.worker_init_fn = partial(_begin, self._at,
                                          self.worker_init_fn)
            self.collate_fn = partial(parcelled, self.collate_fn)

    def __iter__(self) -> Iterator:
        if self.num_workers == 0:
            return super().__iter__()
        return self._watched(super().__iter__())

    def _watched(self, batches: Iterator) -> Iterator:
        try:
            for parcel in batches:
                yield parcel.open()
        except RuntimeError as error:
            if 'timed out' not in str(error):
                raise
            raise TimeoutError(
                f'no batch within {self.timeout:g} s. The workers are at '
                f'{self._where()}. Can these files be read? For slow storage '
                'raise timeout in the data loader') from error

    def _where(self) -> str:
        samples = [
            _name(self.dataset, index) for index in self._at.tolist()
            if index >= 0
        ]
        return ', '.join(samples) or 'no sample: they do not answer'


def _begin(at: torch.Tensor, init: Optional[Callable], worker: int) -> None:
    """Start a worker that notes at which sample it is."""
    die_with_parent()
    if init is not None:
        init(worker)
    dataset = get_worker_info().dataset
    if isinstance(dataset, Dataset) and not hasattr(dataset, '__getitems__'):
        dataset.__getitems__ = partial(_noted, dataset, at, worker)


def _noted(dataset: Dataset, at: torch.Tensor, worker: int,
           indices: list) -> list:
    samples = []
    for index in indices:
        at[worker] = int(index)
        samples.append(dataset[index])
    at[worker] = -1
    return samples


def _name(dataset: Dataset, index: int) -> str:
    """What a sample is called: its file, if the data set knows."""
    info = {}
    if hasattr(dataset, 'get_data_info'):
        info = dataset.get_data_info(index)
    name = info.get('filename') or info.get('frame_dir')
    return f'sample {index}' + (f' ({osp.normpath(name)})' if name else '')
