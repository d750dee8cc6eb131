"""Work in processes of its own, where a crash or a hang is a result.

Decoders are C code: a damaged file can end the process that reads it.
"""
import multiprocessing
import os
import resource
import signal
import time
from multiprocessing.connection import Connection, wait
from typing import (Any, Callable, Iterable, Iterator, List, NamedTuple,
                    Optional)


class Outcome(NamedTuple):
    """What became of an item: a value, or why there is none."""
    item: Any
    value: Any
    failure: Optional[str]


def contained(function: Callable,
              items: Iterable,
              workers: int = 1,
              seconds: float = 60.,
              memory: Optional[int] = None,
              start: str = 'fork') -> Iterator[Outcome]:
    """Call a function on every item, in other processes.

    A process that crashes, hangs or takes too much memory costs its own item
    alone.

    Args:
        function (callable): Takes an item; both it and its value must be
            picklable. What it raises becomes a ``failure``.
        items (iterable): Consumed as processes get free.
        workers (int): Number of processes.
        seconds (float): For one item.
        memory (int, optional): Bytes that a process may take beyond what it
            begins with. Defaults to None, no limit.
        start (str): How processes begin. 'fork' copies this one, which must
            have one thread; 'forkserver', for those with more, copies a
            small one that imports what the function needs.

    Yields:
        Outcome: In the order in which they come.
    """
    items = iter(items)
    crew: List[_Worker] = []
    left = True
    try:
        while True:
            while left and len(crew) < workers:
                worker = _Worker(function, memory, crew, start)
                crew.append(worker)
                left = worker.take(items, seconds)
            busy = [worker for worker in crew if worker.busy]
            if not busy:
                return
            first = min(worker.deadline for worker in busy)
            ready = wait([worker.connection for worker in busy],
                         max(first - time.monotonic(), 0))
            for worker in busy:
                if worker.connection in ready:
                    outcome = worker.outcome()
                elif time.monotonic() > worker.deadline:
                    outcome = worker.give_up(f'took more than {seconds:g} s')
                else:
                    continue
                if worker.alive:
                    left = left and worker.take(items, seconds)
                else:
                    crew.remove(worker)
                yield outcome
    finally:
        for worker in crew:
            worker.end()


class _Worker:
    """A process that serves one item after the other."""

    def __init__(self, function: Callable, memory: Optional[int],
                 others: List['_Worker'], start: str) -> None:
        context = multiprocessing.get_context(start)
        self.connection, theirs = context.Pipe()
        # A copy of another's pipe would keep that one waiting for ever. A
        # fork server's children have none.
        unneeded = [self.connection, *(other.connection for other in others)
                    ] if start == 'fork' else []
        self.process = context.Process(
            target=_serve,
            args=(function, theirs, memory, unneeded),
            daemon=True)
        self.process.start()
        theirs.close()
        self.alive, self.busy = True, False

    def take(self, items: Iterator, seconds: float) -> bool:
        """Send the next item. False if there is none."""
        for self.item in items:
            self.connection.send(self.item)
            self.deadline = time.monotonic() + seconds
            self.busy = True
            return True
        return False

    def outcome(self) -> Outcome:
        """What came back, or how the process ended."""
        self.busy = False
        try:
            return Outcome(self.item, *self.connection.recv())
        except (EOFError, OSError):  # nothing, or half an answer
            self.process.join()
        number = -self.process.exitcode
        name = signal.Signals(number).name if number > 0 else f'exit {-number}'
        return self.give_up(f'the process crashed ({name})')

    def give_up(self, failure: str) -> Outcome:
        """End the process without its answer."""
        self.end()
        return Outcome(self.item, None, failure)

    def end(self) -> None:
        self.alive = self.busy = False
        self.process.kill()
        self.process.join()
        self.connection.close()


def _serve(function: Callable, connection: Connection, memory: Optional[int],
           unneeded: List[Connection]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
    for other in unneeded:
        other.close()
    if memory is not None:
        limit = _taken() + memory
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while True:
        try:
            item = connection.recv()
        except EOFError:
            os._exit(0)
        try:
            answer = function(item), None
        except Exception as error:
            answer = None, f'{type(error).__name__}: {error}'
        connection.send(answer)


def _taken() -> int:
    """Bytes of data that this process has."""
    with open('/proc/self/status') as file:
        line, = (line for line in file if line.startswith('VmData'))
    return int(line.split()[1]) * 1024
