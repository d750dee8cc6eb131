"""Is CAST as fast as in another version of this project?

    git worktree add ../before COMMIT
    python tools/benchmarks/compare_versions.py ../before

Two processes, one for each checkout, build the same model from the same seed
and take turns, in the order ABBA. Counted are the CPU's seconds of a process,
so that others on the machine lengthen a run but hardly a figure; the ratio is
taken pair by pair. Where memory comes to lie is luck that lasts as long as a
process, some percent: every launch starts two new ones, the other first.
Compare with a second checkout of the same version to see what is noise.
Outputs and gradients are compared to the bit, and the operators that run.
"""
import argparse
import json
import statistics
import sys
import time
from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from typing import Dict, List, NamedTuple, Tuple

from contender import CHILD, Contender, child

HERE = Path(__file__).resolve()
KINDS = ('forward', 'training step')
LISTED = ', listed'


def serve(model: Dict[str, int]) -> None:
    """Runs the model whenever a line of stdin asks for it. An answer: CPU
    seconds, a hash of what came out, and how often which operator ran, if
    the kind is followed by `LISTED`."""
    answer = child()
    import hashlib

    import torch
    from mmaction.registry import MODELS
    from torch.utils._python_dispatch import TorchDispatchMode

    import cast_mmaction

    torch.set_num_threads(1)
    torch.manual_seed(0)
    arch = dict(
        embed_dims=model['width'],
        num_layers=model['layers'],
        num_heads=model['heads'])
    size = dict(
        arch=arch, img_size=model['size'], num_frames=model['frames'])
    cast = MODELS.build(
        dict(
            type='CAST',
            spatial=dict(type='CLIPExpert', frame_stride=2, **size),
            temporal=dict(type='VideoMAEExpert', **size),
            exchange=dict(type='BCAST')))
    for parameter in cast.parameters():  # what starts at zero, too
        parameter.data.add_(0.02 * torch.randn(parameter.shape))
    trained = [p for p in cast.parameters() if p.requires_grad]
    clip = torch.randn(1, 3, model['frames'], model['size'], model['size'])

    class Operators(TorchDispatchMode):
        """Counts what computes, by operator and shapes."""

        def __init__(self) -> None:
            super().__init__()
            self.found = Counter()

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            shapes = [list(x.shape) for x in args
                      if isinstance(x, torch.Tensor)]
            if not function.is_view:
                self.found[f'{function} {shapes}'] += 1
            return function(*args, **(kwargs or {}))

    answer(cast_mmaction.__file__)
    for line in map(str.strip, sys.stdin):
        training = line.startswith(KINDS[1])
        cast.train(training)
        mode = Operators() if line.endswith(LISTED) else nullcontext()
        began = time.process_time()
        with torch.set_grad_enabled(training), mode:
            tensors = cast(clip)
            if training:
                tensors = torch.autograd.grad(sum(x.sum() for x in tensors),
                                              trained, allow_unused=True)
        seconds = time.process_time() - began
        result = hashlib.sha256()
        for tensor in tensors:
            if tensor is not None:
                result.update(tensor.detach().numpy().tobytes())
        answer(
            dict(
                seconds=seconds,
                result=result.hexdigest(),
                operators=getattr(mode, 'found', None)))


class Comparison(NamedTuple):
    """Of one kind of run in two processes: time of the first as a share of
    the second's, pair by pair, and whether values and operators are equal."""
    ratios: List[float]
    equal: bool
    same_operators: bool


def compare(checkouts: Tuple[Path, Path], model: Dict[str, int], pairs: int,
            turn: int) -> Dict[str, Comparison]:
    """Starts two new processes and compares them, by the kind of run."""
    started = {
        checkout: Contender(checkout, str(HERE), **model)
        for checkout in checkouts[::-1 if turn % 2 else 1]
    }
    ours, other = (started[checkout] for checkout in checkouts)
    results = {}
    for kind in KINDS:
        first = ours.ask(kind + LISTED), other.ask(kind + LISTED)
        same = [len({json.dumps(x[key], sort_keys=True) for x in first}) == 1
                for key in ('result', 'operators')]
        ratios = []
        for pair in range(pairs):
            turns = (ours, other) if pair % 2 else (other, ours)
            seconds = {x: x.ask(kind)['seconds'] for x in turns}
            ratios.append(seconds[ours] / seconds[other])
        results[kind] = Comparison(ratios, *same)
    for contender in started.values():
        contender.close()
    return results


def main() -> None:
    if sys.argv[1:2] == [CHILD]:
        serve(json.loads(sys.argv[2]))
        return
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('other', type=Path, help='the other checkout')
    parser.add_argument('--launches', type=int, default=6)
    parser.add_argument(
        '--pairs', type=int, default=10, help='of runs of a launch')
    parser.add_argument('--width', type=int, default=768)
    parser.add_argument('--layers', type=int, default=12)
    parser.add_argument('--heads', type=int, default=12)
    parser.add_argument('--frames', type=int, default=8)
    parser.add_argument('--size', type=int, default=112)
    args = vars(parser.parse_args())
    checkouts = HERE.parents[2], args.pop('other').resolve()
    launches, pairs = args.pop('launches'), args.pop('pairs')
    runs = [compare(checkouts, args, pairs, turn) for turn in range(launches)]
    print('CPU seconds, this version / the other: median [quartiles]')
    for kind in KINDS:
        found = [run[kind] for run in runs]
        low, median, high = statistics.quantiles(
            [ratio for x in found for ratio in x.ratios])
        print(f'{kind}: {median:.4f} [{low:.4f}, {high:.4f}]; launches',
              *(f'{statistics.median(x.ratios):.3f}' for x in found))
        print('  values', 'equal to the bit'
              if all(x.equal for x in found) else 'differ', 'and operators',
              'are the same, with the same shapes'
              if all(x.same_operators for x in found) else 'differ')


if __name__ == '__main__':
    main()
