"""Saves and leaves in good order when a scheduler asks for it."""
import atexit
import os
import signal
from functools import partial
from typing import Optional

from mmaction.registry import HOOKS
from mmengine.dist import barrier
from mmengine.hooks import Hook
from mmengine.runner import BaseLoop

from ..process_signals import (SignalWatch, die_with_parent, end_workers,
                               keep_serving)
from .agreement import Agreement
from .checkpoint_hook import SafeCheckpointHook
from .loops import ResumableEpochLoop
from .test_loop import SurvivingTestLoop


@HOOKS.register_module()
class PreemptionHook(Hook):
    """Saves and exits on SIGTERM and SIGINT, so that ``--resume`` goes on.

    With the next optimizer step after a signal all processes know of it
    (one step later if that is fused, see :class:`Agreement`). They save
    ``preempted.pth`` through :class:`SafeCheckpointHook`, wait until it is
    written and exit with 128 + the number of the signal; the workers that
    load data, who get the signal too, keep on serving until then. With
    :class:`ResumableEpochLoop` the training goes on with the next batch;
    other epoch loops are left without saving, since they could only start
    that epoch again. During validation the epoch is on the disk already.
    A test keeps what is done, see :class:`SurvivingTestLoop`.

    A second signal, more than 3 s after the first, ends the process at once.
    So does the lack of any progress after the first one. A training that
    torchrun has started saves and ends when torchrun is killed.

    Args:
        patience (float): Seconds without a finished iteration after which a
            process that has got a signal ends without saving. Must be longer
            than an iteration takes. Defaults to 300.
    """

    priority = 'LOWEST'  # after schedulers and checkpoints
    signals = (signal.SIGTERM, signal.SIGINT)

    def __init__(self, patience: float = 300.) -> None:
        self.patience = patience
        self._received = 0
        self._agreement: Optional[Agreement] = None
        self._watch: Optional[SignalWatch] = None

    def before_train(self, runner) -> None:
        """Take over the signals."""
        self._agreement = Agreement.of(runner)
        self._listen(runner.train_loop, runner.val_loop)

    def before_test(self, runner) -> None:
        """Take over the signals of a test that can be gone on with."""
        if isinstance(runner.test_loop, SurvivingTestLoop):
            self._listen(runner.test_loop)

    def _listen(self, *loops: Optional[BaseLoop]) -> None:
        self._received = 0

        def note(number: int) -> None:
            self._received = number
            if self._agreement is not None:
                self._agreement.signal = number

        self._watch = SignalWatch(self.signals, self.patience, note)
        if 'TORCHELASTIC_RUN_ID' in os.environ:
            die_with_parent(signal.SIGTERM)
        atexit.register(end_workers)
        for loader in (loop.dataloader for loop in filter(None, loops)):
            loader.worker_init_fn = partial(keep_serving,
                                            loader.worker_init_fn)

    def after_train(self, runner) -> None:
        """Give the signals back."""
        self._agreement.end()
        self._agreement = None
        self._close()

    def after_test(self, runner) -> None:
        """Give the signals back."""
        self._close()

    def _close(self) -> None:
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def after_train_iter(self,
                         runner,
                         batch_idx,
                         data_batch=None,
                         outputs=None) -> None:
        """Save and exit if any process has received a signal."""
        self._watch.alive()
        number = self._agreement.agreed_signal
        if not number or not runner.optim_wrapper.should_update():
            return  # accumulated gradients are not stored
        self._watch.relax()
        self._agreement.settle()
        hooks = [h for h in runner.hooks if isinstance(h, SafeCheckpointHook)]
        if hooks and isinstance(runner.train_loop, ResumableEpochLoop):
            hooks[0].save_preempted(runner, batch_idx + 1)
            # torchrun and Slurm end the writer when another process leaves.
            barrier()
            runner.logger.warning('stopped by a signal, all is saved: start '
                                  'again with --resume')
        else:
            runner.logger.warning('stopped by a signal: --resume starts from '
                                  'the last checkpoint')
        self._exit(runner, number)

    def after_val_iter(self,
                       runner,
                       batch_idx,
                       data_batch=None,
                       outputs=None) -> None:
        """Exit at once: validation changes nothing."""
        if self._received:
            runner.logger.warning('stopped by a signal while validating: '
                                  'start again with --resume')
            self._exit(runner, self._received)

    def after_test_iter(self,
                        runner,
                        batch_idx,
                        data_batch=None,
                        outputs=None) -> None:
        """Keep what is done and exit; the batch at hand is done again."""
        if self._watch is None:
            return
        self._watch.alive()
        if self._received:
            self._watch.relax()
            runner.test_loop.keep()
            then = 'goes on from here' if runner.test_loop.keeps else \
                'starts anew'
            runner.logger.warning('stopped by a signal: the same test, '
                                  f'started again, {then}')
            self._close()
            raise SystemExit(128 + self._received)

    def _exit(self, runner, number: int) -> None:
        self.after_train(runner)
        raise SystemExit(128 + number)
