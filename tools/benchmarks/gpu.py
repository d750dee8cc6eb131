"""Everything that only a GPU can tell; see ``gpu.sh``."""
import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence

import torch

from cast_mmaction.atomic_write import atomic_write

HERE = Path(__file__).resolve().parent
BENCHMARK = str(HERE / 'benchmark.py')


class Part(NamedTuple):
    """A command with a limit.

    Attributes:
        title: What it shows.
        command: Its arguments, after the interpreter.
        dry: What replaces the options after ``--`` in a dry run.
        minutes: The longest it may take.
    """
    title: str
    command: Sequence[str]
    dry: Sequence[str] = ()
    minutes: float = 1.5


TINY = ('--arch', 'tiny', '--frames', '4', '--size', '32', '--rounds', '1',
        '--batch', '1', '--device', 'cpu')
HALF = ('--dtype', 'bfloat16', '--baseline-dtype', 'bfloat16')

# The most telling first: what comes last may be cut off.
PARTS: Dict[str, Part] = {
    'tests': Part(
        'CUDA tests',
        ('-m', 'pytest', '-q', '-ra', 'tests/test_cuda.py',
         'tests/test_engine/test_no_waits.py',
         # Losses, gradients and signals of trainings on the device.
         'tests/test_engine/test_non_finite.py::'
         'test_stops_before_the_weights_are_touched',
         'tests/test_engine/test_preemption.py::'
         'test_preempted_equals_uninterrupted'),
        ('tests/test_cuda.py', ), 2.5),
    'training': Part(
        'A training step against the eager twin, bfloat16, batch 8',
        (BENCHMARK, 'model', '--', '--batch', '8', *HALF, '--options', 'half',
         '--rounds', '5'), TINY),
    'kernels': Part('Attention by window',
                    (BENCHMARK, 'kernels', '--', '--batch', '8'),
                    ('--rounds', '1', '--device', 'cpu', '--dtypes',
                     'float32'), .5),
    'views': Part('The 15 views of a test video in one batch',
                  (BENCHMARK, 'model', '--', '--batch', '15', '--no-train',
                   *HALF, '--options', 'half', '--rounds', '5'),
                  (*TINY, '--no-train'), 1.),
    'options': Part('compile and with_cp, bfloat16, batch 8',
                    (BENCHMARK, 'model', '--', '--batch', '8', *HALF,
                     '--options', 'compile', 'with_cp', '--rounds', '3'),
                    (*TINY, '--options', 'with_cp'), 2.),
    'float32': Part('float32, with TensorFloat-32 where the GPU has it',
                    (BENCHMARK, 'model', '--', '--batch', '4', '--rounds',
                     '3'), TINY, 1.),
    'growth': Part('Frames, pixels, width, clips',
                   (BENCHMARK, 'model', '--table', 'growth', '--', *HALF,
                    '--rounds', '2', '--max-batch', '32'),
                   (*TINY, '--max-batch', '1'), 2.),
}


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """The arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'out', nargs='?', type=Path, default=Path('work_dirs/gpu'))
    parser.add_argument('--minutes', type=float, default=8.)
    parser.add_argument('--parts', nargs='+', choices=PARTS, default=[*PARTS])
    parser.add_argument(
        '--dry', action='store_true', help='tiny sizes, on the CPU')
    return parser.parse_args(argv)


def arguments(part: Part, dry: bool, prefix: str) -> List[str]:
    """The command line of a part."""
    command = list(part.command)
    if '--' in command:
        cut = command.index('--')
        options = part.dry if dry else command[cut + 1:]
        return [sys.executable, *command[:cut], *options, '--json', prefix]
    files = [x for x in command if '.py' in x]
    if dry:
        command = [x for x in command if x not in files] + list(part.dry)
    return [sys.executable, *command]


def run_part(part: Part, dry: bool, seconds: float) -> dict:
    """Runs a part; what it printed, and its tables as data."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        try:
            done = subprocess.run(
                arguments(part, dry, f'{folder}/table'),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                # A CPU that others use may need any time for tiny sizes.
                timeout=seconds if dry else min(60 * part.minutes, seconds))
            printed = done.stdout
            status = 'done' if done.returncode == 0 else (
                f'failed with {done.returncode}')
        except subprocess.TimeoutExpired as late:
            printed = (late.stdout or b'').decode(errors='replace')
            status = f'cut off after {late.timeout:.0f} s'
        tables = [json.loads(path.read_text())
                  for path in sorted(Path(folder).glob('*.json'))]
    return dict(
        title=part.title,
        status=status,
        seconds=round(time.monotonic() - began, 1),
        printed=printed[-20000:],
        tables=tables)


def write(found: Dict[str, dict], facts: dict, out: Path) -> None:
    """Write what there is so far."""
    lines = ['# What the GPU says', '',
             ', '.join(f'{key} {value}' for key, value in facts.items()), '']
    for name, part in found.items():
        lines += [f'## {part["title"]}', '',
                  f'`{name}`: {part["status"]}, {part["seconds"]} s', '',
                  part['printed'].strip(), '']
    out.mkdir(parents=True, exist_ok=True)
    with atomic_write(out / 'gpu.md') as file:
        file.write_text('\n'.join(lines))
    with atomic_write(out / 'gpu.json') as file:
        file.write_text(json.dumps(dict(facts=facts, parts=found), indent=1))


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Run the parts in turn; ends with 1 if one of them failed."""
    args = parse_args(argv)
    gpu = torch.cuda.is_available()
    if not gpu and not args.dry:
        sys.exit('error: no GPU here; --dry tries the script without one')
    facts = dict(
        gpu=torch.cuda.get_device_name() if gpu and not args.dry else
        'none (dry run)',
        torch=torch.__version__,
        cuda=torch.version.cuda)
    end = time.monotonic() + 60 * args.minutes
    found: Dict[str, dict] = {}
    for name in args.parts:
        left = end - time.monotonic()
        if left < 5:
            found[name] = dict(
                title=PARTS[name].title, status='no time was left', seconds=0,
                printed='', tables=[])
        else:
            print(f'{name}: {PARTS[name].title}', flush=True)
            found[name] = run_part(PARTS[name], args.dry, left)
            print(f'    {found[name]["status"]}, {found[name]["seconds"]} s',
                  flush=True)
        write(found, facts, args.out)
    print(f'{args.out / "gpu.md"}, {args.out / "gpu.json"}')
    if any(part['status'].startswith('failed') for part in found.values()):
        sys.exit(1)


if __name__ == '__main__':
    main()
