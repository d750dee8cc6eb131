"""A log that does not grow, and for which nothing waits."""
import functools
from numbers import Real

import torch

from .registry import remedy


@remedy
def bounded_log() -> bool:
    """The log's history grows: with each iteration, and in checkpoints.

    After 350,000 iterations an update of ten keys takes 11 ms, and their
    history 56 MB of each checkpoint.
    """
    from mmengine.logging import MessageHub
    from .. import log_history
    log_history.mend()
    original = MessageHub.state_dict

    @functools.wraps(original)
    def state_dict(self) -> dict:
        scalars = self._log_scalars
        self._log_scalars = log_history.for_checkpoint(scalars)
        try:
            return original(self)
        finally:
            self._log_scalars = scalars

    MessageHub.state_dict = state_dict
    return True


@remedy
def log_without_waiting() -> bool:
    """Each iteration the log waits for the device to read every value."""
    from mmengine.logging import HistoryBuffer, MessageHub
    from mmengine.optim import OptimWrapper
    original = MessageHub.update_scalar

    @functools.wraps(original)
    def update_scalar(self, key, value, count=1, resumed=True) -> None:
        if not isinstance(value, torch.Tensor) or value.numel() != 1:
            return original(self, key, value, count, resumed)
        self._set_resumed_keys(key, resumed)
        buffer = self._log_scalars.setdefault(key, HistoryBuffer())
        # A copy: the value's owner may write into it before it is read.
        buffer.update(value.detach().clone().reshape(()), count)

    def _clip_grad(self) -> None:
        params = [
            parameter for group in self.optimizer.param_groups
            for parameter in group['params'] if parameter.grad is not None
        ]
        if params:
            norm = self.clip_func(params, **self.clip_grad_kwargs)
            if norm is not None:  # clipping by value has none
                if hasattr(norm, 'full_tensor'):  # of sharded gradients
                    norm = norm.full_tensor()
                self.message_hub.update_scalar(f'train/{self.grad_name}', norm)

    MessageHub.update_scalar = update_scalar
    OptimWrapper._clip_grad = _clip_grad
    return True


@remedy
def losses_of_one_process() -> bool:
    """The log shows the losses of the first process's clips alone.

    At each line of the log, losses, accuracies and times become the mean of
    all processes.
    """
    from mmengine.dist import all_gather_object, is_distributed
    from mmengine.runner import LogProcessor
    original = LogProcessor._collect_scalars

    @functools.wraps(original)
    def _collect_scalars(self, custom_cfg, runner, mode, *args, **kwargs):
        own = original(self, custom_cfg, runner, mode, *args, **kwargs)
        if mode != 'train' or not is_distributed():
            return own
        means = {}
        everybodys = all_gather_object(own)
        # Some have losses that not every process has in each window.
        for key in {key: None for found in everybodys for key in found}:
            values = [found[key] for found in everybodys if key in found]
            numeric = all(isinstance(x, Real) for x in values)
            means[key] = sum(values) / len(values) if numeric else values[0]
        return means

    LogProcessor._collect_scalars = _collect_scalars
    return True


@remedy
def results_file_of_every_process() -> bool:
    """After a test all processes write the same results file at once."""
    from mmengine.dist import master_only
    from mmengine.hooks import logger_hook
    logger_hook.dump = master_only(logger_hook.dump)
    return True
