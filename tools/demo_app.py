"""A page that shows what a model sees in a video: ``tools/demo_app.py``.

    tools/demo_app.py                            # the quickstart's models
    tools/demo_app.py --model CAST=cast-b-k400.safetensors \\
        --model spatial=clip-k400.safetensors --examples my_videos
    tools/demo_app.py --model work_dirs/cast_k400 --port 7861

It listens on this machine alone. Files that are dropped on it are read in a
process of their own, with limits of time and memory, and deleted.
"""
import argparse
from typing import Optional, Sequence


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """The arguments of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--model', action='append', metavar='[NAME=]MODEL', default=[],
        help='a published file, a hub id, or the work dir of a training; may '
        "be given more than once (default: the quickstart's)")
    parser.add_argument(
        '--examples', help='a folder or list of videos to offer (default: '
        "clips of the quickstart's test set); the first 6 are taken")
    parser.add_argument(
        '--device', help='default: the GPU, if there is one')
    parser.add_argument('--host', default='127.0.0.1', help='where to listen '
                        '(default: 127.0.0.1, this machine alone)')
    parser.add_argument('--port', type=int, help='default: the first free '
                        'one from 7860 on')
    parser.add_argument('--window', type=float, default=2., help='seconds of '
                        "the timeline's windows (default: 2)")
    parser.add_argument('--max-megabytes', type=float,
                        default=100., help='of a file (default: 100)')
    parser.add_argument('--max-length', type=float, default=600.,
                        help='seconds of a video (default: 600)')
    parser.add_argument('--patience', type=float, default=60.,
                        help='seconds that reading a video may take '
                        '(default: 60)')
    args = parser.parse_args(argv)
    for name in ('window', 'max_megabytes', 'max_length', 'patience'):
        if getattr(args, name) <= 0:
            parser.error(f'--{name.replace("_", "-")} must be above 0')
    return args


def main(argv: Optional[Sequence[str]] = None) -> None:
    """The command."""
    args = parse_args(argv)
    from cast_mmaction.demo.cli import run
    from cast_mmaction.one_line import refusals_in_one_line
    with refusals_in_one_line():
        run(args)


if __name__ == '__main__':
    main()
