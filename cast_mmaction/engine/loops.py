"""Loops that resume inside an epoch and test in the training's precision."""
from itertools import islice
from typing import Iterator, Optional

import torch
from mmaction.registry import LOOPS
from mmengine.model import is_model_wrapper
from mmengine.runner import EpochBasedTrainLoop, TestLoop, ValLoop
from torch.utils.data import Sampler


@LOOPS.register_module()
class ResumableEpochLoop(EpochBasedTrainLoop):
    """MMEngine's epochs, which can also be continued in their middle.

    An epoch that :class:`PreemptionHook` has interrupted goes on with its
    next batch, without decoding those that are done. If the number of
    batches has changed since (another number of processes), it starts again.

    Args:
        args, kwargs: Those of :class:`mmengine.runner.EpochBasedTrainLoop`.
    """

    def run_epoch(self) -> None:
        """Train the batches of this epoch that are still to be done."""
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        done = self._batches_done()
        sampler_owner = self.dataloader.batch_sampler
        sampler = sampler_owner.sampler
        sampler_owner.sampler = _Rest(sampler, done * sampler_owner.batch_size)
        try:
            for idx, batch in enumerate(self.dataloader, start=done):
                self.run_iter(idx, batch)
        finally:
            sampler_owner.sampler = sampler
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1

    def _batches_done(self) -> int:
        """How many batches of this epoch an interrupted run has done."""
        record = self.runner.message_hub.pop_info('interrupted_epoch')
        if record is None:
            return 0
        if record['of'] != len(self.dataloader):
            self.runner.logger.warning(
                f'an epoch had {record["of"]} batches and now has '
                f'{len(self.dataloader)}: epoch {self._epoch + 1} starts again')
            self._iter = self._epoch * len(self.dataloader)
            return 0
        return record['done']


class _Rest(Sampler):
    """What a sampler gives after its first ``start`` indices."""

    def __init__(self, sampler: Sampler, start: int) -> None:
        self.sampler = sampler
        self.start = start

    def __iter__(self) -> Iterator:
        return islice(iter(self.sampler), self.start, None)

    def __len__(self) -> int:
        return len(self.sampler)


def training_precision(cfg) -> Optional[torch.dtype]:
    """The autocast type that a config trains in, None for float32.

    Mixed precision counts only where a GPU is: elsewhere
    :class:`CASTOptimWrapperConstructor` trains in float32.
    """
    wrapper = cfg.get('optim_wrapper') or {}
    if wrapper.get('type') != 'AmpOptimWrapper' or \
            not torch.cuda.is_available():
        return None
    dtype = wrapper.get('dtype') or 'float16'
    return getattr(torch, dtype) if isinstance(dtype, str) else dtype


class _TrainingPrecision:
    """Makes a loop's steps run under the training's autocast.

    MMEngine's loops switch autocast off, or to float16, around
    ``runner.model.val_step``; so the model's forward has to switch it on.
    """

    def run(self) -> dict:
        """Evaluate, with the model's forward under autocast if need be."""
        dtype = training_precision(self.runner.cfg)
        if dtype is None:
            return super().run()
        model = self.runner.model
        model = model.module if is_model_wrapper(model) else model
        forward = model.forward

        def in_precision(*args, **kwargs):
            with torch.autocast('cuda', dtype):
                return forward(*args, **kwargs)

        model.forward = in_precision
        try:
            return super().run()
        finally:
            model.forward = forward


@LOOPS.register_module()
class PrecisionValLoop(_TrainingPrecision, ValLoop):
    """Validation in the precision of the training, float16 or bfloat16."""


@LOOPS.register_module()
class PrecisionTestLoop(_TrainingPrecision, TestLoop):
    """Test in the precision of the training, float16 or bfloat16."""
