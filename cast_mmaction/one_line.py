"""Errors that end a program with one line that says what to do."""
import json
import os
import sys
import time
import traceback
from contextlib import contextmanager
from typing import Iterator, Optional

import torch
from mmengine.logging import MMLogger

from .datasets.fault import FaultyFile
from .storage.store import StoreError

# Set to anything, it brings Python's own account to the screen.
TRACEBACK = 'CAST_TRACEBACK'
# torchrun names a file here, and reads it when the process has ended.
ERROR_FILE = 'TORCHELASTIC_ERROR_FILE'
# What is raised with a sentence for whoever started the program.
FORESEEN = (ValueError, OSError, ImportError, FloatingPointError, FaultyFile,
            StoreError)


@contextmanager
def refusals_in_one_line(word: str = 'error',
                         goes_on: bool = False) -> Iterator[None]:
    """Ends a tool with the sentence of an error that was foreseen.

    Any other is a mistake of the tool, and keeps its traceback.

    Args:
        word: What the line begins with.
        goes_on: Whether the tool goes on where Ctrl-C has stopped it.

    Raises:
        SystemExit: With that line, for one of ``FORESEEN``.
    """
    try:
        yield
    except FORESEEN as error:
        if os.environ.get(TRACEBACK) or not str(error):
            raise
        sys.exit(f'{word}: {error}')
    except KeyboardInterrupt:
        if not goes_on:
            raise
        sys.exit('stopped; the same command goes on from here')


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Ends a run with a sentence instead of a traceback.

    The traceback goes to the log file of the run, if there is one. A process
    that torchrun has started hands its sentence to the launcher, which shows
    that of the first process to fail (tools/launch.py).

    Raises:
        SystemExit: With 1, for any error within.
    """
    try:
        yield
    except Exception as error:
        if os.environ.get(TRACEBACK):
            raise
        log = _append_traceback()
        line = sentence(error, log)
        if ERROR_FILE in os.environ:
            _tell_launcher(line)
        else:
            where = f'is in {log}; ' if log else 'is shown with '
            how = f'{TRACEBACK}=1' + (' shows it here' if log else '')
            print(f'The traceback {where}{how}', file=sys.stderr)
            print(f'error: {line}', file=sys.stderr)
        sys.exit(1)


def sentence(error: BaseException, log: Optional[str] = None) -> str:
    """One line about an error.

    Args:
        error: What was raised.
        log: Where its traceback is.
    """
    text = ' '.join(str(error).split())
    if isinstance(error, torch.OutOfMemoryError):
        return ("the GPU's memory is too small: lower "
                'train_dataloader.batch_size, or set '
                f'model.backbone.with_cp=True ({text[:200]})')
    if isinstance(error, FORESEEN) and text:
        return text
    more = f'; where it happened is in {log}' if log else ''
    return f'{type(error).__name__}: {text}{more}'


def _tell_launcher(line: str) -> None:
    """Leave the sentence for torchrun, in the form that it reads.

    Its own time is in whole seconds, in which others may fail as well.
    """
    now = time.time()
    extra = dict(
        py_callstack=traceback.format_exc(),
        timestamp=str(int(now)),
        exact_time=now)
    with open(os.environ[ERROR_FILE], 'w', encoding='utf-8') as file:
        json.dump(dict(message=dict(message=line, extraInfo=extra)), file)


def _append_traceback() -> Optional[str]:
    """Write the traceback to the run's log; gives back its path."""
    log = MMLogger.get_current_instance().log_file
    if log is None or not os.path.isdir(os.path.dirname(log)):
        return None
    rank = os.environ.get('RANK')
    of = f' of process {rank}' if rank else ''
    with open(log, 'a', encoding='utf-8') as file:
        file.write(f'The end{of}:\n{traceback.format_exc()}')
    return log
