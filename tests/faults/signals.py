"""Every signal at every kind of moment: the training goes on to the same."""
import os
import signal
from collections import Counter
from pathlib import Path
from typing import List

from .kills import Moment, moments, survive, warm_up, watch

# Those that stop a process until another one wakes it, and the one that
# nothing can be told about (it is what the kills are made of).
LEFT_OUT = (signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU,
            signal.SIGKILL)
ALL = sorted(signal.valid_signals() - {*LEFT_OUT})
# Numbers without a name are real-time signals: the first stands for them.
NAMED = [number for number in ALL if isinstance(number, signal.Signals)]
PREEMPTING = (signal.SIGTERM, signal.SIGINT)


def send_at(folder: Path, moment: Moment, number: int) -> None:
    """Arm the child process: it gets the signal at the moment."""
    seen = 0

    def on_event(event: str, writes: bool) -> None:
        nonlocal seen
        seen += 1
        if seen == moment.place + 1:
            os.kill(os.getpid(), number)

    watch(folder, on_event)


def chosen_moments(folder: Path, long: bool) -> List[Moment]:
    """One moment of each kind, or all of those of a training."""
    found = [x for x in moments(folder) if x.trainable_only and not x.half]
    # Before the first step nobody listens yet.
    start = next(i for i, x in enumerate(found)
                 if x.event.startswith('tests.iteration'))
    found = found[start + 1:]
    if long:
        return found
    kinds = {x.event.split('.pth')[0].split(' 2')[0]: x for x in found}
    return [
        x for x in kinds.values() if x.event.startswith('tests.')
        or 'epoch_1.pth.tmp' in x.event and 'best' not in x.event
    ]


def run(long: bool, folder: Path) -> Counter:
    """Send signals to trainings and let them go on.

    Args:
        long: At all moments instead of one of each kind.
        folder: Where to work.

    Returns:
        Counter: How often what happened; everything but 'the same' is a
        fault.
    """
    warm_up(folder)
    found: Counter = Counter()
    for moment in chosen_moments(folder, long):
        for number in NAMED:
            result = survive(
                folder / f'signal-{number}-{moment.place}',
                folder / f'whole-{moment.trainable_only}',
                moment.trainable_only,
                lambda work_dir: send_at(work_dir, moment, number),
                *((128 + number, 0) if number in PREEMPTING else
                  (-number, 128 + number, 0)))
            where = '' if result == 'the same' else \
                f' ({number.name} at {moment})'
            found[result + where] += 1
    return found
