"""Work in forks of this process, whose imports they need not repeat."""
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Callable, Optional


def outcome(work: Callable[[], None]) -> int:
    """Calls a function; the exit status of a process that had done so.

    What it raises is printed as the interpreter does it.
    """
    try:
        work()
    except SystemExit as stop:
        if isinstance(stop.code, str):
            print(stop.code, file=sys.stderr)
        return stop.code if isinstance(stop.code, int) else int(
            stop.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def fork(work: Callable[[], None], log: Optional[Path] = None) -> int:
    """Calls a function in a fork, which then ends.

    Args:
        work: The function.
        log: File that the fork's output is appended to; None for that of
            this process.

    Returns:
        Its process id.
    """
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        if log is not None:
            file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(file, 1)
            os.dup2(file, 2)
        status = outcome(work)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status & 255)


def wait(pid: int, seconds: float) -> int:
    """The exit status of a fork; minus the signal that ended it, SIGALRM if
    it took too long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(.005)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return -signal.SIGALRM
