"""What the subcommands of ``benchmark.py`` are asked.

A function for each; its first line is the help. They need no torch, so that
``--help`` does not wait for it.
"""
import argparse

CLOCKS = ('wall', 'cpu')


def model(parser: argparse.ArgumentParser) -> None:
    """How fast and how lean the model is."""
    parser.add_argument(
        '--table',
        choices=['speed', 'experts', 'growth', 'hearing'],
        default='speed',
        help='speed: against the eager twin; experts: against MMAction2, '
        'open_clip and timm; growth: more frames, pixels, clips, width; '
        'hearing: CAVA and CA2ST against CAST')
    _clips(parser)
    parser.add_argument(
        '--dtype',
        choices=['float32', 'bfloat16', 'float16'],
        default='float32',
        help='all but float32 are autocast')
    parser.add_argument(
        '--baseline-dtype',
        choices=['float32', 'bfloat16', 'float16'],
        help="precision of the eager twin, if another than CAST's")
    parser.add_argument(
        '--options',
        nargs='*',
        default=[],
        choices=['half', 'compile', 'with_cp'],
        help='more contenders: CAST with frozen_dtype, compile, with_cp')
    parser.add_argument(
        '--sound-frames',
        type=int,
        default=400,
        help='hearing: frames of the spectrogram')
    parser.add_argument('--no-train', action='store_true')
    parser.add_argument(
        '--max-batch',
        type=int,
        help='growth: most clips; as many as memory holds unless told')


def _clips(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--arch',
        choices=['tiny', 'base', 'large', 'huge', 'giant'],
        default='base')
    parser.add_argument('--frames', type=int, default=16)
    parser.add_argument('--size', type=int, default=224)
    parser.add_argument('--batch', type=int, default=1)


def float8(parser: argparse.ArgumentParser) -> None:
    """Whether frozen products in float8 pay."""
    _clips(parser)
    parser.add_argument(
        '--pretrained',
        nargs=2,
        metavar=('SPATIAL', 'TEMPORAL'),
        help="the experts' weights, as in a config; random unless told")


def kernels(parser: argparse.ArgumentParser) -> None:
    """Which attention each window gets."""
    parser.add_argument('--batch', type=int, default=1, help='clips')
    parser.add_argument(
        '--dtypes',
        nargs='+',
        choices=['float32', 'bfloat16', 'float16'],
        default=['float32', 'bfloat16'])


def data(parser: argparse.ArgumentParser) -> None:
    """How fast video becomes clips."""
    parser.add_argument(
        '--table',
        choices=['reading', 'feeding', 'augmentation', 'device', 'stages',
                 'loader', 'memory'],
        help='only this one; default all')
    parser.add_argument(
        '--video', help='a file to read, for --table feeding also a folder of '
        'mp4 files; default one made on the spot, 300 frames of 340 x 256')
    parser.add_argument(
        '--workers', type=int, default=2, help='most loader processes')
    parser.add_argument(
        '--batch', type=int, default=64, help='clips of --table device')
    parser.add_argument(
        '--frame-size',
        type=int,
        nargs=2,
        default=(256, 340),
        metavar=('HEIGHT', 'WIDTH'),
        help='of --table device')
    parser.add_argument(
        '--clips', type=int, default=5000, help='length of the memory curve')


def sound(parser: argparse.ArgumentParser) -> None:
    """What sound costs."""
    parser.add_argument(
        '--video', help='a file with sound; default one made on the spot, '
        '300 frames of --size and 10 s of stereo AAC')
    parser.add_argument(
        '--size', type=int, nargs=2, default=(340, 256), metavar=('W', 'H'))


def storage(parser: argparse.ArgumentParser) -> None:
    """Clips from shards against clips from files."""
    parser.add_argument(
        '--videos', type=int, default=200, help='copies of one video')
    parser.add_argument('--shard-mb', type=float, default=16.)


def train(parser: argparse.ArgumentParser) -> None:
    """How long a training waits for its data."""
    parser.add_argument('--processes', type=int, default=2)
    parser.add_argument('--batch', type=int, default=2)
    parser.add_argument(
        '--width', type=int, default=192, help='of the experts; 32 a head')
    parser.add_argument('--layers', type=int, default=6)
    parser.add_argument(
        '--settings',
        type=int,
        nargs='*',
        help='which loaders of the table; default all')


def log(parser: argparse.ArgumentParser) -> None:
    """Whether a log grows dear."""
    parser.add_argument(
        '--history',
        type=int,
        nargs='+',
        default=[100, 10_000, 350_000],
        help='iterations that have been logged before')
    parser.add_argument(
        '--iterations',
        type=int,
        default=1000,
        help='that are timed')
