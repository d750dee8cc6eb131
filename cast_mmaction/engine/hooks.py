"""Hooks that keep a training honest: seeds, losses, signals, weights."""
import atexit
import multiprocessing
import os
import random
import signal
import threading
from functools import partial
from typing import Callable, Optional, Sequence

import numpy as np
import torch
from mmaction.registry import HOOKS
from mmengine.dist import all_reduce, get_rank, is_distributed
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from torch import Tensor
from torch import distributed as dist

from ..checkpoints import complete
from ..checkpoints.reading import as_state_dict
from .checkpoint_hook import SafeCheckpointHook
from .loops import ResumableEpochLoop


@HOOKS.register_module()
class StepSeedHook(Hook):
    """Seeds what the training process draws from (seed, rank, iteration).

    Dropout, drop path and mixup are drawn here, not in the data set. With
    this a resumed run draws what an uninterrupted one does.
    """

    priority = 'VERY_HIGH'

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        """Seed ``random``, NumPy and torch."""
        sequence = np.random.SeedSequence(
            (runner.seed, get_rank(), runner.iter))
        for_random, for_numpy, for_torch = sequence.generate_state(3).tolist()
        random.seed(for_random)
        np.random.seed(for_numpy)
        torch.manual_seed(for_torch)


@HOOKS.register_module()
class NonFiniteHook(Hook):
    """Stops on a loss that is not finite, before the weights are touched.

    All processes stop if one has such a loss. The verdict travels to the host
    while the backward pass runs, so that no step waits for it. Mixed
    precision with loss scaling skips a step whose gradients overflow: such
    steps are counted in the log.

    Raises:
        FloatingPointError: Instead of the optimizer step.
    """

    def before_train(self, runner) -> None:
        """Watch the model's losses and the optimizer's steps."""
        self._bad: Optional[Tensor] = None
        self._verdict: Optional[Tensor] = None
        self._losses: dict = {}
        self._stepped = False
        self._skipped = 0
        cuda = next(runner.model.parameters()).is_cuda
        self._stream = torch.cuda.Stream() if cuda else None

        def watch(model, args, losses) -> None:
            if isinstance(losses, dict) and model.training:
                self._watch(losses, runner.optim_wrapper.should_sync())

        def guard(optimizer, args, kwargs) -> None:
            self._stepped = True
            self._judge(runner)

        self._handles = (
            runner.model.register_forward_hook(watch),
            runner.optim_wrapper.optimizer.register_step_pre_hook(guard))

    def after_train(self, runner) -> None:
        """Leave model and optimizer as they were."""
        for handle in self._handles:
            handle.remove()

    def after_train_iter(self,
                         runner,
                         batch_idx,
                         data_batch=None,
                         outputs=None) -> None:
        """Notice steps that loss scaling has skipped."""
        if not runner.optim_wrapper.should_update():
            return
        if not self._stepped:
            self._judge(runner)
            self._skipped += 1
            runner.logger.warning(
                f'optimizer step skipped, {self._skipped} so far: gradients '
                'overflowed, the loss scale is now '
                f'{runner.optim_wrapper.loss_scaler.get_scale():g}')
        self._stepped = False

    def _watch(self, losses: dict, last_of_step: bool) -> None:
        """Take in the losses of one forward pass."""
        flat = {
            key: value.detach()
            for name, entry in losses.items() if 'loss' in name
            for key, value in _named_tensors(name, entry)
        }
        self._losses = flat
        bad = ~torch.stack([x.isfinite().all() for x in flat.values()]).all()
        self._bad = bad if self._bad is None else self._bad | bad
        if not last_of_step:
            return
        flag, self._bad = self._bad.float(), None
        if self._stream is None:
            all_reduce(flag, 'max')
            self._verdict = flag
            return
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            if is_distributed():
                dist.all_reduce(flag, dist.ReduceOp.MAX)
            self._verdict = flag.to('cpu', non_blocking=True)
        flag.record_stream(self._stream)

    def _judge(self, runner) -> None:
        """Wait for the verdict on this step's losses."""
        if self._stream is not None:
            self._stream.synchronize()
        if self._verdict is None or not self._verdict.item():
            return
        values = {key: x.tolist() for key, x in self._losses.items()}
        raise FloatingPointError(
            f'the loss is not finite in epoch {runner.epoch + 1}, iteration '
            f'{runner.iter + 1} (here: {values}). The weights were not '
            'changed; the last checkpoint is good. Lower the learning rate, '
            'lengthen the warm-up, or train in bfloat16 or float32')


def _named_tensors(name: str, entry):
    """A loss is a tensor or a list of them."""
    if isinstance(entry, Tensor):
        return [(name, entry)]
    return [(f'{name}[{i}]', x) for i, x in enumerate(entry)]


