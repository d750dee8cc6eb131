"""Features of videos instead of answers: ``tools/extract_features.py``.

    tools/extract_features.py videos/ --config configs/cast_k400.py \\
        --checkpoint k400.pth --out features
    tools/extract_features.py list.txt --model cast-b-k400.safetensors \\
        --out features --level step --layer 11 --moment before

The folder holds shards ``features-00000.safetensors``, in which
``<number>.<expert>`` is a tensor, and ``index.json``, which says what they
are and which number a video has. A stopped run goes on.
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
    parser.add_argument(
        'source', help='a video, a folder of videos, or a list of them')
    add_model_arguments(parser)
    parser.add_argument('--out', type=Path, required=True, help='the folder')
    parser.add_argument(
        '--level', choices=('pooled', 'step', 'token'), default='pooled')
    parser.add_argument('--layer', type=int, default=-1, help='for step and '
                        'token: the block, negative from the last')
    parser.add_argument(
        '--moment', choices=('before', 'after'), default='after',
        help='before or after the exchange there')
    parser.add_argument('--single-view', action='store_true', help='one clip '
                        'and the middle crop instead of all test views')
    parser.add_argument('--half', action='store_true', help='store float16')
    parser.add_argument('--shard-size', type=int, default=512,
                        help='videos a shard (default: 512)')
    args = parser.parse_args(argv)
    if args.shard_size < 1:
        parser.error('--shard-size must be at least 1')
    return args


def main(argv: Optional[Sequence[str]] = None) -> None:
    """The command."""
    args = parse_args(argv)
    from cast_mmaction.one_line import refusals_in_one_line
    from cast_mmaction.prediction.features import run
    with refusals_in_one_line():
        run(args)


if __name__ == '__main__':
    main()
