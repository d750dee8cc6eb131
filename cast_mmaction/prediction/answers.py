"""Scores of a recognizer as the best classes, by name."""
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Union

import torch
from torch import Tensor

Scores = Union[Tensor, Mapping[str, Tensor]]


class Guess(NamedTuple):
    """A class that may be the right one.

    Attributes:
        name: What it is called; its number where no names are known.
        score: Its probability, if the head averages probabilities.
    """
    name: str
    score: float


class Answer(NamedTuple):
    """What a recognizer sees in a video, or in a window of it.

    Attributes:
        video: The file.
        start: Where the window begins, in seconds; None of a whole video.
        stop: Where it ends.
        top: The best guesses, best first, by task: 'label', or 'verb', 'noun'
            and 'action'. Empty if there is an error.
        error: Why the video could not be read, else None.
    """
    video: str
    start: Optional[float]
    stop: Optional[float]
    top: Dict[str, List[Guess]]
    error: Optional[str] = None

    def as_dict(self) -> Dict[str, Any]:
        """Plain data, for JSON."""
        return dict(
            self._asdict(),
            top={
                task: [guess._asdict() for guess in guesses]
                for task, guesses in self.top.items()
            })


def best_guesses(scores: Scores, names: Mapping[str, List[str]],
                 top_k: int) -> Dict[str, List[Guess]]:
    """The ``top_k`` best classes of every task.

    With a verb and a noun also their best pairs, 'action', by the product of
    the two probabilities, as EPIC-KITCHENS-100 ranks them.

    Args:
        scores: ``(num_classes, )``, or by task.
        names: By task, see ``class_names.names_by_task``; may lack tasks.
        top_k: At most this many.

    Raises:
        ValueError: If there are not as many names as scores.
    """
    if isinstance(scores, Tensor):
        scores = dict(label=scores)
    scores = {task: x.detach().float().cpu() for task, x in scores.items()}
    called = {}
    for task, x in scores.items():
        called[task] = names.get(task) or [str(i) for i in range(len(x))]
        if len(called[task]) != len(x):
            raise ValueError(
                f'{len(x)} {task} scores, but {len(called[task])} names: the '
                'model has other classes than the names are of')
    top = {
        task: [Guess(called[task][place], float(score))
               for score, place in _top(x, top_k)]
        for task, x in scores.items()
    }
    if set(scores) == {'verb', 'noun'}:
        # The best pairs consist of the best verbs and the best nouns.
        verbs, nouns = (_top(scores[task], top_k) for task in ('verb', 'noun'))
        pairs = [
            Guess(f'{called["verb"][v]} {called["noun"][n]}',
                  float(verb * noun)) for verb, v in verbs
            for noun, n in nouns
        ]
        pairs.sort(key=lambda pair: -pair.score)
        top['action'] = pairs[:top_k]
    return top


def _top(scores: Tensor, top_k: int) -> List:
    values, places = torch.topk(scores, min(top_k, len(scores)))
    return list(zip(values, places.tolist()))
