"""Make the lists, and for one's own videos the config, that trainings read.

    tools/data/prepare.py folder my_videos --out data/mine
    tools/data/prepare.py csv my_videos.csv --out data/mine
    tools/data/prepare.py kinetics kinetics-400_val.csv \\
        --videos data/kinetics400/videos_val \\
        --out data/kinetics400/kinetics400_val_list_videos.txt
    tools/data/prepare.py ssv2 something-something-v2-validation.json \\
        --labels something-something-v2-labels.json \\
        --videos data/sthv2/videos --out data/sthv2/sthv2_val_list_videos.txt
    tools/data/prepare.py vggsound vggsound.csv --split test \\
        --videos data/vggsound/videos \\
        --out data/vggsound/vggsound_test_list_videos.txt
    tools/data/prepare.py kineticssound kinetics-400_val.csv \\
        --videos data/kinetics400/videos_val \\
        --out data/kinetics400/kineticssound_val_list_videos.txt
    tools/data/prepare.py epic EPIC_100_train.csv EPIC_100_validation.csv \\
        --videos EPIC-KITCHENS --clips data/ek100/clips --out data/ek100
    tools/data/prepare.py shards data/mine/train.txt \\
        --videos my_videos --out data/mine/shards

--resized FOLDER makes smaller files that train several times faster, --verify
reads every file to its end, --shards FOLDER packs them into few files. A
report by class and every fault by name lie beside the list. After a stop the
same command goes on. EPIC-SOUNDS needs no preparation. docs/data.md has more.
"""
import argparse
from pathlib import Path
from typing import Optional, Sequence


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """The arguments of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest='command', required=True)
    add_official(commands)
    add_epic(commands)
    add_own(commands)
    add_shards(commands)
    return parser.parse_args(argv)


def add_official(commands: argparse._SubParsersAction) -> None:
    """Lists of published data sets."""
    kinetics = commands.add_parser('kinetics', help='lists of Kinetics')
    kinetics.add_argument(
        'annotations', nargs='+', help='original CSVs of one edition')
    kinetics.add_argument(
        '--num-classes',
        type=int,
        help='of a subset, labelled from 0 by its own names (default: those '
        'of Kinetics-400, -600 or -700)')
    kinetics.add_argument(
        '--classes',
        help='the names of all classes, where the CSVs name some of them: a '
        "file, or 'kinetics400'")
    ssv2 = commands.add_parser(
        'ssv2', help='lists of Something-Something V2')
    ssv2.add_argument('annotations', nargs='+', help='JSONs of splits')
    ssv2.add_argument('--labels', required=True, help='the labels JSON')
    ssv2.add_argument(
        '--answers', help='the labels of the test split, lines id;template')
    vggsound = commands.add_parser('vggsound', help='lists of VGG-Sound')
    vggsound.add_argument('annotations', help='vggsound.csv')
    vggsound.add_argument(
        '--split', choices=('train', 'test'), help='(default: both)')
    vggsound.add_argument(
        '--num-classes',
        type=int,
        default=309,
        help='of a subset, labelled from 0 by its own names (default: 309)')
    sound = commands.add_parser(
        'kineticssound', help='a list of Kinetics-Sound')
    sound.add_argument(
        'annotations', help='original Kinetics-400 CSV of a split')
    for command in (kinetics, ssv2, vggsound, sound):
        command.set_defaults(run='official')
        command.add_argument(
            '--videos',
            help='folder of the videos; those found there make the list. '
            'Without it the list names every annotated video <id>.mp4')
        command.add_argument(
            '--out',
            required=True,
            help='the list to write (*.txt), or a folder for one a split')
        command.add_argument(
            '--resized',
            metavar='FOLDER',
            help='make smaller files there; the list then names these')
        add_making(command)


def add_making(command: argparse.ArgumentParser) -> None:
    """How videos are made and read."""
    command.add_argument(
        '--short-side',
        type=int,
        default=320,
        help='pixels of the shorter side of what is made (default: 320)')
    command.add_argument(
        '--key-frames',
        type=int,
        default=30,
        help='a key frame every so many frames (default: 30)')
    command.add_argument(
        '--verify',
        action='store_true',
        help='read every video to its end; what is made always is')
    command.add_argument(
        '--workers',
        type=int,
        help='processes (default: the CPU cores)')
    command.add_argument(
        '--seconds',
        type=float,
        default=600.,
        help='for one video; what takes longer is broken (default: 600)')
    command.add_argument(
        '--shards', metavar='FOLDER', help='also pack the videos there')
    command.add_argument(
        '--shard-mb',
        type=float,
        default=128.,
        help='megabytes of a shard at most (default: 128)')


def add_epic(commands: argparse._SubParsersAction) -> None:
    """EPIC-KITCHENS-100."""
    command = commands.add_parser(
        'epic', help='EPIC-KITCHENS-100: what is there, segments as clips')
    command.set_defaults(run='epic')
    command.add_argument('annotations', nargs='+', help='official CSVs')
    command.add_argument(
        '--videos', required=True, help='folder of the untrimmed videos')
    command.add_argument(
        '--out',
        required=True,
        help='folder for the CSVs without the rows whose video is missing')
    command.add_argument(
        '--clips',
        metavar='FOLDER',
        help='cut every segment out, as FOLDER/<narration_id>.mp4')
    add_making(command)


def add_shards(commands: argparse._SubParsersAction) -> None:
    """Shards of a list that is there."""
    command = commands.add_parser(
        'shards', help='pack the videos of a list into few files')
    command.set_defaults(run='shards')
    command.add_argument('list', help='lines "path label"')
    command.add_argument(
        '--videos', required=True, help='the folder that paths begin in')
    command.add_argument(
        '--out',
        required=True,
        help='folder for the shards and the list of what is in them')
    command.add_argument('--shard-mb', type=float, default=128.)
    command.add_argument(
        '--keep-order',
        action='store_true',
        help='that of the list, as for validation (default: random)')
    command.add_argument(
        '--workers', type=int, help='processes (default: the CPU cores)')


def add_own(commands: argparse._SubParsersAction) -> None:
    """Lists and a config for one's own videos."""
    folder = commands.add_parser(
        'folder', help='own videos: every folder in a folder is a class')
    folder.add_argument('source', metavar='DIR')
    folder.set_defaults(run='own')
    table = commands.add_parser(
        'csv', help='own videos: a CSV with file,label or file,verb,noun')
    table.add_argument('source', metavar='FILE')
    table.add_argument(
        '--videos', help='folder that the files are in (default: the CSV\'s)')
    table.set_defaults(run='own')
    for command in (folder, table):
        command.add_argument(
            '--out',
            type=Path,
            required=True,
            help='folder for the lists, the names and config.py')
        command.add_argument(
            '--size',
            choices=('base', 'small'),
            default='base',
            help='base: CAST-B/16 on frozen experts, for a GPU; small: a '
            'trial without weights of others, on a CPU (default: base)')
        command.add_argument(
            '--val-share',
            type=float,
            default=0.2,
            help='share of each class to validate on (default: 0.2)')
        command.add_argument(
            '--seed', type=int, default=0, help='of the split (default: 0)')


def main(argv: Optional[Sequence[str]] = None) -> None:
    """The command."""
    args = parse_args(argv)
    from cast_mmaction.one_line import refusals_in_one_line
    from cast_mmaction.preparation.commands import run
    with refusals_in_one_line(goes_on=True):
        run(args)


if __name__ == '__main__':
    main()
