"""What the benchmark tools share: fair timing, memory, FLOPs, tables.

Contenders take turns: every round runs each of them once, so that a machine
that slows down slows all of them, and a ratio is taken within a round. A
figure is the median over the rounds; its spread is the smallest and the
largest.
"""
import json
import os
import platform
import re
import statistics
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from cast_mmaction.atomic_write import atomic_write

os.environ.setdefault('KINETO_LOG_LEVEL', '6')  # silent

Step = Callable[[], Any]
CLOCKS = dict(wall=time.perf_counter, cpu=time.process_time)
Times = Dict[str, List[float]]
FULL = 'out of memory'  # stands where a figure would be


class Figure(NamedTuple):
    """Median and spread of one quantity over the rounds."""
    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> 'Figure':
        """From the values of all rounds."""
        return cls(statistics.median(values), min(values), max(values))

    def __str__(self) -> str:
        return f'{self.median:.3g} [{self.low:.3g}, {self.high:.3g}]'


def synchronize(device: torch.device) -> None:
    """Waits for the device; a CPU never keeps anyone waiting."""
    if device.type == 'cuda':
        torch.cuda.synchronize(device)


def alternate(contenders: Dict[str, Step],
              rounds: int,
              device: torch.device = torch.device('cpu'),
              warmup: int = 1,
              clock: Callable[[], float] = time.perf_counter) -> Times:
    """Times functions that take turns.

    Args:
        contenders: Name to what is timed, without arguments.
        rounds: How often each is timed.
        device: Where they compute.
        warmup: Untimed runs of each.
        clock: Gives seconds. ``time.process_time``, the CPU's seconds for
            this process and its threads, suits a CPU that others use too.

    Returns:
        Seconds of every round, by name.
    """
    for step in contenders.values():
        for _ in range(warmup):
            step()
    times: Times = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, step in contenders.items():
            synchronize(device)
            start = clock()
            step()
            synchronize(device)
            times[name].append(clock() - start)
    return times


def ratio(times: Times, name: str, baseline: str) -> Figure:
    """Time of one contender as a share of another's, round by round."""
    return Figure.of(
        [a / b for a, b in zip(times[name], times[baseline])])


def rate(times: Times, name: str, amount: float) -> Figure:
    """``amount`` (clips, FLOPs, ...) per second."""
    return Figure.of([amount / seconds for seconds in times[name]])


def fits(step: Step) -> bool:
    """Whether the device has the memory for a step; runs it."""
    try:
        step()
    except torch.OutOfMemoryError:
        return False
    return True


def matmul_step(dtype: torch.dtype, device: torch.device) -> Step:
    """One square matrix product; its FLOPs are in ``step.flops``.

    Its rate is what the machine can do: the roof for every model.
    """
    size = 8192 if device.type == 'cuda' else 2048
    a = torch.randn(size, size, device=device).to(dtype)
    b = torch.randn(size, size, device=device).to(dtype)

    def step() -> None:
        a @ b

    step.flops = 2 * size**3
    return step


def count_flops(step: Step) -> int:
    """FLOPs of one run, two per multiply-add, attention kernels included."""
    with FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops()


def model_bytes(model: nn.Module) -> int:
    """Size of all parameters and buffers."""
    tensors = [*model.parameters(), *model.buffers()]
    return sum(x.numel() * x.element_size() for x in tensors)


def peak_memory(step: Step, device: torch.device) -> int:
    """Most bytes of tensors that one run holds beyond those it found.

    Every allocation is followed, so that the figure depends neither on the
    load of the machine nor on what the allocator keeps.
    """
    if device.type == 'cuda':
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        step()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    with profile(
            activities=[ProfilerActivity.CPU], profile_memory=True) as trace:
        step()
    now = peak = 0
    for event in trace.profiler.kineto_results.events():
        if event.name() == '[memory]':
            now += event.nbytes()
            peak = max(peak, now)
    return peak


def memory_size(device: torch.device) -> int:
    """Bytes of memory of a GPU, or of this machine for the CPU."""
    if device.type == 'cuda':
        return torch.cuda.get_device_properties(device).total_memory
    return os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')


def environment(device: torch.device, clock: str = 'wall') -> Dict[str, Any]:
    """The machine and the software, for the head of a report."""
    processor = platform.processor()
    cpuinfo = Path('/proc/cpuinfo')
    if cpuinfo.exists():
        text = cpuinfo.read_text()
        match = re.search(r'model name\s*: (.*)', text)
        processor = match.group(1) if match else processor
        extras = [x for x in ('avx512f', 'avx512_bf16', 'amx_bf16')
                  if re.search(rf'\b{x}\b', text)]
        processor += f' ({", ".join(extras)})' if extras else ''
    facts = dict(
        processor=processor,
        threads=torch.get_num_threads(),
        torch=torch.__version__,
        clock=clock)
    if hasattr(os, 'getloadavg'):
        facts['load'] = round(os.getloadavg()[0], 1)
    if device.type == 'cuda':
        facts['gpu'] = torch.cuda.get_device_name(device)
        facts['float32 products'] = torch.get_float32_matmul_precision()
    return facts


def table(rows: Sequence[Dict[str, Any]]) -> str:
    """A Markdown table; columns in the order of their first appearance."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    cells = [columns] + [[str(row.get(c, '')) for c in columns]
                         for row in rows]
    widths = [max(len(line[i]) for line in cells)
              for i in range(len(columns))]
    lines = ['| ' + ' | '.join(x.ljust(w) for x, w in zip(line, widths)) + ' |'
             for line in cells]
    lines.insert(1, '|' + '|'.join('-' * (w + 2) for w in widths) + '|')
    return '\n'.join(lines)


def report(title: str,
           rows: Sequence[Dict[str, Any]],
           facts: Dict[str, Any],
           path: Optional[str] = None) -> None:
    """Prints a table under the machine's facts and writes both as JSON.

    Args:
        title: What was measured.
        rows: One dict per line; a `Figure` becomes three numbers in the file.
        facts: See `environment`; anything else worth knowing.
        path: The JSON file, or None.
    """
    about = ', '.join(f'{key} {value}' for key, value in facts.items())
    print(f'\n{title}\n{about}\n\n{table(rows)}\n', flush=True)
    if path is not None:
        plain = [{
            key: value._asdict() if isinstance(value, Figure) else value
            for key, value in row.items()
        } for row in rows]
        text = json.dumps(dict(title=title, facts=facts, rows=plain), indent=1)
        with atomic_write(path) as file:
            file.write_text(text + '\n')


def json_path(prefix: Optional[str], name: str) -> Optional[str]:
    """Where the table `name` goes: ``prefix.name.json``."""
    return prefix and f'{prefix}.{name}.json'
