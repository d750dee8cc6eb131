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
import sys
from pathlib import Path
from typing import List, Optional

import cast_mmaction
from cast_mmaction.atomic_write import atomic_write
from cast_mmaction.class_names import read_class_names
from cast_mmaction.datasets.annotations import (Annotations, kinetics_entries,
                                                split_called, ssv2_entries,
                                                write_list)
from cast_mmaction.datasets.own_config import SIZES, config_text
from cast_mmaction.datasets.own_data import (Found, class_lists,
                                             clips_of_csv, clips_of_folder,
                                             split_clips, write_lists)
from cast_mmaction.datasets.sound_lists import (VGGSOUND_SPLITS,
                                                kinetics_sound_entries,
                                                vggsound_entries)
from cast_mmaction.preparation.epic import clips_of, prepare_epic
from cast_mmaction.preparation.official import Making, prepare
from cast_mmaction.preparation.shards import (Sample, read_samples,
                                              write_shards)
from cast_mmaction.workers import usable_cores


def parse_args(argv: Optional[List[str]]) -> argparse.Namespace:
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
        '--split', choices=VGGSOUND_SPLITS, help='(default: both)')
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
        command.set_defaults(run=official)
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
        default=usable_cores(),
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


def making_of(args: argparse.Namespace, folder: Optional[str]) -> Making:
    """Check the numbers."""
    for name in ('short_side', 'key_frames', 'workers', 'seconds',
                 'shard_mb'):
        if getattr(args, name) <= 0:
            raise ValueError(f'--{name.replace("_", "-")} must be positive, '
                             f'got {getattr(args, name)}')
    return Making(folder, args.short_side, args.key_frames, args.verify,
                  args.workers, args.seconds)


def official(args: argparse.Namespace) -> None:
    making = making_of(args, args.resized)
    if args.videos is None and (args.resized or args.verify):
        raise ValueError('--resized and --verify need --videos')
    if args.shards and args.videos is None:
        raise ValueError('--shards needs --videos')
    done = prepare(
        annotations_of(args), args.out, args.videos, making,
        f'{args.command}_classes.txt')
    for path in dict.fromkeys(done.lists.values()) if args.shards else ():
        pack(read_samples(path, done.videos), path, args)


def pack(samples: List[Sample], path: str, args: argparse.Namespace) -> None:
    """Write the shards of a list; those of a training in random order."""
    shuffle = split_called(path) not in ('val', 'test')
    write_shards(samples, args.shards, Path(path).stem, args.shard_mb,
                 shuffle, args.workers)


def annotations_of(args: argparse.Namespace) -> Annotations:
    """Read what the command line names."""
    if args.command == 'kinetics':
        names = args.classes and read_class_names(args.classes)
        return kinetics_entries(args.annotations, args.num_classes, names)
    if args.command == 'ssv2':
        return ssv2_entries(args.annotations, args.labels, args.answers)
    if args.command == 'vggsound':
        return vggsound_entries(args.annotations, args.split,
                                args.num_classes)
    return kinetics_sound_entries(args.annotations)


def add_epic(commands: argparse._SubParsersAction) -> None:
    """EPIC-KITCHENS-100."""
    command = commands.add_parser(
        'epic', help='EPIC-KITCHENS-100: what is there, segments as clips')
    command.set_defaults(run=epic)
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


def epic(args: argparse.Namespace) -> None:
    making = making_of(args, args.clips)
    if args.shards and not args.clips:
        raise ValueError('--shards needs --clips')
    written = prepare_epic(args.annotations, args.videos, args.out, making)
    for path in written if args.shards else ():
        pack(clips_of(path, args.clips), path, args)


def add_shards(commands: argparse._SubParsersAction) -> None:
    """Shards of a list that is there."""
    command = commands.add_parser(
        'shards', help='pack the videos of a list into few files')
    command.set_defaults(run=shards)
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
    command.add_argument('--workers', type=int, default=usable_cores())


def shards(args: argparse.Namespace) -> None:
    if args.shard_mb <= 0 or args.workers < 1:
        raise ValueError('--shard-mb and --workers must be positive')
    write_shards(
        read_samples(args.list, args.videos), args.out,
        Path(args.list).stem, args.shard_mb, not args.keep_order,
        args.workers)


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


def main(argv: Optional[List[str]] = None) -> None:
    args = parse_args(argv)
    try:
        args.run(args)
    except (ValueError, OSError, RuntimeError) as error:
        sys.exit(f'error: {error}')
    except KeyboardInterrupt:
        sys.exit('stopped; the same command goes on from here')


if __name__ == '__main__':
    main()
