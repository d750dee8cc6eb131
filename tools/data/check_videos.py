"""Read every frame of every video of a list, and part the list in two.

    python tools/data/check_videos.py train.txt --videos data/videos \\
        --good train_good.txt --bad train_bad.txt --workers 8

Two kinds of lists: lines ``path label``, and the CSVs of EPIC-KITCHENS-100
(``*.csv``), whose trimmed clips are looked for as ``<narration_id>.mp4`` or
as ``--layout`` says. The good list is the list without the bad videos; in the
bad list each line is followed by a tab and the reason.

A decoder that crashes or hangs on a file costs that file alone. What is found
is noted in ``<good>.<decoder>.journal`` at once: the same command goes on
after an interruption. Files are known by name, size and time; one that has
been mended is read again.
"""
import argparse
from typing import Optional, Sequence

DECODERS = ('decord', 'pyav', 'torchcodec')


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """The arguments of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('list', help='lines "path label", or a CSV')
    parser.add_argument(
        '--videos', default='', help='the folder that paths begin in')
    parser.add_argument(
        '--layout',
        default='{narration_id}.mp4',
        help='path of the video of a row of a CSV, with {narration_id}, '
        '{participant_id}, {video_id} or another column (default: '
        '%(default)s; untrimmed videos: '
        '{participant_id}/videos/{video_id}.MP4)')
    parser.add_argument('--good', required=True, help='the list to write')
    parser.add_argument('--bad', required=True, help='the bad ones, and why')
    parser.add_argument(
        '--decoder',
        choices=DECODERS,
        default='pyav',
        help='the one that the config uses (default: pyav)')
    parser.add_argument(
        '--workers',
        type=int,
        help='processes (default: the CPU cores)')
    parser.add_argument(
        '--seconds',
        type=float,
        default=300.,
        help='for one video; what takes longer is bad (default: 300)')
    args = parser.parse_args(argv)
    if args.decoder == 'torchcodec':
        from cast_mmaction.host import torchcodec_problem
        problem = torchcodec_problem()
        if problem:
            parser.error(f'--decoder torchcodec: {problem}')
    if args.workers is not None and args.workers < 1 or args.seconds <= 0:
        parser.error('--workers and --seconds must be positive')
    return args


def main(argv: Optional[Sequence[str]] = None) -> None:
    """The command."""
    args = parse_args(argv)
    from cast_mmaction.one_line import refusals_in_one_line
    from cast_mmaction.preparation.checking import check
    with refusals_in_one_line(goes_on=True):
        check(args)


if __name__ == '__main__':
    main()