@HOOKS.register_module()
class PreemptionHook(Hook):
    """Saves and exits on SIGTERM and SIGINT, so that ``--resume`` goes on.

    After the optimizer step during which the signal came, all processes agree,
    save ``preempted.pth`` through :class:`SafeCheckpointHook` and exit with
    128 + the number of the signal; the workers that load data, who get the
    signal too, keep on serving until then. With :class:`ResumableEpochLoop` the
    training goes on with the next batch; other epoch loops are left without
    saving, since they could only start that epoch again. During
    validation the epoch is on the disk already.
    """

    priority = 'LOWEST'  # after schedulers and checkpoints
    signals = (signal.SIGTERM, signal.SIGINT)

    def before_train(self, runner) -> None:
        """Take over the signals."""
        self._received = 0

        def note(number, frame) -> None:
            self._received = number

        self._former = {x: signal.signal(x, note) for x in self.signals}
        atexit.register(_end_workers)
        loops = filter(None, (runner.train_loop, runner.val_loop))
        for loader in (loop.dataloader for loop in loops):
            loader.worker_init_fn = partial(_keep_serving,
                                            loader.worker_init_fn)

    def after_train(self, runner) -> None:
        """Give the signals back."""
        for number, handler in self._former.items():
            signal.signal(number, handler or signal.SIG_DFL)

    def after_train_iter(self,
                         runner,
                         batch_idx,
                         data_batch=None,
                         outputs=None) -> None:
        """Save and exit if any process has received a signal."""
        if not runner.optim_wrapper.should_update():
            return  # accumulated gradients are not stored
        number = torch.tensor(self._received)
        all_reduce(number, 'max')
        if not number.item():
            return
        hooks = [h for h in runner.hooks if isinstance(h, SafeCheckpointHook)]
        if hooks and isinstance(runner.train_loop, ResumableEpochLoop):
            hooks[0].save_preempted(runner, batch_idx + 1)
            runner.logger.warning('stopped by a signal, all is saved: start '
                                  'again with --resume')
        else:
            runner.logger.warning('stopped by a signal: --resume starts from '
                                  'the last checkpoint')
        self._exit(runner, number.item())

    def after_val_iter(self,
                       runner,
                       batch_idx,
                       data_batch=None,
                       outputs=None) -> None:
        """Exit at once: validation changes nothing."""
        if getattr(self, '_received', 0):
            runner.logger.warning('stopped by a signal while validating: '
                                  'start again with --resume')
            self._exit(runner, self._received)

    def _exit(self, runner, number: int) -> None:
        self.after_train(runner)
        raise SystemExit(128 + number)


def _end_workers() -> None:
    """End what :func:`_keep_serving` made deaf to the end of the process.

    Python ends the workers of persistent loaders with SIGTERM and then waits
    for them, without a limit.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch takes it for a crash
    for process in multiprocessing.active_children():
        if process.daemon:
            process.kill()


def _keep_serving(init: Optional[Callable], worker: int) -> None:
    """Start a worker that leaves signals to the training process.

    torchrun, Slurm and terminals send them to all processes. The worker heeds
    SIGTERM only from its parent, which ends it that way.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    threading.Thread(
        target=_end_by_parent, args=(os.getppid(), ), daemon=True).start()
    if init is not None:
        init(worker)


def _end_by_parent(parent: int) -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)


@HOOKS.register_module()
class StrictLoadHook(Hook):
    """Refuses a checkpoint that does not fit the model.

    MMEngine's runner warns and goes on with what fits.

    Args:
        allowed (sequence[str]): Prefixes of keys that may be missing,
            superfluous or of another shape, such as ``cls_head.`` when a
            model is trained further on other classes. Defaults to ().

    Raises:
        ValueError: Names the keys that do not fit.
    """

    def __init__(self, allowed: Sequence[str] = ()) -> None:
        self.allowed = tuple(allowed)

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Compare the checkpoint with the model."""
        model = runner.model
        model = model.module if is_model_wrapper(model) else model
        wanted = model.state_dict()
        found = as_state_dict(
            checkpoint.get('state_dict', checkpoint), runner._load_from)
        found = {key.removeprefix('module.'): x for key, x in found.items()}
        found = complete(model, found)
        problems = {
            'missing': [key for key in wanted if key not in found],
            'unknown to this model': [k for k in found if k not in wanted],
            'of another shape': [
                key for key in found
                if key in wanted and found[key].shape != wanted[key].shape
            ]
        }
        report = []
        for kind, keys in problems.items():
            keys = [key for key in keys if not key.startswith(self.allowed)]
            if keys:
                more = f' and {len(keys) - 8} more' if len(keys) > 8 else ''
                report.append(f'{kind}: {", ".join(keys[:8])}{more}')
        if report:
            raise ValueError(
                f'{runner._load_from or "the checkpoint"} is of another '
                f'model; {"; ".join(report)}. Prefixes that may differ go '
                'into default_hooks.strict_load.allowed')
