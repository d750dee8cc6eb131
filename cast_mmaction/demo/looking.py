"""What models see in a video that was read, ready to be shown."""
import threading
from typing import Dict, List, NamedTuple, Optional, Tuple

import torch
from mmengine.registry import init_default_scope
from torch import nn

from ..class_names import names_of
from ..prediction.answers import Answer, best_guesses
from ..prediction.predictor import model_input_pipeline, scores_of
from ..visualization.attention_maps import (AttentionMap, Maps, directions,
                                            grid_of_source, record_attention,
                                            streams)
from ..visualization.cli import (Pictures, Watched, asked_row, cam_rows,
                                 run_on, watch_sample)
from ..visualization.overlay import Row
from .reading import Clips

TOP = 5
TOGETHER = 4  # windows of a batch
# ViT-S, the smallest model of any use on real video, has 22 M.
TOY_PARAMETERS = 5e6


class Places(NamedTuple):
    """How many moments, rows and columns can ask."""
    moments: int
    rows: int
    columns: int


class Seen(NamedTuple):
    """A video, as it was seen.

    Attributes:
        clips: The video.
        model: The name of the model that was chosen.
        answers: To the whole video, by model.
        timeline: Of the chosen model, window by window.
        cams: What each model's answer rests on; empty of one whose tokens
            cannot be looked at.
        maps: The attention of the chosen model; empty likewise.
        pictures: To draw it on; None where there is nothing to draw.
        watched: The frames.
    """
    clips: Clips
    model: str
    answers: Dict[str, Answer]
    timeline: List[Answer]
    cams: List[Row]
    maps: Maps
    pictures: Optional[Pictures]
    watched: Watched

    def directions(self) -> List[str]:
        """The kinds of attention that were kept."""
        return list(dict.fromkeys(name for _, name in self.maps))

    def layers(self, direction: str) -> List[int]:
        """The layers in which one of them was kept."""
        return sorted(i for i, name in self.maps if name == direction)

    def places(self, direction: str) -> Places:
        """Who can ask."""
        one = self._map(direction, self.layers(direction)[0])
        _, steps, tokens = one.asking
        if one.reader not in self.pictures.specs:
            return Places(1, 1, 1)
        grid = grid_of_source(self.pictures.specs[one.reader],
                              tokens - one.prefix)
        return Places(steps, *grid)

    def overlay(self, direction: str, layer: int, moment: int, row: int,
                column: int) -> Row:
        """What a patch reads at a layer; all are counted from 0, and what
        lies outside is taken as the last."""
        layers = self.layers(direction)
        layer = layer if layer in layers else layers[-1]
        most = self.places(direction)
        moment, row, column = (min(place, count - 1) for place, count in zip(
            (moment, row, column), most))
        return asked_row(f'{direction}, layer {layer}',
                         self._map(direction, layer), self.pictures, moment,
                         (row, column))

    def _map(self, direction: str, layer: int) -> AttentionMap:
        return self.maps[layer, direction]


class Models:
    """Recognizers that look at the same video, one visitor after the other:
    recording attention changes what all attention of a process does.

    Args:
        models: By name, each with its config in ``cfg``.
    """

    def __init__(self, models: Dict[str, nn.Module]) -> None:
        self.models = models
        self.pipelines: List[List[dict]] = []
        self._uses: Dict[str, int] = {}
        self._lock = threading.Lock()
        for name, model in models.items():
            steps = model_input_pipeline(model.cfg, single_view=True)
            if steps not in self.pipelines:
                self.pipelines.append(steps)
            self._uses[name] = self.pipelines.index(steps)

    def is_toy(self, name: str) -> bool:
        """Whether a model is too small to know real video."""
        return self.size(name) < TOY_PARAMETERS

    def size(self, name: str) -> int:
        """How many parameters a model has."""
        return sum(p.numel() for p in self.models[name].parameters())

    def look(self, clips: Clips, chosen: str) -> Seen:
        """Let all models answer, and one be looked into."""
        with self._lock:
            init_default_scope('mmaction')  # of this thread
            answers, cams, seen = {}, [], {}
            for name, model in self.models.items():
                whole = clips.samples(self._uses[name])[0]
                seen[name] = watch_sample(model, whole, TOP)
                answers[name] = Answer(clips.name, None, None, seen[name].top)
                if _has_tokens(model):
                    cams += cam_rows(model, seen[name], -1,
                                     title=f'{name}: {seen[name].answer}')
            timeline = self._timeline(chosen, clips)
            return Seen(clips, chosen, answers, timeline, cams,
                        *self._inside(chosen, seen[chosen]), seen[chosen])

    def _timeline(self, name: str, clips: Clips) -> List[Answer]:
        model = self.models[name]
        samples = clips.samples(self._uses[name])[1:]
        scores = [
            one for i in range(0, len(samples), TOGETHER)
            for one in scores_of(model, samples[i:i + TOGETHER])
        ]
        names = names_of(model)
        return [
            Answer(clips.name, place.start, place.stop,
                   best_guesses(one, names, TOP))
            for place, one in zip(clips.windows[1:], scores)
        ]

    def _inside(self, name: str,
                watched: Watched) -> Tuple[Maps, Optional[Pictures]]:
        """The exchanges of a model, all layers; of one without, the last
        layer's own attention, which is larger."""
        model = self.models[name]
        if not _has_tokens(model):
            return {}, None
        own = list(streams(model.backbone))
        wanted = [x for x in directions(model) if x not in own]
        layers = None if wanted else [-1]
        with torch.no_grad(), record_attention(
                model, layers, wanted or None, average_heads=True) as maps:
            run_on(model, watched)
        return maps, Pictures(model, watched)


def _has_tokens(model: nn.Module) -> bool:
    try:
        return bool(directions(model))
    except ValueError:  # a model of the host
        return False
