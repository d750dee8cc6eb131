"""Everything that only a GPU can tell; see ``gpu.sh``."""
import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence

HERE = Path(__file__).resolve().parent
BENCHMARK = str(HERE / 'benchmark.py')
# gpu.sh has chosen it.
PYTHON = os.environ.get('PYTHON', sys.executable)
# A dry run need not compile for a CPU that nobody asks about.
NO_COMPILER = 'TORCHDYNAMO_DISABLE'
# Of the whole script.
MINUTES = 8
# A part whose time is over may say for so long what it has; pytest does.
GRACE_SECONDS = 5.
# A part that would have less does not begin.
LEAST_SECONDS = 5.


class Part(NamedTuple):
    """A command with its share of the time.

    Attributes:
        title: What it shows.
        command: Its arguments, after the interpreter.
        dry: Options that a dry run lays over those after ``--``, or the
            tests that it has instead.
        minutes: Its share of `MINUTES`, see :func:`time_of`.
    """
    title: str
    command: Sequence[str]
    dry: Sequence[str] = ()
    minutes: float = .5


TINY = ('--arch', 'tiny', '--frames', '4', '--size', '32', '--rounds', '1',
        '--batch', '1', '--device', 'cpu')
HALF = ('--dtype', 'bfloat16', '--baseline-dtype', 'bfloat16')

