"""An exported file beside the model that it was made of."""
from typing import Any, Dict, List, NamedTuple, Sequence

import numpy as np
import torch

from .description import NotExported
from .program import Runner, Scorer

# Of float32, relative to the largest logit: other kernels, other rounding.
TOLERANCE = 1e-3


class Agreement(NamedTuple):
    """How far a file and its model agree on clips.

    Attributes:
        clips: How many views were compared.
        max_abs_difference: Of the logits.
        largest: The largest logit of the model, for scale.
        top1_agreement: Share of views with the same best class, by output.
    """
    clips: int
    max_abs_difference: float
    largest: float
    top1_agreement: Dict[str, float]

    def in_words(self) -> str:
        """One line."""
        shares = ', '.join(f'{task} {100 * share:.1f} %' for task, share in
                           self.top1_agreement.items())
        return (f'{self.clips} views: largest difference of logits '
                f'{self.max_abs_difference:.2g} (largest logit '
                f'{self.largest:.3g}), same best class: {shares}')

    def as_dict(self) -> Dict[str, Any]:
        """Plain data."""
        return self._asdict()


def in_batches(clips: np.ndarray, size: int) -> List[np.ndarray]:
    """Views ``(N, ...)`` as batches of one size; the last is filled up with
    its last view."""
    missing = -len(clips) % size
    clips = np.concatenate([clips, np.repeat(clips[-1:], missing, axis=0)])
    return [clips[i:i + size] for i in range(0, len(clips), size)]


def compare(run: Runner, scorer: Scorer, clips: np.ndarray, batch: int,
            tasks: Sequence[str]) -> Agreement:
    """Give the same views to both.

    Args:
        run: The file.
        scorer: The model, in float32.
        clips: Views ``(N, 3, frames, H, W)``.
        batch: How many the file takes at a time.
        tasks: Names of the outputs.
    """
    ours, theirs = [], []
    for part in in_batches(clips, batch):
        theirs.append(run(part))
        with torch.no_grad():
            scores = scorer(torch.from_numpy(part))
        scores = scores if isinstance(scores, tuple) else (scores, )
        ours.append([x.numpy() for x in scores])
    ours, theirs = (
        [np.concatenate(one)[:len(clips)] for one in zip(*both)]
        for both in (ours, theirs))
    return Agreement(
        len(clips),
        max(float(np.abs(a - b).max()) for a, b in zip(ours, theirs)),
        max(float(np.abs(a).max()) for a in ours), {
            task: float((a.argmax(1) == b.argmax(1)).mean())
            for task, a, b in zip(tasks, ours, theirs)
        })


def check(found: Agreement, precision: str) -> None:
    """A file of float32 must compute what its model computes.

    Raises:
        NotExported: If it does not, or if anything is not finite.
    """
    limit = TOLERANCE * max(found.largest, 1.)
    if not np.isfinite(found.max_abs_difference) or (
            precision == 'float32' and found.max_abs_difference > limit):
        raise NotExported('the file would compute something else than the '
                          f'model: {found.in_words()}')
