"""How long a training takes on how many GPUs, and what holds it up.

    python tools/benchmarks/scaling.py [--clips 130] [--decode 14] ...

Nothing is measured here: the formulas are those of docs/scaling.md, the
numbers those of the command line. Put your own in.
"""
import argparse
from typing import List, NamedTuple

# clips, epochs, clips an optimizer step
SETS = dict(
    K400=(240_436, 70, 576), SSv2=(168_913, 50, 384), EK100=(67_217, 50, 384))


class Share(NamedTuple):
    """How the clips of an optimizer step are shared out.

    Attributes:
        batch: Clips of a GPU at a time.
        accumulation: Batches of an optimizer step.
        total: Clips of all GPUs in an optimizer step.
    """
    batch: int
    accumulation: int
    total: int


class Step(NamedTuple):
    """An optimizer step, in seconds.

    Attributes:
        compute: Of the model.
        decode: Of the cores that read video, beside it.
        traffic: Of the gradients, behind the last two thirds of the last
            batch as far as that goes.
        seconds: All of it.
        bound: Which of them holds it up most.
    """
    compute: float
    decode: float
    traffic: float
    seconds: float
    bound: str


def share(gpus: int, total: int, most: int) -> Share:
    """The largest batch, not above ``most``, that comes nearest to ``total``
    clips an optimizer step."""
    choices = [
        Share(batch, times, gpus * batch * times)
        for batch in range(1, most + 1)
        for times in {1, max(1, round(total / (gpus * batch)))}
    ]
    return min(choices, key=lambda x: (abs(x.total - total), -x.batch))


def bytes_per_step(gpus: int, megabytes: float) -> float:
    """What a GPU sends in a ring all-reduce of the gradients."""
    return 2 * (gpus - 1) / gpus * megabytes * 1e6


def step(gpus: int, shared: Share, args: argparse.Namespace) -> Step:
    """The formulas of docs/scaling.md."""
    clips = shared.batch * shared.accumulation  # of a GPU
    compute = clips / args.clips
    decode = clips / (args.cores * args.decode)
    link = args.inside if gpus <= args.node else args.link
    traffic = bytes_per_step(gpus, args.gradients) / (link * 1e9)
    seen = max(0., traffic - 2 / 3 * shared.batch / args.clips)
    parts = dict(compute=compute + seen, decode=decode)
    bound = max(parts, key=parts.get)
    if bound == 'compute' and seen > compute:
        bound = 'traffic'
    return Step(compute, decode, traffic, max(parts.values()), bound)


def rows(args: argparse.Namespace) -> List[str]:
    """The lines of the table, in Markdown."""
    lines = [
        '| | GPUs | batch x accumulation | clips a step | hours | GPU hours '
        f'| cost at {args.price:g} | traffic, GB/s a GPU | bound by |',
        '|---|---|---|---|---|---|---|---|---|'
    ]
    sets = SETS
    if args.data:
        sets = {name: map(int, numbers) for name, *numbers in args.data}
    for name, (clips, epochs, total) in sets.items():
        for gpus in args.gpus:
            shared = share(gpus, total, args.batch)
            one = step(gpus, shared, args)
            steps = epochs * (clips // shared.total)
            hours = steps * one.seconds / 3600
            rate = bytes_per_step(gpus, args.gradients) / one.seconds / 1e9
            lines.append(
                f'| {name} | {gpus} | {shared.batch} x {shared.accumulation} '
                f'| {shared.total} | {hours:.3g} | {hours * gpus:.3g} '
                f'| {hours * gpus * args.price:,.0f} | {rate:.2g} '
                f'| {one.bound} |')
    return lines


def parse_args(words: List[str] = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add = parser.add_argument
    add('--data', nargs=4, action='append',
        metavar=('NAME', 'CLIPS', 'EPOCHS', 'CLIPS_A_STEP'),
        help='a data set in place of K400, SSv2 and EK100')
    add('--gpus', type=int, nargs='+', default=[1, 8, 16, 64, 256])
    add('--clips', type=float, default=130,
        help='clips a second that one GPU trains (assumed)')
    add('--batch', type=int, default=18,
        help='clips that fit on a GPU at a time')
    add('--decode', type=float, default=14,
        help='clips a second that one core reads: 14 of 340 x 256, 2.5 of '
        '720p')
    add('--cores', type=float, default=12, help='cores of a GPU')
    add('--gradients', type=float, default=182,
        help='MB that each process has to reduce; half in bfloat16')
    add('--node', type=int, default=8, help='GPUs of a machine')
    add('--inside', type=float, default=200,
        help='GB/s of a GPU to others of its machine')
    add('--link', type=float, default=12.5,
        help='GB/s of a GPU to other machines')
    add('--price', type=float, default=2.5, help='of a GPU hour')
    return parser.parse_args(words)


def main(words: List[str] = None) -> None:
    print('\n'.join(rows(parse_args(words))))


if __name__ == '__main__':
    main()
