"""Stops a training whose numbers have left the finite."""
from typing import Dict, List

from mmaction.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from torch import Tensor

from .agreement import Agreement, Verdict

NAMED = 4  # parameters in a message


@HOOKS.register_module()
class NonFiniteHook(Hook):
    """Stops on a loss or a gradient that is not finite, before the step.

    All processes stop if one has such a loss or gradient, be it in the first
    of several accumulated batches, or hidden by clipping. The weights stay as
    they were. A fused optimizer is held back on the device, and the training
    stops one step later; see :class:`Agreement`.

    Mixed precision with loss scaling skips a step whose gradients overflow,
    and lowers the scale: such steps are counted in the log.

    Args:
        max_skipped (int): How many steps in a row may be skipped; a scale
            from which so many halvings do not help is not the cause.
            Defaults to 30.

    Raises:
        FloatingPointError: Names the losses, or the parameters.
    """

    def __init__(self, max_skipped: int = 30) -> None:
        self.max_skipped = max_skipped

    def before_train(self, runner) -> None:
        """Watch the model's losses and the optimizer's steps."""
        self._skipped = self._in_a_row = self._told = 0
        self._agreement = agreement = Agreement.of(runner)
        agreement.listeners.append(lambda x: self._judge(runner, x))
        parameter = agreement.parameters[0]
        if parameter.is_cuda and not agreement.gated:
            runner.logger.info(
                'this optimizer cannot be held back on the device: each step '
                'waits to know that its gradients are finite. AdamW, Adam '
                'and SGD do not with fused=True')

        def watch(model, args, losses) -> None:
            if isinstance(losses, dict) and model.training:
                agreement.tell_losses({
                    key: value.detach()
                    for name, entry in losses.items() if 'loss' in name
                    for key, value in _named_tensors(name, entry)
                })

        self._handle = runner.model.register_forward_hook(watch)

    def after_train(self, runner) -> None:
        """Leave model and optimizer as they were."""
        self._agreement.settle()
        self._agreement.end()
        self._handle.remove()

    def after_train_epoch(self, runner) -> None:
        """Know of the last step before anything is validated or saved."""
        self._agreement.settle()

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """The same for checkpoints inside an epoch."""
        if getattr(runner, 'agreement', None) is not None:
            runner.agreement.settle()

    def after_train_iter(self,
                         runner,
                         batch_idx,
                         data_batch=None,
                         outputs=None) -> None:
        """Say which steps loss scaling has skipped."""
        if self._told < self._skipped:
            self._told = self._skipped
            runner.logger.warning(
                f'optimizer step skipped, {self._skipped} so far: gradients '
                'overflowed, the loss scale is now '
                f'{runner.optim_wrapper.loss_scaler.get_scale():g}')

    def _judge(self, runner, verdict: Verdict) -> None:
        """What to do about the losses and gradients of one step."""
        where = f'in epoch {verdict.epoch}, iteration {verdict.iteration}'
        if verdict.loss:
            raise FloatingPointError(
                f'the loss is not finite {where} ({_bad_losses(verdict)}). '
                'The weights were not changed; the last checkpoint is good. '
                'Lower the learning rate, lengthen the warm-up, or train in '
                'bfloat16 or float32')
        if not verdict.gradients:
            self._in_a_row = 0
            return
        if not self._agreement.scales:
            raise FloatingPointError(
                f'the loss is finite, its gradients are not, {where} '
                f'({_bad_gradients(verdict, runner.model)}). The weights were '
                'not changed; the last checkpoint is good. Lower the learning '
                'rate, lengthen the warm-up, or train in float32')
        self._skipped += 1
        self._in_a_row += 1
        if self._in_a_row > self.max_skipped:
            raise FloatingPointError(
                f'{self._in_a_row} optimizer steps in a row were skipped, the '
                f'last {where}: their gradients are not finite whatever the '
                f'loss scale ({_bad_gradients(verdict, runner.model)}). The '
                'weights were not changed by them. Train in bfloat16 or '
                'float32, or lower the learning rate')


def _bad_losses(verdict: Verdict) -> str:
    """The losses of this process that are not finite."""
    bad: Dict[str, List[float]] = {
        name: value.tolist()
        for losses in verdict.losses for name, value in losses.items()
        if not value.isfinite().all()
    }
    return f'here: {bad}' if bad else 'on another process'


def _bad_gradients(verdict: Verdict, model) -> str:
    """The parameters whose gradients are not finite on this process."""
    model = model.module if is_model_wrapper(model) else model
    names = {id(p): name for name, p in model.named_parameters()}
    bad = [
        names.get(id(owner), 'a parameter outside the model')
        for owner, peak in zip(verdict.owners, verdict.peaks.tolist())
        if not abs(peak) < float('inf')
    ]
    if not bad:
        return 'on another process'
    more = f' and {len(bad) - NAMED} more' if len(bad) > NAMED else ''
    return f'of {", ".join(bad[:NAMED])}{more}'


def _named_tensors(name: str, entry):
    """A loss is a tensor or a list of them."""
    if isinstance(entry, Tensor):
        return [(name, entry)]
    return [(f'{name}[{i}]', x) for i, x in enumerate(entry)]
