"""What the processes tell each other once in an optimizer step.

One small reduction carries all of it: whether a loss or a gradient is not
finite anywhere, and the number of a signal that anyone has received. No step
waits for its own on a device whose optimizer can be held back there, see
:class:`Agreement`.
"""
from functools import wraps
from typing import Callable, Dict, List, NamedTuple

import torch
from mmengine.dist import is_distributed
from mmengine.optim import OptimWrapper
from torch import Tensor
from torch import distributed as dist
from torch import nn
from torch.distributed.optim import ZeroRedundancyOptimizer

from .sharding import local

LOSS, GRADIENTS, SIGNAL = range(3)


class Verdict(NamedTuple):
    """What was agreed on in one optimizer step."""
    loss: bool  # some process has a loss that is not finite
    gradients: bool  # or such a gradient
    signal: int  # the number of a received signal, 0 if none
    epoch: int  # of the step, counted from 1
    iteration: int
    losses: List[Dict[str, Tensor]]  # of this process, one dict a batch
    owners: List[nn.Parameter]  # of this process's gradients
    peaks: Tensor  # (owners), the largest value of each gradient


class Agreement:
    """Makes the processes agree before each optimizer step.

    It stands between the runner and ``optim_wrapper.step`` from the start of
    a training to its end. What hooks tell it is reduced once a step, and
    they are told the verdict before the weights are touched.

    A fused optimizer takes a flag on the device that makes its step do
    nothing. There a bad step closes this gate, at once and for good, and the
    host hears of it one step later: it never waits for a device that has
    nothing more to do. It does wait, with the next forward and backward pass
    behind it in the queue: whoever looked whether the verdict has come would
    hear of it in another step than the other processes. Other optimizers
    wait for the verdict of their step.

    Args:
        runner (Runner): The runner of the training.
    """

    def __init__(self, runner) -> None:
        self.runner = runner
        self.wrapper: OptimWrapper = runner.optim_wrapper
        optimizer = self.wrapper.optimizer
        device = self.parameters[0].device
        # A flag on ZeRO's optimizer does not reach the one inside.
        self.gated = not isinstance(optimizer, ZeroRedundancyOptimizer) and \
            all(x.get('fused') for x in optimizer.param_groups)
        self.signal = 0  # set when one comes
        self.agreed_signal = 0
        self.listeners: List[Callable[[Verdict], None]] = []
        self._losses: List[Dict[str, Tensor]] = []
        self._bad_loss = torch.zeros((), device=device)
        self._halted = torch.zeros((), device=device)
        self._pending = None
        # The verdict on the host, and a view of it that no torch call reads.
        self._host = torch.zeros(3, pin_memory=device.type == 'cuda')
        self._agreed = self._host.numpy()
        self._arrived = torch.cuda.Event() if device.type == 'cuda' else None
        self._handles = []
        if self.gated:
            self._handles = [
                optimizer.register_step_pre_hook(self._hold_back),
                optimizer.register_step_post_hook(self._let_go)
            ]
        self._step = self.wrapper.step
        # Schedulers have left a mark on the former one that they look for.
        self.wrapper.step = wraps(self._step)(lambda **x: self.step(**x))

    @classmethod
    def of(cls, runner) -> 'Agreement':
        """The one of a runner, made by the first hook that asks."""
        if getattr(runner, 'agreement', None) is None:
            runner.agreement = cls(runner)
        return runner.agreement

    def end(self) -> None:
        """Leave optimizer and runner as they were."""
        if self.runner.agreement is not self:
            return
        for handle in self._handles:
            handle.remove()
        self.wrapper.step = self._step
        self.runner.agreement = None

    @property
    def parameters(self) -> List[nn.Parameter]:
        """What the optimizer moves; others once a model is shared out."""
        groups = self.wrapper.optimizer.param_groups
        return [p for group in groups for p in group['params']]

    @property
    def scales(self) -> bool:
        """Whether the loss is scaled: then gradients may overflow."""
        scaler = getattr(self.wrapper, 'loss_scaler', None)
        return scaler is not None and scaler.is_enabled()

    def tell_losses(self, losses: Dict[str, Tensor]) -> None:
        """Take in the losses of one batch, ``{name: tensor}``."""
        if not losses:
            return
        self._losses.append(losses)
        finite = torch.stack([x.isfinite().all() for x in losses.values()])
        is_bad = 1 - finite.all().float()
        self._bad_loss = torch.maximum(self._bad_loss, is_bad)

    def step(self, **kwargs) -> None:
        """Agree, then take the optimizer's step."""
        # Of a small tensor that is shared out, some processes have nothing.
        owners = [
            p for p in self.parameters
            if p.grad is not None and local(p.grad).numel()
        ]
        peaks = self._bad_loss.new_zeros(1)
        if owners:
            peaks = torch.stack(
                torch._foreach_norm([local(p.grad) for p in owners],
                                    float('inf')))
        news = torch.stack([
            self._bad_loss, 1 - peaks.isfinite().all().float(),
            torch.full_like(self._bad_loss, self.signal)
        ])
        if is_distributed():
            dist.all_reduce(news, dist.ReduceOp.MAX)
        if self.listeners:  # who stop the training behind a closed gate
            bad = news[LOSS] if self.scales else news[:SIGNAL].max()
            self._halted = torch.maximum(self._halted, bad)
        self._bad_loss = torch.zeros_like(self._bad_loss)
        if self.gated:
            self.settle()
        self._host.copy_(news, non_blocking=True)
        if self._arrived is not None:
            self._arrived.record()
        self._pending = dict(
            epoch=self.runner.epoch + 1,
            iteration=self.runner.iter + 1,
            losses=self._losses,
            owners=owners,
            peaks=peaks)
        self._losses = []
        if not self.gated:
            self.settle()
        self._step(**kwargs)

    def settle(self) -> None:
        """Hear the last verdict if it has not been heard.

        Raises:
            FloatingPointError: Whatever the listeners raise.
        """
        if self._pending is None:
            return
        if self._arrived is not None:
            self._arrived.synchronize()
        pending, self._pending = self._pending, None
        loss, gradients, signal = map(int, self._agreed)
        self.agreed_signal = max(self.agreed_signal, signal)
        for listener in self.listeners:
            listener(Verdict(bool(loss), bool(gradients), signal, **pending))

    def _hold_back(self, optimizer, args, kwargs) -> None:
        """Close the gate. Loss scaling may have set a flag of its own."""
        self._scaled = getattr(optimizer, 'found_inf', None)
        optimizer.found_inf = self._halted if self._scaled is None else \
            torch.maximum(self._scaled, self._halted)

    def _let_go(self, optimizer, args, kwargs) -> None:
        optimizer.found_inf = self._scaled
