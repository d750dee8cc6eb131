"""Looks inside a model while it watches a video: ``tools/visualize.py``."""
import argparse
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np
import torch
from mmengine.dataset import Compose, pseudo_collate
from torch import Tensor, nn

from ..class_names import names_of
from ..prediction.answers import Guess, best_guesses
from ..prediction.cli import load_model
from ..prediction.predictor import model_input_pipeline, request_for
from .attention_maps import (AttentionMap, directions, grid_of_source,
                             record_attention, streams)
from .overlay import (Row, contact_sheet, save_sheet, save_video,
                      step_pictures)
from .relevance import attention_rollout, token_grad_cam

Inputs = Union[Tensor, Dict[str, Tensor]]


class Watched(NamedTuple):
    """A video as a model sees it.

    Attributes:
        inputs: What the backbone takes, one view.
        frames: The same frames, ``(3, F, H, W)`` uint8.
        top: The best classes by task.
    """
    inputs: Inputs
    frames: Tensor
    top: Dict[str, List[Guess]]

    @property
    def answer(self) -> str:
        """The best class, or pair of verb and noun, in words."""
        best = self.top.get('action', next(iter(self.top.values())))[0]
        return f'{best.name} {100 * best.score:.0f} %'


def watch(model: nn.Module, video: str) -> Watched:
    """Read one view of a video and let the model answer.

    Raises:
        UnreadableVideo: If the video cannot be read.
    """
    pipeline = Compose(model_input_pipeline(model.cfg, single_view=True))
    return watch_sample(model, pipeline(request_for(video)))


def watch_sample(model: nn.Module, sample: dict, top_k: int = 1) -> Watched:
    """:func:`watch` of what the test pipeline made of one view."""
    batch = pseudo_collate([sample])
    raw = batch['inputs']
    frames = (raw['imgs'] if isinstance(raw, dict) else raw)[0]
    names = names_of(model)
    with torch.no_grad():
        scores = model.test_step(batch)[0].pred_score
    top = best_guesses(scores, names, top_k)
    inputs = model.data_preprocessor(batch)['inputs']
    inputs = {k: x.flatten(0, 1) for k, x in inputs.items()} if isinstance(
        inputs, dict) else inputs.flatten(0, 1)
    return Watched(inputs, frames[0].cpu(), top)


class Pictures:
    """What there is to see of each stream, step by step.

    Args:
        model: The recognizer.
        watched: The video.
    """

    def __init__(self, model: nn.Module, watched: Watched) -> None:
        self.specs = {
            name: expert.spec
            for name, expert in streams(model.backbone).items()
        }
        self.watched = watched

    def is_sound(self, stream: str) -> bool:
        """Whether a stream hears."""
        return stream in self.specs and self.specs[
            stream].modality == 'audio'

    def of(self, stream: str, steps: int) -> List[np.ndarray]:
        """Pictures of a stream whose tokens have that many steps."""
        if self.is_sound(stream):
            return [self._spectrogram()]
        return step_pictures(self.watched.frames, steps)

    def _spectrogram(self) -> np.ndarray:
        """Low pitch first, as the expert's grid has it."""
        x = self.watched.inputs['audio'][0, 0].T.cpu()  # (bins, frames)
        x = (x - x.min()) / (x.max() - x.min()).clamp(min=1e-6)
        grey = (255 * x).byte().numpy()
        return np.repeat(grey[..., None], 3, axis=2)

    def row(self, title: str, stream: str, heat: Tensor, **options) -> Row:
        """A map ``(T, N)`` of a stream as a row."""
        spec = self.specs[stream]
        grid = grid_of_source(spec, heat.shape[1])
        if self.is_sound(stream):
            title += ' (time to the right, pitch upwards)'
        return Row(
            title,
            heat.unflatten(1, grid).float().cpu().numpy(),
            self.of(stream, heat.shape[0]),
            low_first=self.is_sound(stream),
            **options)


def exchange_rows(model: nn.Module, watched: Watched,
                  args: argparse.Namespace) -> Dict[str, List[Row]]:
    """Who is read by the chosen patch, by direction, a row a layer."""
    wanted = args.directions or [
        name for name in directions(model)
        if name not in streams(model.backbone)
    ] or directions(model)
    with torch.no_grad(), record_attention(model, args.layers,
                                           wanted) as maps:
        run_on(model, watched)
    pictures = Pictures(model, watched)
    found: Dict[str, List[Row]] = {}
    for (layer, direction), one in sorted(maps.items()):
        found.setdefault(direction, []).append(
            asked_row(f'{direction}, layer {layer}', one, pictures,
                      args.step, args.patch, args.head))
    return found


