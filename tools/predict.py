"""Say what is seen in videos: ``tools/predict.py``, ``cast-predict``.

    cast-predict video.mp4 --config configs/cast_k400.py --checkpoint k400.pth
    cast-predict videos/ --model cast-b-k400.safetensors --out answers.csv
    cast-predict long.mp4 --model someone/cast-b-k400 \\
        --window 4 --stride 2 --out timeline.csv --chart timeline.png
"""
import argparse
import sys
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
    parser.add_argument(
        '--top', type=int, default=5, help='classes to name (default: 5)')
    parser.add_argument(
        '--out', type=Path, help='write the answers to this .json or .csv')
    parser.add_argument('--window', type=float, help='seconds of a window '
                        'that slides over the video: an answer each')
    parser.add_argument('--stride', type=float, help='seconds from window to '
                        'window (default: half a window)')
    parser.add_argument('--chart', type=Path, help='with --window: draw which '
                        'class leads when (one video; .png, .svg or .pdf)')
    parser.add_argument('--draw', type=Path, metavar='FOLDER', help='write '
                        'the videos there with the answer in the picture')
    parser.add_argument('--single-view', action='store_true', help='one clip '
                        'and the middle crop instead of all test views')
    parser.add_argument('--batch-size', type=int, default=1)
    parser.add_argument('--num-workers', type=int, default=0, help='processes '
                        'that read videos (default: 0)')
    args = parser.parse_args(argv)
    if args.out and args.out.suffix not in ('.json', '.csv'):
        parser.error(f'--out {args.out}: must end in .json or .csv')
    if args.chart and not args.window:
        parser.error('--chart draws windows: give --window SECONDS')
    for path in (args.out, args.chart):
        if path and not path.parent.is_dir():
            parser.error(f'{path}: there is no folder {path.parent}')
    return args


def main(argv: Optional[Sequence[str]] = None) -> None:
    """The command; ends with 1 if a video could not be read."""
    args = parse_args(argv)
    from cast_mmaction.one_line import refusals_in_one_line
    from cast_mmaction.prediction.cli import run
    with refusals_in_one_line():
        failed = run(args)
    sys.exit(1 if failed else 0)


if __name__ == '__main__':
    main()
