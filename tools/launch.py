"""torchrun that ends with one line: what the first process to fail said.

    tools/launch.py [OPTION of torchrun ...] SCRIPT [ARGUMENT ...]

With CAST_TRACEBACK=1 in the environment torchrun tells all in its own way.
"""
import logging
import os
import signal
import sys
from typing import Optional, Sequence

from torch.distributed import run
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import (
    ChildFailedError, ProcessFailure)

STOPPED = {128 + x: x for x in (signal.SIGTERM, signal.SIGINT)}


def describe(error: ChildFailedError) -> str:
    """The line about a launch that has failed.

    Args:
        error: With the failures of all processes that had ended by then.
    """
    rank, first = min(
        error.failures.items(), key=lambda item: _time(item[1]))
    code = first.exitcode
    said = first.error_file_data['message']
    if isinstance(said, dict):  # else no file was left
        return f'error: {said["message"]} (process {rank})'
    if code in STOPPED:
        return f'stopped by {STOPPED[code].name}; --resume goes on from here'
    if code == -signal.SIGKILL:
        return (f'error: process {rank} was killed, as the system does when '
                'memory runs out: lower train_dataloader.batch_size or '
                'num_workers, or ask the scheduler for more')
    if code < 0:
        return f'error: process {rank} ended by {signal.Signals(-code).name}'
    return (f'error: process {rank} ended with exit code {code}; what it '
            'said is above')


def _time(failure: ProcessFailure) -> float:
    """When it failed; of what left no file, when that was noticed."""
    message = failure.error_file_data['message']
    if isinstance(message, dict):
        return message.get('extraInfo', {}).get('exact_time',
                                                failure.timestamp)
    return failure.timestamp


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Launches, and ends as the processes have ended."""
    args = run.parse_args(argv)
    if os.environ.get('CAST_TRACEBACK'):
        return run.run(args)
    logging.getLogger('torch.distributed.elastic').setLevel(logging.CRITICAL)
    try:
        run.run(args)
    except ChildFailedError as error:
        line = describe(error)
        code = error.get_first_failure()[1].exitcode
    except SignalException as error:
        # The processes have said how they left.
        line = f'stopped by {error.sigval.name}'
        code = 128 + error.sigval
    else:
        return
    print(line, file=sys.stderr)
    sys.exit(code if code > 0 else 128 - code)


if __name__ == '__main__':
    main()
