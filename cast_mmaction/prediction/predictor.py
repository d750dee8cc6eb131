"""Running a recognizer over videos, whole or window by window."""
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence
from typing import Union

import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import init_default_scope
from torch import nn
from torch.utils.data import DataLoader, Dataset

from ..class_names import names_of
from ..datasets.video import READERS, UnreadableVideo
from .answers import Answer, Scores, best_guesses


class Window(NamedTuple):
    """A video, or a part of it in seconds."""
    video: str
    start: Optional[float] = None
    stop: Optional[float] = None


def predict(model: nn.Module,
            videos: Union[str, Sequence[str]],
            top_k: int = 5,
            batch_size: int = 1,
            num_workers: int = 0,
            window: Optional[float] = None,
            stride: Optional[float] = None,
            single_view: bool = False) -> Iterator[Answer]:
    """Say what is seen in videos.

    Args:
        model: A recognizer with its config in ``model.cfg``, as
            ``cast_mmaction.from_pretrained`` and
            ``mmaction.apis.init_recognizer`` make it.
        videos: One file or several.
        top_k: How many classes to name.
        batch_size: Videos (or windows) at a time.
        num_workers: Processes that read; 0 reads in this one.
        window: Seconds; the answers are then given for windows of this length
            that slide over each video. None: one answer a video.
        stride: Seconds from window to window. Defaults to half of one.
        single_view: One clip and the middle crop instead of all the views of
            the test pipeline: faster, a little less accurate.

    Yields:
        Answers, video by video and window by window. A video that cannot be
        read gives one with ``error`` set.

    Raises:
        ValueError: If an option is wrong.
    """
    if min(top_k, batch_size) < 1:
        raise ValueError('top_k and batch_size must be at least 1, got '
                         f'{top_k}, {batch_size}')
    if (window or 1) <= 0 or (stride or 1) <= 0:
        raise ValueError('window and stride are seconds above 0, got '
                         f'{window}, {stride}')
    if stride and not window:
        raise ValueError('stride needs a window')
    init_default_scope(model.cfg.get('default_scope', 'mmaction'))
    pipeline = model_input_pipeline(model.cfg, single_view)
    names = names_of(model)
    videos = [videos] if isinstance(videos, str) else list(videos)
    loader = DataLoader(
        _Windows(_all_windows(videos, window, stride), Compose(pipeline)),
        batch_size=batch_size,
        num_workers=num_workers,
        collate_fn=list)
    for samples in loader:
        readable = [data for _, data, error in samples if error is None]
        results = iter(scores_of(model, readable))
        for place, _, error in samples:
            top = {} if error else best_guesses(next(results), names, top_k)
            yield Answer(*place, top, error)


@torch.no_grad()
def scores_of(model: nn.Module, samples: List[dict]) -> List[Scores]:
    """The scores of samples as a test pipeline makes them."""
    if not samples:
        return []
    model.eval()
    return [x.pred_score for x in model.test_step(pseudo_collate(samples))]


def model_input_pipeline(cfg: Config, single_view: bool = False) -> List[dict]:
    """The steps from a file to the model's input, as plain data.

    Args:
        cfg: Of a recognizer.
        single_view: See :func:`predict`.

    Raises:
        ValueError: If the config has no test pipeline.
    """
    steps = cfg.get('test_pipeline')
    if steps is None:
        try:
            steps = cfg.test_dataloader.dataset.pipeline
        except AttributeError:
            raise ValueError(
                'the config has neither test_pipeline nor '
                'test_dataloader.dataset.pipeline: it does not say how a '
                'video becomes the input of the model') from None
    steps = [dict(step) for step in steps]
    if single_view:
        for step in steps:
            if 'num_clips' in step:
                step['num_clips'] = 1
            if step['type'] in ('ThreeViewCrop', 'ThreeCrop', 'TenCrop'):
                step['type'] = 'CenterCrop'
    return steps


def request_for(video: str,
                start: Optional[float] = None,
                stop: Optional[float] = None) -> Dict[str, Any]:
    """What a test pipeline is given for a file without a label, or for a
    part of it in seconds."""
    request = dict(filename=video, label=-1, start_index=0, modality='RGB')
    if start is not None:
        request.update(start_time=start, stop_time=stop)
    return request


def video_seconds(path: str) -> float:
    """How long a video is.

    Raises:
        UnreadableVideo: If it cannot be opened.
    """
    reader = READERS['pyav'](path)
    return len(reader) / reader.fps


def _all_windows(videos: Sequence[str], window: Optional[float],
                 stride: Optional[float]) -> List[Window]:
    found = []
    for video in videos:
        if window is None:
            found.append(Window(video))
            continue
        try:
            length = video_seconds(video)
        except UnreadableVideo:
            found.append(Window(video))  # told when it is read
            continue
        found += [
            Window(video, start, stop) for start, stop in sliding_windows(
                length, window, stride or window / 2)
        ]
    return found


def sliding_windows(length: float, window: float,
                    stride: float) -> List[tuple]:
    """Starts and stops, in seconds, that cover a video.

    The last window ends with the video; a rest shorter than half a window
    belongs to the window before it.
    """
    found, start = [(0., min(window, length))], stride
    while found[-1][1] < length:
        stop = min(start + window, length)
        if stop - start < window / 2:
            found[-1] = (found[-1][0], length)
        else:
            found.append((start, stop))
        start += stride
    return found


class _Windows(Dataset):
    """Windows as (window, input of the model, error)."""

    def __init__(self, windows: List[Window], pipeline: Compose) -> None:
        self.windows = windows
        self.pipeline = pipeline

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, index: int) -> tuple:
        place = self.windows[index]
        try:
            return place, self.pipeline(request_for(*place)), None
        except UnreadableVideo as error:
            return place, None, str(error)
