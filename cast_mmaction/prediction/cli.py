"""Say what is seen in videos: ``tools/predict.py``, ``cast-predict``.

    cast-predict video.mp4 --config configs/cast_k400.py --checkpoint k400.pth
    cast-predict videos/ --model cast-b-k400.safetensors --out answers.csv
    cast-predict long.mp4 --model someone/cast-b-k400 \\
        --window 4 --stride 2 --out timeline.csv --chart timeline.png
"""
import argparse
import csv
import json
import re
import sys
from pathlib import Path
from typing import List, Optional, Sequence

import torch
from mmengine.config import Config, DictAction
from torch import nn

from ..atomic_write import atomic_write
from ..checkpoints import CheckpointError
from ..datasets.annotations import VIDEO_SUFFIXES
from ..engine.newest import POINTER
from ..hub import from_pretrained
from ..list_files import read_lines
from .answers import Answer
from .drawing import draw_answers, timeline_chart
from .predictor import predict


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """How a tool is told which model to use; see :func:`load_model`."""
    parser.add_argument('--config', help='config of a training')
    parser.add_argument('--checkpoint', help='checkpoint of that training')
    parser.add_argument(
        '--model',
        help='a published file, a hub id, or the work dir of a training, '
        'instead of config and checkpoint')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        help='change the config: key=value ..., as tools/train.py')
    parser.add_argument(
        '--device',
        default='cuda' if torch.cuda.is_available() else 'cpu',
        help='default: the GPU, if there is one')


def load_model(args: argparse.Namespace) -> nn.Module:
    """The model that a tool was told to use.

    Raises:
        ValueError: If it was told none, or two.
        CheckpointError: If the file cannot be used.
    """
    if args.model:
        if args.config or args.checkpoint:
            raise ValueError('give either --model, or --config and '
                             '--checkpoint')
        return open_model(args.model, args.device)
    if not args.config or not args.checkpoint:
        raise ValueError('which model? Give --model FILE_OR_ID, or both '
                         '--config and --checkpoint')
    for path in (args.config, args.checkpoint):
        if not Path(path).is_file():
            raise ValueError(f'{path}: there is no such file')
    from mmaction.apis import init_recognizer
    cfg = Config.fromfile(args.config)
    cfg.merge_from_dict(args.cfg_options)
    return init_recognizer(cfg, args.checkpoint, args.device)


def open_model(source: str, device: str) -> nn.Module:
    """A model by one name.

    Args:
        source: The work dir of a training, whose newest epoch is taken;
            else see :func:`~cast_mmaction.hub.from_pretrained`.
        device: Where to put it.

    Raises:
        ValueError: If a work dir has no config, or more than one.
        CheckpointError: If the file cannot be used.
    """
    folder = Path(source)
    if not (folder / POINTER).is_file():
        return from_pretrained(source, device)
    # A runner without a config file, as tests and tools make it, leaves one
    # that is called by the time.
    configs = sorted(path for path in folder.glob('*.py')
                     if not re.fullmatch(r'\d{8}_\d{6}', path.stem))
    if len(configs) != 1:
        raise ValueError(f'{source}: one config is expected in the work dir '
                         f'of a training, found {len(configs)}; give '
                         '--config and --checkpoint')
    # The folder may have been moved.
    name = Path((folder / POINTER).read_text().strip()).name
    from mmaction.apis import init_recognizer
    return init_recognizer(
        Config.fromfile(configs[0]), str(folder / name), device)


