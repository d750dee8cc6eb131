"""Saves and leaves in good order when a scheduler asks for it."""
import atexit
import os
import signal
import threading
from functools import partial
from typing import Callable, Optional

from mmaction.registry import HOOKS
from mmengine.dist import barrier
from mmengine.hooks import Hook

from ..process_signals import SignalWatch, die_with_parent, kill_children
from .agreement import Agreement
from .checkpoint_hook import SafeCheckpointHook
from .loops import ResumableEpochLoop


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

    def before_train(self, runner) -> None:
        """Take over the signals."""
        self._agreement = agreement = Agreement.of(runner)
        self._received = 0

        def note(number: int) -> None:
            self._received = agreement.signal = number

        self._watch = SignalWatch(self.signals, self.patience, note)
        if 'TORCHELASTIC_RUN_ID' in os.environ:
            die_with_parent(signal.SIGTERM)
        atexit.register(_end_workers)
        loops = filter(None, (runner.train_loop, runner.val_loop))
        for loader in (loop.dataloader for loop in loops):
            loader.worker_init_fn = partial(_keep_serving,
                                            loader.worker_init_fn)

    def after_train(self, runner) -> None:
        """Give the signals back."""
        self._agreement.end()
        self._watch.close()

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
    kill_children()


def _keep_serving(init: Optional[Callable], worker: int) -> None:
    """Start a worker that leaves signals to the training process.

    torchrun, Slurm and terminals send them to all processes. The worker heeds
    SIGTERM only from its parent, which ends it that way.
    """
    signal.set_wakeup_fd(-1)  # the parent's
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
