"""What strangers upload, read in a process of its own.

The process that reads is made for one file and ends with it. Whatever is
wrong ends in `Refused`, whose words are meant for the page.
"""
import logging
import os
from multiprocessing import forkserver, get_context
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Union

import av  # noqa: F401  (here, so that the readers have it already)
import numpy as np
import torch
from mmaction.structures import ActionDataSample
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope

from ..contained import contained
from ..datasets.annotations import VIDEO_SUFFIXES
from ..datasets.video import UnreadableVideo
from ..prediction.predictor import (Window, request_for, sliding_windows,
                                    video_seconds)

Plain = Union[np.ndarray, Dict[str, np.ndarray]]
MEGABYTE = 2**20
# How the containers of VIDEO_SUFFIXES begin. Anything else stays unopened:
# FFmpeg also reads lists of other files.
MATROSKA, RIFF = b'\x1aE\xdf\xa3', b'RIFF'
QUICKTIME = (b'ftyp', b'moov', b'mdat', b'wide', b'free', b'skip', b'pnot')


class Refused(Exception):
    """A file that is not shown, in words for whoever sent it."""


class Limits(NamedTuple):
    """What a visitor may ask for.

    Attributes:
        megabytes: Of a file.
        length: Of a video, in seconds.
        windows: Of a timeline; a long video gets longer steps.
        patience: Seconds that reading may take.
        memory: Bytes that reading may take.
    """
    megabytes: float = 100.
    length: float = 600.
    windows: int = 24
    patience: float = 60.
    memory: int = 2**31


class Clips(NamedTuple):
    """A video as the models take it.

    Attributes:
        name: What the visitor calls it.
        length: Seconds.
        windows: The whole, and after it the windows of the timeline.
        inputs: By pipeline, one input for each of ``windows``.
    """
    name: str
    length: float
    windows: List[Window]
    inputs: List[List[Plain]]

    def samples(self, pipeline: int) -> List[dict]:
        """What a pipeline made of the windows, as models take it."""
        return [
            dict(inputs=_tensors(plain), data_samples=ActionDataSample())
            for plain in self.inputs[pipeline]
        ]


class _Request(NamedTuple):
    """What the process is asked to read."""
    path: str
    pipelines: List[List[dict]]
    window: float
    limits: Limits


def prepare() -> None:
    """Start the process that all readers are copies of; what it imports
    takes it some seconds."""
    get_context('forkserver').set_forkserver_preload([__name__])
    forkserver.ensure_running()


def read(path: str, pipelines: List[List[dict]], window: float,
         limits: Limits) -> Clips:
    """Read a file that was uploaded.

    Args:
        path: The file.
        pipelines: The steps from a file to a model's input, plain data.
        window: Seconds of the timeline's windows; a video shorter than two
            has no timeline.
        limits: What may be asked for.

    Raises:
        Refused: If the file is none that the page shows.
    """
    name = Path(path).name
    _check_kind(path, name, limits)
    outcome, = contained(
        _read, [_Request(path, pipelines, window, limits)],
        seconds=limits.patience,
        memory=limits.memory,
        start='forkserver')
    if outcome.failure is not None:
        logging.getLogger(__name__).warning('%s: %s', name, outcome.failure)
        raise Refused(f'{name} cannot be read: {_in_words(outcome.failure)}')
    clips, reason = outcome.value
    if clips is None:
        raise Refused(f'{name} {reason}')
    return clips


def _check_kind(path: str, name: str, limits: Limits) -> None:
    """Looks at the name, the size and the first bytes."""
    if not os.path.isfile(path):
        raise Refused(f'{name} did not arrive; drop it again')
    endings = ', '.join(VIDEO_SUFFIXES)
    if Path(name).suffix.lower() not in VIDEO_SUFFIXES:
        raise Refused(f'{name} is no video: its name should end in {endings}')
    size = os.path.getsize(path)
    if size > limits.megabytes * MEGABYTE:
        raise Refused(f'{name} has {size / MEGABYTE:.1f} MB; this page takes '
                      f'up to {limits.megabytes:g} MB')
    with open(path, 'rb') as file:
        start = file.read(12)
    if not (start.startswith(MATROSKA) or start[4:8] in QUICKTIME or
            start.startswith(RIFF) and start[8:] == b'AVI '):
        raise Refused(f'{name} is no video inside, whatever its name says; '
                      f'this page takes {endings}')


def _in_words(failure: str) -> str:
    if failure.startswith('took more than'):
        return f'that {failure}, which is as long as this page waits'
    if failure.startswith('MemoryError') or 'Insufficient memory' in failure:
        return 'that takes more memory than this page gives'
    if failure.startswith('the process crashed'):
        return 'it is so damaged that the decoder crashed'
    return ('something is wrong with it, or with this page, whose owner '
            'finds the reason in the log')


def _read(request: _Request) -> tuple:
    """In the process: ``(Clips, None)``, or None and the reason."""
    init_default_scope('mmaction')
    path, limits = request.path, request.limits
    try:
        length = video_seconds(path)
        if length > limits.length:
            return None, (f'is {length:.0f} s long; this page takes up to '
                          f'{limits.length:g} s')
        windows = [Window(path), *_timeline(path, length, request.window,
                                            limits.windows)]
        inputs = []
        for steps in request.pipelines:
            pipeline = Compose(steps)
            inputs.append([
                _arrays(pipeline(request_for(*place))['inputs'])
                for place in windows
            ])
    except UnreadableVideo as error:
        return None, error.reason
    return Clips(Path(path).name, length, windows, inputs), None


def _timeline(path: str, length: float, window: float,
              most: int) -> List[Window]:
    if length < 2 * window:
        return []
    stride = max(window / 2, (length - window) / max(most - 1, 1))
    return [
        Window(path, *place)
        for place in sliding_windows(length, window, stride)[:most]
    ]


def _arrays(inputs: Any) -> Plain:
    """Tensors travel between processes as open files; arrays as bytes."""
    if isinstance(inputs, dict):
        return {name: _arrays(x) for name, x in inputs.items()}
    return inputs.numpy()


def _tensors(plain: Plain) -> Any:
    if isinstance(plain, dict):
        return {name: _tensors(x) for name, x in plain.items()}
    return torch.from_numpy(plain)


def delete(path: Optional[str]) -> None:
    """Delete an upload, and the folder that was made for it."""
    if path is None:
        return
    Path(path).unlink(missing_ok=True)
    folder = Path(path).parent
    if not any(folder.iterdir()):
        folder.rmdir()
