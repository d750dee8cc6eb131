"""A log that does not grow, and for which nothing waits."""
import functools

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
                self.message_hub.update_scalar(f'train/{self.grad_name}', norm)

    MessageHub.update_scalar = update_scalar
    OptimWrapper._clip_grad = _clip_grad
    return True


@remedy
def results_file_of_every_process() -> bool:
    """After a test all processes write the same results file at once."""
    from mmengine.dist import master_only
    from mmengine.hooks import logger_hook
    logger_hook.dump = master_only(logger_hook.dump)
    return True