# The most telling first. Their minutes add up to MINUTES.
PARTS: Dict[str, Part] = {
    'tests': Part(
        'CUDA tests',
        ('-m', 'pytest', '-q', '-ra', '--continue-on-collection-errors',
         'tests/test_cuda.py',
         'tests/test_engine/test_no_waits.py',
         'tests/test_datasets/test_deferring.py::test_cuda_agrees',
         # Losses, gradients and signals of trainings on the device.
         'tests/test_engine/test_non_finite.py::'
         'test_stops_before_the_weights_are_touched',
         'tests/test_engine/test_preemption.py::'
         'test_preempted_equals_uninterrupted',
         'tests/test_cuda_reading.py',
         'tests/test_tools/test_float8.py::'
         'test_a_gpu_computes_it_without_waiting'),
        ('tests/test_cuda.py', 'tests/test_cuda_reading.py'), 2.),
    'training': Part(
        'A training step against the eager twin, bfloat16, batch 8',
        (BENCHMARK, 'model', '--', '--batch', '8', *HALF, '--options', 'half',
         'with_cp', '--rounds', '5'), TINY, 1.),
    'views': Part('The 15 views of a test video in one batch',
                  (BENCHMARK, 'model', '--', '--batch', '15', '--no-train',
                   *HALF, '--options', 'half', '--rounds', '5'), TINY),
    'kernels': Part('Attention by window',
                    (BENCHMARK, 'kernels', '--', '--batch', '8'),
                    ('--batch', '1', '--rounds', '1', '--device', 'cpu')),
    # The casts of its second table need a compiler on the machine.
    'float8': Part('Frozen products in float8, batch 8',
                   (BENCHMARK, 'float8', '--', '--batch', '8', '--rounds',
                    '5'), (*TINY, '--size', '16'), .75),
    'growth': Part('Frames, pixels, width, clips',
                   (BENCHMARK, 'model', '--table', 'growth', '--', *HALF,
                    '--rounds', '3', '--max-batch', '32'),
                   (*TINY, '--max-batch', '1'), .75),
    'augmentation': Part(
        'What augmentation on the device takes, 64 clips',
        (BENCHMARK, 'data', '--table', 'device', '--', '--rounds', '5'),
        ('--batch', '1', '--frame-size', '64', '80', '--rounds', '1',
         '--device', 'cpu')),
    'float32': Part('float32, in TensorFloat-32 where the GPU has it',
                    (BENCHMARK, 'model', '--', '--batch', '4', '--rounds',
                     '3'), TINY),
    'reading': Part('Video by every reader, NVDEC among them',
                    (BENCHMARK, 'data', '--table', 'reading', '--',
                     '--rounds', '3'), ('--rounds', '1')),
    # Needs a compiler on the machine, and much time.
    'compile': Part('torch.compile, bfloat16, batch 8',
                    (BENCHMARK, 'model', '--', '--batch', '8', *HALF,
                     '--options', 'compile', '--rounds', '3'), TINY, 1.),
}


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """The arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'out', nargs='?', type=Path, default=Path('work_dirs/gpu'))
    parser.add_argument('--minutes', type=float, default=MINUTES)
    parser.add_argument('--parts', nargs='+', choices=PARTS, default=[*PARTS])
    parser.add_argument(
        '--dry', action='store_true', help='tiny sizes, on the CPU')
    return parser.parse_args(argv)


def arguments(part: Part, dry: bool, prefix: str) -> List[str]:
    """The command line of a part; tables go to ``prefix.*.json``."""
    command = list(part.command)
    if '--' in command:  # what comes last holds
        command.remove('--')
        command += [*(part.dry if dry else ()), '--json', prefix]
    elif dry:
        command = [x for x in command if '.py' not in x] + list(part.dry)
    return [PYTHON, *command]


def time_of(name: str, names: Sequence[str], seconds: float) -> float:
    """How long a part may take, whatever those before it have used.

    Args:
        name: The part.
        names: All that run, in their order.
        seconds: Until the end of the script.

    Returns:
        Seconds: its share among the parts that are left. One that ends early
        leaves the rest of its time to all behind it; one that hangs takes
        none of theirs.
    """
    waiting = names[names.index(name):]
    return seconds * PARTS[name].minutes / sum(
        PARTS[x].minutes for x in waiting)


def run_part(part: Part, dry: bool, seconds: float) -> dict:
    """Runs a part; what it printed, and its tables as data."""
    environment = dict(os.environ, **({NO_COMPILER: '1'} if dry else {}))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        began = time.monotonic()
        with open(folder / 'printed', 'w') as printed:
            process = subprocess.Popen(
                arguments(part, dry, f'{folder}/table'),
                stdout=printed,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True)
            grace = min(GRACE_SECONDS, seconds / 4)
            try:
                code = process.wait(seconds - grace)
                status = 'done' if code == 0 else f'failed with {code}'
            except subprocess.TimeoutExpired:
                status = f'cut off after {seconds:.0f} s'
                _interrupt(process, grace)
            finally:
                _end(process)
        return dict(
            title=part.title,
            status=status,
            seconds=round(time.monotonic() - began, 1),
            printed=(folder / 'printed').read_text(errors='replace')[-20000:],
            tables=[json.loads(path.read_text())
                    for path in sorted(folder.glob('table.*.json'))])


def _interrupt(process: subprocess.Popen, grace: float) -> None:
    # It alone: pytest ends what its tests have started. A benchmark shows
    # where it hangs.
    process.send_signal(signal.SIGINT)
    try:
        process.wait(grace)
    except subprocess.TimeoutExpired:
        pass  # it has had its time


def _end(process: subprocess.Popen) -> None:
    # With all that it has started: they would keep the GPU.
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # none is left
    process.wait()


def write(found: Dict[str, dict], facts: dict, out: Path) -> None:
    """Write what there is so far."""
    from cast_mmaction.atomic_write import atomic_write
    lines = ['# What the GPU says', '',
             ', '.join(f'{key} {value}' for key, value in facts.items()), '']
    missing = {
        name: part['status']
        for name, part in found.items() if part['status'] != 'done'
    }
    if missing:
        lines += ['Not whole: ' + ', '.join(
            f'`{name}` ({status})' for name, status in missing.items()) + '.',
                  '']
    for name, part in found.items():
        lines += [f'## {part["title"]}', '',
                  f'`{name}`: {part["status"]}, {part["seconds"]} s', '']
        # Tables are Markdown; what else is printed, tracebacks, is not.
        fence = ['```'] if name in missing or not part['tables'] else []
        if part['printed']:
            lines += [*fence, part['printed'].strip(), *fence, '']
    out.mkdir(parents=True, exist_ok=True)
    with atomic_write(out / 'gpu.md') as file:
        file.write_text('\n'.join(lines))
    with atomic_write(out / 'gpu.json') as file:
        file.write_text(json.dumps(
            dict(facts=facts, missing=missing, parts=found), indent=1))


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Run the parts in turn; ends with 1 if one of them failed."""
    began = time.monotonic()
    args = parse_args(argv)
    import torch
    gpu = torch.cuda.is_available()
    if not gpu and not args.dry:
        sys.exit('error: no GPU here; --dry tries the script without one')
    facts = dict(
        gpu=torch.cuda.get_device_name() if gpu and not args.dry else
        'none (dry run)',
        torch=torch.__version__,
        cuda=torch.version.cuda)
    end = began + 60 * args.minutes
    found = {name: _nothing(name, 'not reached') for name in args.parts}
    for name in args.parts:
        seconds = time_of(name, args.parts, end - time.monotonic())
        if seconds < LEAST_SECONDS:
            found[name] = _nothing(name, 'no time was left')
            continue
        found[name] = _nothing(name, 'begun')
        write(found, facts, args.out)  # whatever becomes of it
        print(f'{name}: {PARTS[name].title}', flush=True)
        found[name] = run_part(PARTS[name], args.dry, seconds)
        print(f'    {found[name]["status"]}, {found[name]["seconds"]} s',
              flush=True)
        write(found, facts, args.out)
    write(found, facts, args.out)
    print(f'{args.out / "gpu.md"}, {args.out / "gpu.json"}')
    if any(part['status'].startswith('failed') for part in found.values()):
        sys.exit(1)


def _nothing(name: str, status: str) -> dict:
    return dict(
        title=PARTS[name].title,
        status=status,
        seconds=0,
        printed='',
        tables=[])


if __name__ == '__main__':
    main()
