"""Lists, shards and configs: what ``tools/data/prepare.py`` does."""
import argparse
from pathlib import Path
from typing import List, Optional

from ..atomic_write import atomic_write
from ..class_names import read_class_names
from ..datasets.annotations import (Annotations, kinetics_entries,
                                    split_called, ssv2_entries, write_list)
from ..datasets.own_config import config_text
from ..datasets.own_data import (Found, class_lists, clips_of_csv,
                                 clips_of_folder, split_clips, write_lists)
from ..datasets.sound_lists import kinetics_sound_entries, vggsound_entries
from ..workers import usable_cores
from .epic import clips_of, prepare_epic
from .official import Making, prepare
from .shards import Sample, read_samples, write_shards


def run(args: argparse.Namespace) -> None:
    """Do what the command line says."""
    if getattr(args, 'workers', 0) is None:
        args.workers = usable_cores()
    dict(official=official, epic=epic, shards=shards, own=own)[args.run](args)


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


def epic(args: argparse.Namespace) -> None:
    making = making_of(args, args.clips)
    if args.shards and not args.clips:
        raise ValueError('--shards needs --clips')
    written = prepare_epic(args.annotations, args.videos, args.out, making)
    for path in written if args.shards else ():
        pack(clips_of(path, args.clips), path, args)


def shards(args: argparse.Namespace) -> None:
    if args.shard_mb <= 0 or args.workers < 1:
        raise ValueError('--shard-mb and --workers must be positive')
    write_shards(
        read_samples(args.list, args.videos), args.out,
        Path(args.list).stem, args.shard_mb, not args.keep_order,
        args.workers)


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
    package = Path(__file__).resolve().parents[1]
    inside = package / '.mim/configs'
    return inside if inside.is_dir() else package.parent / 'configs'
