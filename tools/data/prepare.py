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

EPIC-KITCHENS-100 and EPIC-SOUNDS need no preparation: their official files
are read as they are.
"""
import argparse
import sys
from pathlib import Path

import cast_mmaction
from cast_mmaction.atomic_write import atomic_write
from cast_mmaction.datasets.annotations import (Listing, make_list,
                                                read_kinetics, read_ssv2,
                                                write_list)
from cast_mmaction.datasets.own_config import SIZES, config_text
from cast_mmaction.datasets.own_data import (Found, class_lists,
                                             clips_of_csv, clips_of_folder,
                                             split_clips, write_lists)
from cast_mmaction.datasets.sound_lists import (VGGSOUND_SPLITS,
                                                read_kinetics_sound,
                                                read_vggsound,
                                                vggsound_file_names)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest='command', required=True)
    add_official(commands)
    add_sounding(commands)
    add_own(commands)
    return parser.parse_args()


def add_official(commands: argparse._SubParsersAction) -> None:
    """Lists of published data sets."""
    for name in ('kinetics', 'ssv2'):
        command = commands.add_parser(name, help=f'the list of {name}')
        command.set_defaults(run=official)
        command.add_argument(
            'annotations', help='original CSV or JSON of a split')
        if name == 'ssv2':
            command.add_argument(
                '--labels', required=True, help='the labels JSON')
        add_list_arguments(command)


def add_list_arguments(command: argparse.ArgumentParser) -> None:
    """Where the videos are and the list goes."""
    command.add_argument(
        '--videos',
        help='folder of the videos; those found there make the list. '
        'Without it the list names every annotated video <id>.mp4')
    command.add_argument('--out', required=True, help='the list to write')


def official(args: argparse.Namespace) -> None:
    if args.command == 'kinetics':
        labels = read_kinetics(args.annotations)
    else:
        labels = read_ssv2(args.annotations, args.labels)
    write_listing(args, make_list(labels, args.videos))


def write_listing(args: argparse.Namespace, listing: Listing) -> None:
    """Write a list and say how much of it is there."""
    if not listing.lines:
        raise ValueError(f'{args.videos}: none of the {len(listing.missing)} '
                         'annotated videos is there')
    write_list(args.out, listing.lines)
    print(f'{args.out}: {len(listing.lines)} videos')
    if listing.missing:
        print(f'{len(listing.missing)} annotated videos are not in '
              f'{args.videos}, such as {listing.missing[0]}')


def add_sounding(commands: argparse._SubParsersAction) -> None:
    """Lists of published data sets of videos with sound."""
    vggsound = commands.add_parser('vggsound', help='the list of VGG-Sound')
    vggsound.add_argument('annotations', help='vggsound.csv')
    vggsound.add_argument('--split', choices=VGGSOUND_SPLITS, required=True)
    kinetics = commands.add_parser(
        'kineticssound', help='the list of Kinetics-Sound')
    kinetics.add_argument(
        'annotations', help='original Kinetics-400 CSV of a split')
    for command in (vggsound, kinetics):
        command.set_defaults(run=sounding)
        add_list_arguments(command)


def sounding(args: argparse.Namespace) -> None:
    """Write a list, and the names of VGG-Sound's classes beside it."""
    if args.command == 'vggsound':
        labels = read_vggsound(args.annotations, args.split)
        listing = make_list(labels.of_videos, args.videos,
                            vggsound_file_names)
        write_list(
            str(Path(args.out).with_name('vggsound_classes.txt')),
            labels.classes)
    else:  # its classes are shipped
        labels = read_kinetics_sound(args.annotations)
        listing = make_list(labels.of_videos, args.videos)
    write_listing(args, listing)


def add_own(commands: argparse._SubParsersAction) -> None:
    """Lists and a config for one's own videos."""
    folder = commands.add_parser(
        'folder', help='own videos: every folder in a folder is a class')
    folder.add_argument('source', metavar='DIR')
    folder.set_defaults(run=own)
    table = commands.add_parser(
        'csv', help='own videos: a CSV with file,label or file,verb,noun')
    table.add_argument('source', metavar='FILE')
    table.add_argument(
        '--videos', help='folder that the files are in (default: the CSV\'s)')
    table.set_defaults(run=own)
    for command in (folder, table):
        command.add_argument(
            '--out',
            type=Path,
            required=True,
            help='folder for the lists, the names and config.py')
        command.add_argument(
            '--size',
            choices=sorted(SIZES),
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


def own(args: argparse.Namespace) -> None:
    if not 0 < args.val_share < 1:
        raise ValueError(f'--val-share {args.val_share} is not between 0 '
                         'and 1')
    if args.command == 'folder':
        videos = Path(args.source)
        found = clips_of_folder(args.source)
    else:
        videos = Path(args.videos or Path(args.source).parent)
        found = clips_of_csv(args.source, args.videos)
    parts = split_clips(found.clips, args.val_share, args.seed)
    classes = class_lists(found.clips)
    args.out.mkdir(parents=True, exist_ok=True)
    write_lists(args.out, parts, classes)
    config = args.out / 'config.py'
    text = config_text(config, videos, classes, len(found.clips), args.size,
                       shipped_configs() / '_base_/default_runtime.py')
    if config.exists() and config.read_text() != text:
        print(f'{config} is there already and stays as it is')
    else:
        with atomic_write(config) as temporary:
            temporary.write_text(text)
    report(found, args.out)
    print(f'{len(parts["train"])} clips to train on, {len(parts["val"])} to '
          'validate on; ' + ', '.join(f'{len(names)} {task}s'
                                      for task, names in classes.items()))
    print(f'Train with: tools/dist_train.sh {config} 1')


def report(found: Found, out: Path) -> None:
    """Say which files were left out, the first few by name, all in a file."""
    if not found.passed_over:
        return
    path = out / 'passed_over.txt'
    write_list(str(path), found.passed_over)
    print(f'{len(found.passed_over)} files were passed over, see {path}:')
    for line in found.passed_over[:5]:
        print(f'  {line}')


def shipped_configs() -> Path:
    """The folder of the configs: inside an installed wheel, or beside."""
    package = Path(cast_mmaction.__file__).resolve().parent
    inside = package / '.mim/configs'
    return inside if inside.is_dir() else package.parent / 'configs'


def main() -> None:
    args = parse_args()
    try:
        args.run(args)
    except (ValueError, OSError) as error:
        sys.exit(f'error: {error}')


if __name__ == '__main__':
    main()
