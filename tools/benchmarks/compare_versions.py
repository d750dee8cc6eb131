"""Is CAST as fast as in another version of this project?

    git worktree add ../before COMMIT
    python tools/benchmarks/compare_versions.py ../before

Two processes, one for each checkout, build the same model from the same seed
and take turns, in the order ABBA. Counted are the CPU's seconds of a process,
so that others on the machine lengthen a run but hardly a figure; the ratio is
taken pair by pair. Outputs and gradients must be equal to the bit.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Dict, List, Tuple

HERE = Path(__file__).resolve()
KINDS = ('forward', 'training step')


class Contender:
    """A process that runs the model of a checkout."""

    def __init__(self, checkout: Path, model: Dict[str, int]) -> None:
        env = dict(
            os.environ,
            PYTHONPATH=str(checkout),
            OMP_NUM_THREADS='1',
            CUDA_VISIBLE_DEVICES='')
        self.process = subprocess.Popen(
            [sys.executable, str(HERE), '--child', json.dumps(model)],
            env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        origin = Path(self._answer()['origin'])
        if checkout not in origin.parents:
            self.close()
            raise SystemExit(f'{checkout}: its processes import {origin}')

    def run(self, kind: str) -> Tuple[float, str]:
        """CPU seconds of one run, and a hash of what came out."""
        print(kind, file=self.process.stdin, flush=True)
        answer = self._answer()
        return answer['seconds'], answer['result']

    def _answer(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit('a process of the comparison has ended; its '
                             'error is above')
        return json.loads(line)

    def close(self) -> None:
        """Ends the process."""
        self.process.stdin.close()
        self.process.wait()


def serve(model: Dict[str, int]) -> None:
    """Runs the model whenever a line of stdin asks for it."""
    answers, sys.stdout = sys.stdout, sys.stderr  # answers are all that is out
    # Older versions stop at a host that does not fit the newest transformers.
    vindlu = 'mmaction.models.multimodal'
    sys.modules[vindlu] = ModuleType(vindlu)
    import hashlib

    import torch
    from mmaction.registry import MODELS

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

    def answer(**what) -> None:
        print(json.dumps(what), file=answers, flush=True)

    answer(origin=cast_mmaction.__file__)
    for kind in map(str.strip, sys.stdin):
        training = kind == KINDS[1]
        cast.train(training)
        began = time.process_time()
        with torch.set_grad_enabled(training):
            tensors = cast(clip)
            if training:
                tensors = torch.autograd.grad(sum(x.sum() for x in tensors),
                                              trained, allow_unused=True)
        seconds = time.process_time() - began
        result = hashlib.sha256()
        for tensor in tensors:
            if tensor is not None:
                result.update(tensor.detach().numpy().tobytes())
        answer(seconds=seconds, result=result.hexdigest())


def compare(contenders: List[Contender], kind: str, pairs: int) -> List[float]:
    """Time of the first as a share of the second's, pair by pair.

    Raises:
        SystemExit: if what they compute differs.
    """
    if len({contender.run(kind)[1] for contender in contenders}) > 1:
        raise SystemExit(f'{kind}: the two versions compute different values')
    ratios = []
    for pair in range(pairs):
        turns = contenders if pair % 2 else contenders[::-1]
        seconds = {x: x.run(kind)[0] for x in turns}
        ratios.append(seconds[contenders[0]] / seconds[contenders[1]])
    return ratios


def main() -> None:
    if sys.argv[1:2] == ['--child']:
        serve(json.loads(sys.argv[2]))
        return
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('other', type=Path, help='the other checkout')
    parser.add_argument('--pairs', type=int, default=20)
    parser.add_argument('--width', type=int, default=768)
    parser.add_argument('--layers', type=int, default=12)
    parser.add_argument('--heads', type=int, default=12)
    parser.add_argument('--frames', type=int, default=8)
    parser.add_argument('--size', type=int, default=112)
    args = vars(parser.parse_args())
    other, pairs = args.pop('other').resolve(), args.pop('pairs')
    contenders = [Contender(x, args) for x in (HERE.parents[2], other)]
    print('CPU seconds, this version / the other: median [quartiles]')
    for kind in KINDS:
        low, median, high = statistics.quantiles(
            compare(contenders, kind, pairs))
        print(f'{kind}: {median:.4f} [{low:.4f}, {high:.4f}], {pairs} pairs',
              flush=True)
    for contender in contenders:
        contender.close()


if __name__ == '__main__':
    main()
