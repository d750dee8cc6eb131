"""Many videos made or read: in parallel, noted at once, going on after a stop.
"""
import errno
import json
import os
import os.path as osp
import shutil
import sys
import time
from pathlib import Path
from statistics import median
from typing import Dict, List, NamedTuple, Sequence

from ..atomic_write import MAKE_ROOM
from ..contained import contained
from ..datasets.video import PyAVReader, UnreadableVideo
from .encode import NO_SPACE, Order, encoder, make
from .whole import facts_of, fault_of, read_journal

# Videos looked at to guess how large all will be.
NUM_PROBES = 20
# Seconds between two lines about the progress.
INTERVAL = 10.
# Broken videos that are printed as they come.
NUM_NAMED = 20


class Result(NamedTuple):
    """What became of an order.

    Attributes:
        state: 'made', 'kept' (a good file was there), 'read' (nothing was to
            be made), 'broken' or 'full' (the disk).
        reason: What is wrong, '' if nothing.
    """
    state: str
    reason: str = ''


def carry_out(orders: Sequence[Order],
              journal: str,
              workers: int,
              seconds: float = 600.) -> Dict[Order, Result]:
    """Make or read videos, and note each in a journal.

    A file that is there and good is never written again. What the journal
    knows is not looked at again, as long as source and target are as they
    were; a video that took too long or crashed its process is.

    Args:
        orders (sequence[Order]): What is to be done.
        journal (str): File of the notes.
        workers (int): Processes, each of one thread.
        seconds (float): For one order.

    Raises:
        OSError: If the disk is or gets full. What is done stays.
        FileNotFoundError: If there is nothing to make videos with.
    """
    known = read_journal(Path(journal))
    results: Dict[Order, Result] = {}
    left: List[Order] = []
    for order in orders:
        note = known.get(_key(order))
        if note is None:
            left.append(order)
        else:
            results[order] = Result(*note)
    if results:
        print(f'{len(results)} of {len(orders)} videos are known from '
              f'{journal}')
    making = [order for order in left
              if order.target and not osp.exists(order.target)]
    if making:
        print(f'{len(making)} videos are made by {encoder()}')
        for folder in {osp.dirname(order.target) for order in making}:
            os.makedirs(folder or '.', exist_ok=True)
        check_space(making)
    progress = _Progress(len(left))
    with open(journal, 'a', encoding='utf-8') as notes:
        notes.write('\n')  # after half a line
        for order, result, failure in contained(_do, left, workers, seconds):
            if failure is None:
                result = Result(*result)
                if result.state == 'full':
                    raise OSError(
                        errno.ENOSPC, f'{order.target} cannot be written: '
                        f'{result.reason}. {MAKE_ROOM}; the same command '
                        'goes on from here')
                notes.write(json.dumps([*_key(order), result]) + '\n')
                notes.flush()
            else:
                result = Result('broken', failure)
            results[order] = result
            progress.step(order, result)
    progress.end()
    return results


def check_space(orders: Sequence[Order]) -> None:
    """Compare what files will take, roughly, with what is free.

    Some sources are looked at: their bytes a second, and how many pixels
    remain of them.

    Raises:
        OSError: If the disk has less.
    """
    rates = []
    for order in orders[::max(len(orders) // NUM_PROBES, 1)]:
        try:
            rates.append(_bytes_a_second(order))
        except UnreadableVideo:
            continue  # it will be told of when its turn comes
    if not rates:
        return
    rate, share = (median(x) for x in zip(*rates))
    needed = sum(
        share * osp.getsize(order.source) if order.start is None else rate *
        share * (order.stop - order.start) for order in orders)
    folder = osp.dirname(osp.abspath(orders[0].target))
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(
            errno.ENOSPC, f'{folder}: the {len(orders)} videos to make take '
            f'about {needed / 1e9:.3g} GB and {free / 1e9:.3g} GB are free. '
            f'{MAKE_ROOM}, or take a smaller --short-side')
    print(f'they take about {needed / 1e9:.3g} GB, {free / 1e9:.3g} GB are '
          'free')


def _bytes_a_second(order: Order) -> tuple:
    """Of the source, and the part of its pixels that remains."""
    reader = PyAVReader(order.source, order.start, order.stop)
    container = reader.container
    stream = container.streams.video[0]
    duration = max((container.duration or 0) / 1e6, 1 / reader.fps)
    side = max(min(stream.width, stream.height), 1)
    container.close()
    return (osp.getsize(order.source) / duration,
            min(order.short_side / side, 1)**2)


def _key(order: Order) -> tuple:
    settings = '{} {} {} {}'.format(*order[2:])
    target = facts_of(order.target) if order.target else ('', 0, 0)
    return (*facts_of(order.source), *target, settings)


def _do(order: Order) -> Result:
    """Carry out one order, in a process of its own."""
    if not order.target:
        reason = fault_of(order.source)
        return Result('broken' if reason else 'read', reason)
    if osp.exists(order.target) and not fault_of(order.target):
        return Result('kept')
    try:
        make(order)
    except UnreadableVideo as error:
        return Result('broken', ' '.join(error.reason.split()))
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return Result('full', NO_SPACE)
        raise
    reason = fault_of(order.target)
    if reason:
        os.remove(order.target)
        return Result('broken', f'what was made of it {reason}')
    return Result('made')


class _Progress:
    """Lines that say how far it is; a faulty video is named at once."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.broken = total, 0, 0
        self.start = self.said = time.monotonic()

    def step(self, order: Order, result: Result) -> None:
        """Count an order."""
        self.done += 1
        if result.state == 'broken':
            self.broken += 1
            if self.broken <= NUM_NAMED:
                print(f'broken: {order.source}: {result.reason}')
            if self.broken == NUM_NAMED:
                print('  (from here on they are counted; all are named when '
                      'the list is written)')
        if time.monotonic() - self.said > INTERVAL:
            self.said = time.monotonic()
            self._say()

    def end(self) -> None:
        """Say how it went."""
        if self.total:
            self._say()

    def _say(self) -> None:
        passed = max(time.monotonic() - self.start, 1e-3)
        left = (self.total - self.done) * passed / max(self.done, 1)
        print(f'{self.done} of {self.total} videos '
              f'({self.done / self.total:.0%}), {self.done / passed:.3g} a '
              f'second, {left / 60:.0f} min left, {self.broken} broken')
        sys.stdout.flush()
