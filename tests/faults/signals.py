"""Every signal at every kind of moment: the training goes on to the same."""
import os
import signal
from collections import Counter
from pathlib import Path
from typing import List, Tuple

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


def cases(folder: Path, long: bool) -> List[Tuple[Moment, int]]:
    """Moments and signals.

    All signals at a step of the training, and those that trainings are
    stopped with at one moment of every kind. In long: all signals at every
    kind, and the stopping ones at every moment.
    """
    found = [x for x in moments(folder) if x.trainable_only and not x.half]
    # Before the first step nobody listens yet.
    first = next(place for place, x in enumerate(found)
                 if x.event.startswith('tests.iteration'))
    found = found[first + 1:]
    # Of each kind the last; the writing of checkpoints stands for all writing.
    kinds = {x.event.split()[0]: x for x in found if x.event.startswith('te')}
    kinds.update({x.event: x for x in found if 'epoch_1.pth.tmp' in x.event
                  and 'best' not in x.event})
    step, *others = kinds.values()
    everywhere = found if long else others
    return [
        *((moment, number) for moment in (kinds.values() if long else [step])
          for number in NAMED),
        *((moment, number) for moment in everywhere for number in PREEMPTING)
    ]


def run(long: bool, folder: Path) -> Counter:
    """Send signals to trainings and let them go on.

    Args:
        long: More moments.
        folder: Where to work.

    Returns:
        Counter: How often what happened; everything but 'the same' is a
        fault.
    """
    warm_up(folder)
    found: Counter = Counter()
    for moment, number in cases(folder, long):
        result = survive(
            folder / f'signal-{number}-{moment.place}',
            folder / f'whole-{moment.trainable_only}', moment.trainable_only,
            lambda work_dir: send_at(work_dir, moment, number),
            *((128 + number, 0) if number in PREEMPTING else
              (-number, 128 + number, 0)))
        where = '' if result == 'the same' else f' ({number.name} at {moment})'
        found[result + where] += 1
    return found
