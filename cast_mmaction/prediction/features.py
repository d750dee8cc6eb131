"""Features of videos instead of answers: ``tools/extract_features.py``.

The folder holds shards ``features-00000.safetensors``, in which
``<number>.<expert>`` is a tensor, and ``index.json``, which says what they
are and which number a video has. A stopped run goes on.
"""
import argparse
import json
from contextlib import contextmanager
from pathlib import Path
from typing import Dict, Iterator, List, Sequence

import torch
from mmengine.dataset import Compose, pseudo_collate
from torch import Tensor, nn

from ..atomic_write import atomic_write
from ..datasets.video import UnreadableVideo
from ..hub import save_tensors
from ..models.cast import CAST
from ..visualization.attention_maps import streams
from .cli import find_videos, load_model
from .predictor import model_input_pipeline, request_for

MOMENTS = ('before', 'after')
INDEX = 'index.json'


@contextmanager
def record_tokens(backbone: nn.Module, layer: int,
                  moment: str) -> Iterator[Dict[str, Tensor]]:
    """Keeps the tokens of every expert at one depth while a model runs.

    Args:
        backbone: A backbone of this package.
        layer: The block, negative from the last.
        moment: 'before' or 'after' the exchange at that depth (CAST); of a
            single expert 'before' or 'after' the block.

    Yields:
        By expert ``(B, T, P, D)``, filled as the model runs.

    Raises:
        ValueError: If there is no such layer or moment.
    """
    if moment not in MOMENTS:
        raise ValueError(f'moment={moment!r}; use one of {MOMENTS}')
    kept: Dict[str, Tensor] = {}
    if isinstance(backbone, CAST):
        stage = _pick(backbone.layers, layer)
        talk = stage._talk

        def recording(x: Dict[str, Tensor], *args) -> Dict[str, Tensor]:
            out = talk(x, *args)
            kept.update(x if moment == 'before' else out)
            return out

        stage._talk = recording
        try:
            yield kept
        finally:
            del stage._talk
        return
    (name, expert), = streams(backbone).items()
    blocks = list(expert.blocks)
    place = list(range(len(blocks)))[_checked(layer, len(blocks))]
    place += moment == 'after'
    norm = expert.norm if place == len(blocks) else getattr(
        blocks[place], 'block', blocks[place]).norm1
    handle = norm.register_forward_pre_hook(
        lambda module, args: kept.__setitem__(name, args[0]))
    try:
        yield kept
    finally:
        handle.remove()


def _checked(layer: int, count: int) -> int:
    if not -count <= layer < count:
        raise ValueError(f'there is no layer {layer}: the model has {count}')
    return layer


def _pick(layers: Sequence[nn.Module], layer: int) -> nn.Module:
    return layers[_checked(layer, len(layers))]


def features_of(model: nn.Module, batch: dict, level: str, layer: int,
                moment: str) -> Dict[str, Tensor]:
    """Features of one video, the mean over its views.

    Args:
        model: A recognizer in evaluation mode.
        batch: One video, as the test pipeline and ``pseudo_collate`` give it.
        level: 'pooled': what the head gets, ``(D, )``; 'step': the mean over
            the patches of every time step at ``layer``, ``(T, D)``; 'token':
            every patch there, ``(T, N, D)``.
        layer: See :func:`record_tokens`; not for 'pooled'.
        moment: Likewise.

    Returns:
        By expert; of a single one under the name 'self'.
    """
    inputs = model.data_preprocessor(batch)['inputs']
    call = dict(imgs=inputs) if isinstance(inputs, Tensor) else inputs
    call = {name: x.flatten(0, 1) for name, x in call.items()}
    with torch.no_grad():
        if level == 'pooled':
            return _pooled(model.backbone, call)
        with record_tokens(model.backbone, layer, moment) as kept:
            _call(model.backbone, call)
    found = {}
    for name, tokens in kept.items():
        prefix = streams(model.backbone)[name].spec.num_prefix_tokens
        patches = tokens[:, :, prefix:].mean(dim=0)
        found[name] = patches.mean(dim=1) if level == 'step' else patches
    return found


