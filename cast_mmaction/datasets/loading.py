"""Pipeline steps that open a video and decode the chosen frames."""
from typing import Dict

import numpy as np
from mmcv.transforms import BaseTransform

from mmaction.registry import TRANSFORMS
from .video import READERS, BlankVideo, FrameFolder, UnreadableVideo


@TRANSFORMS.register_module()
class VideoInit(BaseTransform):
    """Open a video, a segment of it, or a folder of frames.

    Required keys: ``filename``; or ``frame_dir``, ``filename_tmpl``,
    ``start_frame`` and ``stop_frame`` (both included). Optional keys:
    ``start_time`` and ``stop_time`` (seconds): the segment to offer;
    ``unreadable``: give a blank video instead.

    Added keys: ``video_reader``, ``total_frames`` (of the segment),
    ``start_index`` (0: frames count from the start of the segment),
    ``avg_fps`` (videos only).

    The name makes MMAction2's inferencer recognise the step.

    Args:
        decoder (str): ``'pyav'`` or ``'decord'``. Defaults to ``'pyav'``,
            which is faster here and reads more formats.

    Raises:
        ValueError: If `decoder` is neither.
        UnreadableVideo: When the video cannot be opened.
    """

    def __init__(self, decoder: str = 'pyav') -> None:
        if decoder not in READERS:
            raise ValueError(f'decoder must be one of {sorted(READERS)}, '
                             f'but got {decoder!r}')
        self.decoder = decoder

    def transform(self, results: Dict) -> Dict:
        """Open the video."""
        if results.get('unreadable'):
            reader = BlankVideo()
        elif 'frame_dir' in results:
            reader = FrameFolder(results['frame_dir'],
                                 results['filename_tmpl'],
                                 results['start_frame'],
                                 results['stop_frame'])
        else:
            reader = READERS[self.decoder](results['filename'],
                                           results.get('start_time'),
                                           results.get('stop_time'))
            results['avg_fps'] = reader.fps
        results['video_reader'] = reader
        results['total_frames'] = len(reader)
        results['start_index'] = 0
        return results

    def __repr__(self) -> str:
        return f'{self.__class__.__name__}(decoder={self.decoder!r})'


@TRANSFORMS.register_module()
class VideoDecode(BaseTransform):
    """Decode the chosen frames, each once, in one pass.

    The clips of a test video overlap; a frame that several clips share is
    decoded once and shared between them.

    Required keys: ``video_reader``, ``frame_inds``. Added keys: ``imgs``
    (list of (H, W, 3) uint8 RGB arrays, one per entry of ``frame_inds``),
    ``original_shape``, ``img_shape`` (both (H, W)).

    Raises:
        UnreadableVideo: When a frame cannot be decoded.
    """

    def transform(self, results: Dict) -> Dict:
        """Decode the frames and drop the reader."""
        reader = results.pop('video_reader')
        indices, places = np.unique(
            results['frame_inds'], return_inverse=True)
        frames = reader.read(indices.tolist())
        shapes = {frame.shape for frame in frames}
        if len(shapes) > 1:
            raise UnreadableVideo(reader.path,
                                  f'changes its size: {sorted(shapes)}')
        for frame in frames:  # shared: a step that writes must copy first
            frame.flags.writeable = False
        results['imgs'] = [frames[place] for place in places.reshape(-1)]
        results['original_shape'] = frames[0].shape[:2]
        results['img_shape'] = frames[0].shape[:2]
        return results

    def __repr__(self) -> str:
        return f'{self.__class__.__name__}()'