def asked_row(title: str,
              one: AttentionMap,
              pictures: Pictures,
              step: Optional[int] = None,
              patch: Optional[Sequence[int]] = None,
              head: Optional[int] = None) -> Row:
    """What a patch reads.

    Args:
        title: The beginning of the row's title.
        one: The attention that it reads by.
        pictures: Of the video.
        step: The time step of the patch; None for the middle.
        patch: Its row and column; None for the middle.
        head: None for the mean of all.

    Raises:
        ValueError: If there is no such step or patch.
    """
    _, steps, tokens = one.asking
    if one.reader not in pictures.specs:  # EVL's query asks for the clip
        heat, asking, grid = one.read_by(0, 0, head)[0], None, (1, 1)
    else:
        grid = grid_of_source(pictures.specs[one.reader],
                              tokens - one.prefix)
        step = steps // 2 if step is None else step
        row, column = patch or (grid[0] // 2, grid[1] // 2)
        if row not in range(grid[0]) or column not in range(grid[1]):
            raise ValueError(f'--patch {row} {column}: the {one.reader} '
                             f'stream has {grid[0]} rows and {grid[1]} '
                             'columns of patches')
        if step not in range(steps):
            raise ValueError(f'--step {step}: the {one.reader} stream has '
                             f'{steps} steps')
        token = one.prefix + row * grid[1] + column
        heat = one.read_by(step, token, head)[0]
        title += f': patch ({row}, {column}) of step {step} asks'
        asking = (step, row, column)
        if pictures.specs[one.source].modality != pictures.specs[
                one.reader].modality:
            asking = None  # it is in another picture
    return pictures.row(title, one.source, heat[:, one.prefix:],
                        asking=asking, asking_grid=grid)


def rollout_rows(model: nn.Module, watched: Watched) -> List[Row]:
    """Attention rollout of each expert."""
    pictures = Pictures(model, watched)
    return [
        pictures.row(f'attention rollout, {name}', name, heat[0])
        for name, heat in attention_rollout(model, watched.inputs).items()
    ]


def cam_rows(model: nn.Module,
             watched: Watched,
             layer: int,
             target: Optional[Dict[str, int]] = None,
             title: str = 'Grad-CAM') -> List[Row]:
    """Grad-CAM of each expert."""
    if target is not None and set(target) == {'label'}:
        target = target['label']
    pictures = Pictures(model, watched)
    cams = token_grad_cam(model, watched.inputs, target, layer)
    return [
        pictures.row(title if name == 'self' else f'{title}, {name}', name,
                     heat[0], bars=False)
        for name, heat in cams.items()
    ]


def target_of(model: nn.Module, words: Sequence[str]
              ) -> Optional[Dict[str, int]]:
    """Classes given by name or number, with the task before where there are
    two: ``verb=cut noun=3``.

    Raises:
        ValueError: If there is no such class.
    """
    if not words:
        return None
    names = names_of(model)
    target = {}
    for word in words:
        task, _, name = word.rpartition('=')
        task = task or 'label'
        known = names.get(task, [])
        if name in known:
            target[task] = known.index(name)
        elif name.isdecimal():
            target[task] = int(name)
        else:
            raise ValueError(f'--class {word}: no {task} is called {name!r}')
    return target


def run_on(model: nn.Module, watched: Watched) -> None:
    """Run the backbone of a model on a video."""
    inputs = watched.inputs
    model.backbone(**inputs) if isinstance(inputs, dict) else model.backbone(
        inputs)


def views(args: argparse.Namespace) -> Tuple[str, Dict[str, List[Row]]]:
    """A title, and the rows of every view that was asked for by file name."""
    model = load_model(args).eval()
    watched = watch(model, args.video)
    target = target_of(model, args.target)
    found: Dict[str, List[Row]] = {}
    if 'exchange' in args.show:
        found.update(exchange_rows(model, watched, args))
    if 'rollout' in args.show:
        found['rollout'] = rollout_rows(model, watched)
    if 'gradcam' in args.show:
        found['gradcam'] = cam_rows(model, watched, args.layers[-1], target)
    if 'compare' in args.show:
        rows = []
        for name in args.against:
            other = load_model(
                argparse.Namespace(**{
                    **vars(args), 'model': name,
                    'config': None,
                    'checkpoint': None
                })).eval()
            seen = watch(other, args.video)
            rows += cam_rows(
                other,
                seen,
                args.layers[-1],
                title=f'{Path(name).stem}: {seen.answer}')
        found['compare'] = rows + cam_rows(
            model,
            watched,
            args.layers[-1],
            title=f'this model: {watched.answer}')
    return f'{Path(args.video).name}: {watched.answer}', found


def run(args: argparse.Namespace) -> None:
    """Look, and write what there is to see."""
    title, found = views(args)
    print(title)
    args.out.mkdir(parents=True, exist_ok=True)
    for name, rows in found.items():
        save_sheet(contact_sheet(rows, title), args.out / f'{name}.png')
        save_video(rows, args.out / f'{name}.mp4', title, args.fps)
        print(f'{args.out / name}.png, .mp4')
