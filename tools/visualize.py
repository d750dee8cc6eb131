"""Look inside a model while it watches a video: ``tools/visualize.py``.

    tools/visualize.py video.mp4 --config configs/cast_k400.py \\
        --checkpoint k400.pth --out look                  # who asks whom
    tools/visualize.py video.mp4 --model cast-b-k400.safetensors --out look \\
        --show exchange --layers 3 11 --directions t2s --patch 5 9 --head 4
    tools/visualize.py video.mp4 --model cast.safetensors --out look \\
        --show compare --against spatial.safetensors temporal.safetensors

Each view becomes a contact sheet (.png) and a video (.mp4) in the folder.
"""
import argparse
from pathlib import Path
from typing import Optional, Sequence

from model_arguments import add_model_arguments


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """The arguments of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('video')
    add_model_arguments(parser)
    parser.add_argument('--out', type=Path, required=True, help='the folder')
    parser.add_argument(
        '--show',
        nargs='+',
        choices=['exchange', 'rollout', 'gradcam', 'compare'],
        default=['exchange', 'rollout', 'gradcam'])
    parser.add_argument('--layers', type=int, nargs='+', default=[-1],
                        help='blocks from 0, negative from the last')
    parser.add_argument('--directions', nargs='+', help='t2s, s2t, or the '
                        'name of an expert for its own attention')
    parser.add_argument('--head', type=int, help='default: mean of all')
    parser.add_argument('--patch', type=int, nargs=2, metavar=('ROW', 'COL'),
                        help='the patch that asks (default: the middle)')
    parser.add_argument('--step', type=int, help='the time step that asks '
                        '(default: the middle)')
    parser.add_argument('--class', nargs='+', dest='target', metavar='NAME',
                        default=[], help='for gradcam: a class by name or '
                        'number, of two labels verb=NAME noun=NAME (default: '
                        'the answer)')
    parser.add_argument('--against', nargs='+', metavar='FILE_OR_ID',
                        default=[], help='for compare: published models, such '
                        'as each expert alone')
    parser.add_argument('--fps', type=int, default=2, help='steps a second '
                        'in the videos (default: 2)')
    args = parser.parse_args(argv)
    if 'compare' in args.show and not args.against:
        parser.error('--show compare needs --against: other published models')
    return args


def main(argv: Optional[Sequence[str]] = None) -> None:
    """The command."""
    args = parse_args(argv)
    from cast_mmaction.one_line import refusals_in_one_line
    from cast_mmaction.visualization.cli import run
    with refusals_in_one_line():
        run(args)


if __name__ == '__main__':
    main()