def _pooled(backbone: nn.Module, call: Dict[str, Tensor]) -> Dict[str, Tensor]:
    features = _call(backbone, call)
    if isinstance(features, Tensor):
        features = dict(self=features)
    elif not isinstance(features, dict):
        features = dict(zip(streams(backbone), features))
    return {
        name: x.mean(dim=0).flatten(1).mean(dim=1) if x.dim() > 2 else
        x.mean(dim=0)
        for name, x in features.items() if x.is_floating_point()
    }


def _call(backbone: nn.Module, call: Dict[str, Tensor]):
    return backbone(**call) if set(call) != {'imgs'} else backbone(
        call['imgs'])


class Store:
    """Shards and their index.

    Args:
        folder: Where they are.
        settings: What the features are; a folder with others is refused.
        shard_size: Videos a shard.

    Raises:
        ValueError: If the folder holds features of other settings.
    """

    def __init__(self, folder: Path, settings: dict, shard_size: int) -> None:
        self.folder, self.shard_size = folder, shard_size
        self.pending: Dict[str, Dict[str, Tensor]] = {}
        path = folder / INDEX
        self.index = dict(settings=settings, shards={}, unreadable={})
        if path.is_file():
            self.index = json.loads(path.read_text())
            if self.index['settings'] != settings:
                raise ValueError(
                    f'{path}: holds features of {self.index["settings"]}, '
                    f'asked for are {settings}; choose another --out')

    def done(self) -> set:
        """Videos that need no more work."""
        return {
            video
            for videos in self.index['shards'].values() for video in videos
        } | set(self.index['unreadable'])

    def add(self, video: str, features: Dict[str, Tensor]) -> None:
        """Keep the features of a video; full shards are written."""
        self.pending[video] = features
        if len(self.pending) == self.shard_size:
            self.flush()

    def refuse(self, video: str, reason: str) -> None:
        """Note a video that cannot be read."""
        self.index['unreadable'][video] = reason

    def flush(self) -> None:
        """Write what is pending, the index last."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.pending:
            name = f'features-{len(self.index["shards"]):05d}.safetensors'
            tensors = {
                f'{number}.{expert}': x.cpu()
                for number, features in enumerate(self.pending.values())
                for expert, x in features.items()
            }
            with atomic_write(self.folder / name) as file:
                save_tensors(tensors, file, dict(format='pt'))
            self.index['shards'][name] = list(self.pending)
            self.pending = {}
        with atomic_write(self.folder / INDEX) as file:
            file.write_text(json.dumps(self.index, indent=1))


def load_features(folder: Path) -> Iterator[tuple]:
    """Read a folder back: pairs (video, features by expert)."""
    from safetensors.torch import load_file
    index = json.loads((Path(folder) / INDEX).read_text())
    for name, videos in index['shards'].items():
        tensors = load_file(Path(folder) / name)
        for number, video in enumerate(videos):
            start = f'{number}.'
            yield video, {
                key[len(start):]: x
                for key, x in tensors.items() if key.startswith(start)
            }


def run(args: argparse.Namespace) -> None:
    """Extract what is not there yet."""
    videos = find_videos(args.source)
    settings = dict(
        model=args.model or f'{args.config} {args.checkpoint}',
        level=args.level,
        single_view=args.single_view,
        dtype='float16' if args.half else 'float32')
    if args.level != 'pooled':
        settings.update(layer=args.layer, moment=args.moment)
    store = Store(args.out, settings, args.shard_size)
    rest: List[str] = [v for v in videos if v not in store.done()]
    print(f'{len(videos)} videos, {len(videos) - len(rest)} done before')
    model = load_model(args).eval()
    pipeline = Compose(model_input_pipeline(model.cfg, args.single_view))
    for number, video in enumerate(rest, 1):
        try:
            batch = pseudo_collate([pipeline(request_for(video))])
        except UnreadableVideo as error:
            store.refuse(video, str(error))
            print(f'unreadable: {error}')
            continue
        features = features_of(model, batch, args.level, args.layer,
                               args.moment)
        store.add(video, {
            name: x.half() if args.half else x.float()
            for name, x in features.items()
        })
        if number % 50 == 0 or number == len(rest):
            print(f'{number} of {len(rest)}')
    store.flush()
    print(f'{args.out / INDEX}: {len(store.index["shards"])} shards, '
          f'{len(store.index["unreadable"])} unreadable videos')
