"""What is seen in videos, on the screen and in files: ``tools/predict.py``."""
import argparse
import csv
import json
import re
import sys
from pathlib import Path
from typing import List, Optional, Sequence

import torch
from mmengine.config import Config
from torch import nn

from ..atomic_write import atomic_write
from ..datasets.annotations import VIDEO_SUFFIXES
from ..engine.newest import POINTER
from ..hub import from_pretrained
from ..list_files import read_lines
from ..options import as_options
from .answers import Answer
from .drawing import draw_answers, timeline_chart
from .predictor import predict


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
    cfg.merge_from_dict(as_options(args.cfg_options))
    return init_recognizer(cfg, args.checkpoint,
                           args.device or best_device())


def best_device() -> str:
    """The GPU, if there is one."""
    return 'cuda' if torch.cuda.is_available() else 'cpu'


def open_model(source: str, device: Optional[str] = None) -> nn.Module:
    """A model by one name.

    Args:
        source: The work dir of a training, whose newest epoch is taken;
            else see :func:`~cast_mmaction.hub.from_pretrained`.
        device: Where to put it; the GPU, if there is one, unless told.

    Raises:
        ValueError: If a work dir has no config, or more than one.
        CheckpointError: If the file cannot be used.
    """
    folder, device = Path(source), device or best_device()
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


def main() -> None:
    """The old place of the command ``cast-predict``, one release long."""
    from .command import main
    main()
