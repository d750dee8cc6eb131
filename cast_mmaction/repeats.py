"""Repeated augmentation: several clips from one decoding of a video.

Hoffer et al., "Augment your batch" (arXiv 1901.09335): a batch holds several
versions of each sample, augmented apart. Of videos that also saves decoding.
"""
import copy
from typing import Any, Callable, Dict, List, Optional, Sequence


class Repeats(list):
    """Clips of one video, as a data set gives them for one index."""


class RepeatedPipeline:
    """Decodes a video once and augments its frames several times.

    The draws of a clip go on where those of the clip before ended, so that
    all follow from the seed of the sample and the first clip is that of a
    pipeline without repeats.

    Args:
        read (Callable): From what the data set knows of a sample to its
            frames, ``imgs``.
        augment (Callable): From there to the packed clip.
        num_repeats (int): Clips of a video.
    """

    def __init__(self, read: Callable[[Dict], Dict],
                 augment: Callable[[Dict], Dict], num_repeats: int) -> None:
        self.read = read
        self.augment = augment
        self.num_repeats = num_repeats

    def __call__(self, data_info: Dict) -> Optional[Repeats]:
        """All clips of a video; None if a step drops the sample."""
        results = self.read(data_info)
        if results is None:
            return None
        frames = results.pop('imgs')  # arrays that nobody may write into
        clips = Repeats(
            self.augment(dict(copy.deepcopy(results), imgs=frames[:]))
            for _ in range(self.num_repeats))
        return None if None in clips else clips


def side_by_side(collate: Callable, samples: Sequence[Any]) -> Any:
    """Collate with the clips of a video as samples of their own.

    Args:
        collate (Callable): For a list of samples.
        samples (Sequence): A batch, `Repeats` among it or not.
    """
    clips: List[Any] = []
    for sample in samples:
        clips += sample if isinstance(sample, Repeats) else [sample]
    return collate(clips)
