"""Loops that resume inside an epoch and test in the training's precision."""
from itertools import islice
from pathlib import Path
from typing import Iterator, Optional

from mmaction.registry import LOOPS
from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.model import is_model_wrapper
from mmengine.runner import BaseLoop, EpochBasedTrainLoop, ValLoop
from torch import nn
from torch.utils.data import Sampler

from ..atomic_write import atomic_write
from ..precision import of_config, on_this_machine, running_in
from .resume import INTERRUPTED
from .test_loop import SurvivingTestLoop


@LOOPS.register_module()
class ResumableEpochLoop(EpochBasedTrainLoop):
    """MMEngine's epochs, made of whole steps, which can be continued inside.

    With gradient accumulation the batches that do not fill the last optimizer
    step of an epoch are left out (other ones in every epoch), so that an
    epoch's checkpoint holds all that was learnt.

    An epoch that :class:`PreemptionHook` has interrupted goes on with its
    next batch, without decoding those that are done; on other batches (another
    number of processes) behind the clips that are done, see
    :func:`fit_to_run`. A validation that was interrupted is made up first.

    Args:
        runner (Runner): The runner of the training.
        dataloader (DataLoader or dict): The training data.
        max_epochs (int): Length of the training.
        kwargs: See :class:`mmengine.runner.EpochBasedTrainLoop`.

    Raises:
        ValueError: If an epoch is shorter than one optimizer step.
    """

    def __init__(self, runner, dataloader, max_epochs: int, **kwargs) -> None:
        super().__init__(runner, dataloader, max_epochs, **kwargs)
        wrapper = runner.optim_wrapper
        accumulation = wrapper.get('accumulative_counts', 1) if isinstance(
            wrapper, dict) else wrapper._accumulative_counts
        batches = len(self.dataloader)
        if batches < accumulation:
            raise ValueError(
                f'an epoch has {batches} batches, an optimizer step takes '
                f'{accumulation}: lower optim_wrapper.accumulative_counts')
        batch_sampler = self.dataloader.batch_sampler
        self._part = _Part(batch_sampler.sampler)
        if batches % accumulation:
            whole = batches - batches % accumulation
            self._part.stop = whole * batch_sampler.batch_size
        batch_sampler.sampler = self._part
        self._max_iters = self._max_epochs * len(self.dataloader)

    def run(self) -> nn.Module:
        """Train, and validate at the intervals."""
        self.runner.call_hook('before_train')
        if self._missed_validation():
            self.runner.logger.warning(
                f'the validation of epoch {self._epoch} is made up')
            self._validate()
        while self._epoch < self._max_epochs and not self.stop_training:
            self.run_epoch()
            if self._validation_is_due():
                self._validate()
        self.runner.call_hook('after_train')
        return self.runner.model

    def _validation_is_due(self) -> bool:
        """Whether one follows the epochs that are done."""
        self._decide_current_val_interval()
        return (self.runner.val_loop is not None
                and self._epoch >= self.val_begin
                and (self._epoch % self.val_interval == 0
                     or self._epoch == self._max_epochs))

    def _missed_validation(self) -> bool:
        """Whether the run that is resumed has not come to its end."""
        if (self._epoch == 0 or not self._validation_is_due()
                or INTERRUPTED in self.runner.message_hub.runtime_info):
            return False
        record = self._record
        done = record.read_text() if record.is_file() else ''
        # All processes go by what the first one sees.
        answer = [not done.isdigit() or int(done) < self._epoch]
        broadcast_object_list(answer)
        return answer[0]

    def _validate(self) -> None:
        self.runner.val_loop.run()
        if is_main_process():
            with atomic_write(self._record) as file:
                file.write_text(str(self._epoch))

    @property
    def _record(self) -> Path:
        """Holds the last epoch that was validated."""
        return Path(self.runner.work_dir, 'last_validation')

    def run_epoch(self) -> None:
        """Train the batches of this epoch that are still to be done."""
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        done = self._batches_done()
        self._part.start = done * self.dataloader.batch_sampler.batch_size
        for idx, batch in enumerate(self.dataloader, start=done):
            self.run_iter(idx, batch)
        self._part.start = 0
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1

    def _batches_done(self) -> int:
        """How many batches of this epoch an interrupted run has done."""
        record = self.runner.message_hub.pop_info(INTERRUPTED)
        return 0 if record is None else record['done']


class _Part(Sampler):
    """The indices of a sampler from ``start`` up to ``stop``."""

    def __init__(self, sampler: Sampler) -> None:
        self.sampler = sampler
        self.start = 0
        self.stop = len(sampler)

    def __iter__(self) -> Iterator:
        return islice(iter(self.sampler), self.start, self.stop)

    def __len__(self) -> int:
        return self.stop  # also of a part: an epoch keeps its length


class _TrainingPrecision:
    """Makes a loop's steps run under the training's autocast.

    MMEngine's loops switch autocast off, or to float16, around
    ``runner.model.val_step``; so the model's forward has to switch it on.

    A validation within a training follows that. A test follows what its
    checkpoint says of the training, or else the config.

    Args:
        precision (str, optional): 'float32', 'float16' or 'bfloat16' instead.
            Defaults to None.
    """

    def __init__(self, *args, precision: Optional[str] = None, **kwargs):
        super().__init__(*args, **kwargs)
        self.precision = precision

    def run(self) -> dict:
        """Evaluate, with the model's forward under autocast if need be."""
        model = self.runner.model
        model = model.module if is_model_wrapper(model) else model
        self.computed_in = self.precision or self._trained_in()
        with running_in(model, self.computed_in):
            return super().run()

    def _trained_in(self) -> str:
        runner = self.runner
        by_config = of_config(runner.cfg)
        found = getattr(runner, 'checkpoint_precision', None)
        if found is None or isinstance(runner._train_loop, BaseLoop):
            return by_config
        found = on_this_machine(found)
        if found != by_config:
            runner.logger.info(
                f'tested in {found}, as the checkpoint was trained; '
                'test_cfg.precision chooses another')
        return found


@LOOPS.register_module()
class PrecisionValLoop(_TrainingPrecision, ValLoop):
    """Validation in the precision of the training, float16 or bfloat16."""


@LOOPS.register_module()
class PrecisionTestLoop(_TrainingPrecision, SurvivingTestLoop):
    """Test in the precision of the training, float16 or bfloat16, that goes
    on after it was stopped."""
