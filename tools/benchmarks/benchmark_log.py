"""Whether a log grows dear: ``tools/benchmarks/benchmark.py log``."""
import argparse
import io
from typing import Callable, List

import numpy as np
import torch
from benchmarking import (CLOCKS, Figure, alternate, environment, json_path,
                          report)
from mmengine.logging import HistoryBuffer, MessageHub

from cast_mmaction.engine.checkpoint_hook import _pack

KEYS = [f'train/loss_{i}' for i in range(9)] + ['train/time']
INTERVAL = 20  # iterations from one line of the log to the next


def hub_after(iterations: int) -> MessageHub:
    """A message hub behind so many iterations of ten keys."""
    hub = MessageHub(f'after {iterations}')
    for key in KEYS:
        buffer = HistoryBuffer()
        for value in range(iterations):
            buffer.update(float(value))
        hub._log_scalars[key] = buffer
        hub._resumed_keys[key] = True
    return hub


def iterate(hub: MessageHub, iterations: int) -> Callable[[], None]:
    """What the hooks do with the log in some iterations."""
    value = torch.zeros(())

    def run() -> None:
        for i in range(iterations):
            for key in KEYS:
                hub.update_scalar(key, value)
            hub.get_scalar('train/time').current()  # the host's timer
            if (i + 1) % INTERVAL == 0:
                for key in KEYS:
                    hub.get_scalar(key).mean(INTERVAL)

    return run


def iterate_arrays(length: int, iterations: int) -> Callable[[], None]:
    """The same with arrays that are copied at every update, MMEngine's way;
    two a key, values and counts."""
    histories: List[np.ndarray] = [
        np.zeros(length) for _ in range(2 * len(KEYS))
    ]

    def run() -> None:
        for _ in range(iterations):
            for i, history in enumerate(histories):
                histories[i] = np.append(history, 0.)

    return run


def checkpoint(hub: MessageHub) -> bytes:
    """The log's part of a checkpoint."""
    file = io.BytesIO()
    torch.save(_pack(hub.state_dict()), file)
    return file.getvalue()


def run(args: argparse.Namespace) -> None:
    """Measure and report."""
    hubs = {length: hub_after(length) for length in args.history}
    few = max(args.iterations // 10, 1)  # they take their time
    ways = {
        f'after {length:,}': iterate(hub, args.iterations)
        for length, hub in hubs.items()
    }
    arrays = {
        f'copied arrays, after {length:,}': iterate_arrays(length, few)
        for length in args.history
    }
    saves = {
        f'saving after {length:,}': (lambda hub=hub: checkpoint(hub))
        for length, hub in hubs.items()
    }
    counts = {
        **dict.fromkeys(ways, args.iterations),
        **dict.fromkeys(arrays, few),
        **dict.fromkeys(saves, 1)
    }
    times = alternate({**ways, **arrays, **saves},
                      args.rounds,
                      clock=CLOCKS[args.clock])
    facts = environment(torch.device('cpu'), args.clock)
    facts['keys'] = len(KEYS)
    rows = []
    for names, baseline in ((ways, next(iter(ways))),
                            (arrays, next(iter(ways))),
                            (saves, next(iter(saves)))):
        rows += [{
            'log': name,
            'ms': Figure.of([1e3 / counts[name] * x for x in times[name]]),
            '/ first': Figure.of([
                counts[baseline] / counts[name] * x
                for x in _ratios(times, name, baseline)
            ])
        } for name in names]
    report('ten keys, an iteration or a checkpoint', rows, facts,
           json_path(args.json, 'log'))
    report('the log in a checkpoint', [{
        'log': f'after {length:,}',
        'kB': len(checkpoint(hub)) / 1e3
    } for length, hub in hubs.items()], facts,
           json_path(args.json, 'log-checkpoint'))


def _ratios(times: dict, name: str, baseline: str) -> List[float]:
    return [x / y for x, y in zip(times[name], times[baseline])]