def find_videos(source: str) -> List[str]:
    """The videos that an argument names: one file, a folder, or a list.

    Args:
        source: A video; a folder, in which videos are looked for at every
            depth; or a .txt or .csv file whose lines begin with a path,
            relative to the list or to here.

    Raises:
        ValueError: If there is none.
    """
    path = Path(source)
    if path.is_dir():
        found = sorted(
            str(file) for file in path.rglob('*')
            if file.suffix.lower() in VIDEO_SUFFIXES and file.is_file())
        if not found:
            raise ValueError(f'{source}: no video in this folder (those end '
                             f'in {", ".join(VIDEO_SUFFIXES)})')
        return found
    if not path.is_file():
        raise ValueError(f'{source}: there is no such file or folder')
    if path.suffix.lower() not in ('.txt', '.csv'):
        return [source]
    found = []
    for number, line in read_lines(source):
        if not line.strip():
            continue
        names = [line.strip(), line.strip().rpartition(' ')[0],
                 next(csv.reader([line]))[0]]
        video = next((str(place / name) for name in names if name
                      for place in (path.parent, Path())
                      if (place / name).is_file()), None)
        if video is not None:
            found.append(video)
        elif number > 1:  # the first line may be a header
            raise ValueError(f'{source}, line {number}: {names[-1]!r} is no '
                             'file, neither from the list nor from here')
    if not found:
        raise ValueError(f'{source}: no line of it names a video')
    return found


def write_answers(answers: Sequence[Answer], path: Path) -> None:
    """Write answers as JSON or CSV, by the ending of the file's name.

    Raises:
        ValueError: If it ends otherwise.
    """
    with atomic_write(path) as temporary:
        if path.suffix == '.json':
            temporary.write_text(
                json.dumps([answer.as_dict() for answer in answers], indent=1))
            return
        with open(temporary, 'w', newline='', encoding='utf-8') as file:
            writer = csv.writer(file)
            writer.writerow(('video', 'start', 'stop', 'task', 'rank', 'name',
                             'score', 'error'))
            for answer in answers:
                place = answer[:3]
                for task, guesses in answer.top.items():
                    for rank, guess in enumerate(guesses, 1):
                        writer.writerow((*place, task, rank, guess.name,
                                         f'{guess.score:.6f}', ''))
                if answer.error:
                    writer.writerow((*place, '', '', '', '', answer.error))


def print_answer(answer: Answer) -> None:
    """One video or window, for people."""
    when = '' if answer.start is None else \
        f'  {answer.start:.1f} to {answer.stop:.1f} s'
    print(f'{answer.video}{when}')
    if answer.error:
        print(f'  cannot be read: {answer.error}')
    for task, guesses in answer.top.items():
        for place, guess in enumerate(guesses):
            print(f'  {task if not place else "":6} {100 * guess.score:5.1f} '
                  f'%  {guess.name}')


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


def run(args: argparse.Namespace) -> int:
    """Predict, print and write; the number of videos that failed."""
    videos = find_videos(args.source)
    if args.chart and len(videos) > 1:
        raise ValueError(f'--chart draws one video, {args.source} holds '
                         f'{len(videos)}')
    model = load_model(args)
    answers: List[Answer] = []
    for answer in predict(
            model, videos, args.top, args.batch_size, args.num_workers,
            args.window, args.stride, args.single_view):
        print_answer(answer)
        answers.append(answer)
        if sys.stderr.isatty():
            done = videos.index(answer.video) + 1
            print(f'video {done} of {len(videos)}', end='\r', file=sys.stderr)
    if args.out:
        write_answers(answers, args.out)
    readable = [answer for answer in answers if not answer.error]
    if args.chart and readable:
        timeline_chart(readable, args.chart)
    if args.draw:
        args.draw.mkdir(parents=True, exist_ok=True)
        for video in dict.fromkeys(answer.video for answer in readable):
            draw_answers([a for a in readable if a.video == video],
                         args.draw / f'{Path(video).stem}.mp4')
    return len({answer.video for answer in answers if answer.error})


def main(argv: Optional[Sequence[str]] = None) -> None:
    """The command; ends with 1 if a video could not be read."""
    args = parse_args(argv)
    try:
        failed = run(args)
    except (CheckpointError, ValueError, OSError) as error:
        sys.exit(f'error: {error}')
    sys.exit(1 if failed else 0)
