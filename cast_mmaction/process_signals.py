"""Signals and deaths of the processes that train and load data."""
import ctypes
import faulthandler
import multiprocessing
import os
import select
import signal
import socket
import sys
import threading
import time
from typing import Callable, Optional, Sequence

PR_SET_PDEATHSIG = 1  # linux/prctl.h
# Launchers pass a signal on that terminals and schedulers send to all.
ECHO = 3.


def die_with_parent(number: int = signal.SIGKILL) -> None:
    """Have the kernel signal this process when its parent has gone.

    Only Linux can; elsewhere nothing happens.
    """
    if sys.platform == 'linux':
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)


def kill_children() -> None:
    """End the processes that load data, also deaf ones."""
    for process in multiprocessing.active_children():
        if process.daemon:
            process.kill()


def end_workers() -> None:
    """End what :func:`keep_serving` made deaf to the end of the process.

    Python ends the workers of persistent loaders with SIGTERM and then waits
    for them, without a limit.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch takes it for a crash
    kill_children()


def keep_serving(init: Optional[Callable], worker: int) -> None:
    """Start a worker that leaves signals to the process it serves.

    torchrun, Slurm and terminals send them to all processes. The worker heeds
    SIGTERM only from its parent, which ends it that way.

    Args:
        init (callable, optional): What else the loader's worker starts with.
        worker (int): Its number.
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


class SignalWatch:
    """Notices signals also where Python does not get to run its handlers.

    A thread hears of them while the process waits in a collective call or for
    a batch that does not come. It ends the process

    - at once, on a second signal (more than 3 s after the first one), and
    - after ``patience`` seconds without a sign of life since the first one,
      with the places where all threads are.

    Args:
        numbers (sequence[int]): The signals.
        patience (float): In seconds.
        note (callable): Called with the number of a signal, in the main
            thread.
    """

    def __init__(self, numbers: Sequence[int], patience: float,
                 note: Callable[[int], None]) -> None:
        self.numbers = set(numbers)
        self.patience = patience
        self.received = 0
        self._alive = 0.
        self._relaxed = False
        self._read, self._write = socket.socketpair()
        self._write.setblocking(False)
        self._former_fd = signal.set_wakeup_fd(
            self._write.fileno(), warn_on_full_buffer=False)
        self._former = {
            number: signal.signal(number, lambda x, frame: note(x))
            for number in numbers
        }
        threading.Thread(target=self._run, daemon=True).start()

    def close(self) -> None:
        """Give the signals back."""
        for number, handler in self._former.items():
            signal.signal(number, handler or signal.SIG_DFL)
        signal.set_wakeup_fd(self._former_fd)
        self._write.close()  # which ends the thread

    def alive(self) -> None:
        """Give a sign of life."""
        self._alive = time.monotonic()

    def relax(self) -> None:
        """Wait as long as it takes from now on, say for a slow disk."""
        self._relaxed = True

    def _run(self) -> None:
        first = 0.
        with self._read:
            while True:
                waiting = bool(self.received) and not self._relaxed
                timeout = max(self.patience + self._alive - time.monotonic(),
                              0.) if waiting else None
                if select.select([self._read], [], [], timeout)[0]:
                    numbers = self._read.recv(64)
                    if not numbers:
                        return
                    for number in self.numbers.intersection(numbers):
                        if not self.received:
                            self.received = number
                            first = time.monotonic()
                            self.alive()
                        elif time.monotonic() - first > ECHO:
                            self._end('a second signal')
                elif waiting and time.monotonic() >= \
                        self._alive + self.patience:
                    faulthandler.dump_traceback()
                    self._end(f'no sign of life for {self.patience:g} s after '
                              'a signal')

    def _end(self, reason: str) -> None:
        sys.stderr.write(f'{reason}: the process ends without saving\n')
        sys.stderr.flush()
        kill_children()
        os._exit(128 + self.received)
