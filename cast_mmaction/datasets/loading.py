"""Pipeline steps that open a video and decode the chosen frames."""
from functools import partial
from typing import Any, Dict, List, Optional

import numpy as np
from mmcv.transforms import BaseTransform

from mmaction.registry import TRANSFORMS
from ..storage import Store
from ..storage.addresses import is_plain, is_remote
from .video import (READERS, BlankVideo, FrameFolder, PyAVReader,
                    UnreadableVideo)


@TRANSFORMS.register_module()
class VideoInit(BaseTransform):
    """Open a video, a segment of it, or a folder of frames.

    A ``filename`` may be the address of a file in a store (``http://``,
    ``s3://``, ...) or in a shard of videos; such a file is read as a whole.

    Required keys: ``filename``; or ``frame_dir``, ``filename_tmpl``,
    ``start_frame`` and ``stop_frame`` (both included). Optional keys:
    ``start_time`` and ``stop_time`` (seconds): the segment to offer;
    ``unreadable``: give a blank video instead.

    Added keys: ``video_reader``, ``total_frames`` (of the segment),
    ``start_index`` (0: frames count from the start of the segment),
    ``avg_fps`` (videos only).

    The name makes MMAction2's inferencer recognise the step.

    Args:
        decoder (str): ``'pyav'``, ``'decord'`` or ``'torchcodec'``. Defaults
            to ``'pyav'``, which is the fastest on a CPU and reads the most
            formats.
        backend_args (dict, optional): MMEngine's, for files elsewhere.
            Defaults to None: by the address, see
            :class:`cast_mmaction.storage.Store`.
        cache (dict, optional): ``folder`` on this machine and ``gigabytes``:
            what was fetched is kept there. Defaults to None.
        retries (int): Further attempts when a store fails. Defaults to 5.
        device (str): Where ``'torchcodec'`` decodes: ``'cpu'``, ``'cuda'``
            (NVDEC, on the GPU of this process) or ``'cuda:1'``. Frames come
            back to the CPU. Workers of the data loader must not be forked
            then: ``num_workers=0`` or ``multiprocessing_context='spawn'``.
            Defaults to ``'cpu'``.

    Raises:
        ValueError: If there is no such `decoder`, if it has no such `device`,
            or if `backend_args` hold a secret.
        ImportError: If ``'torchcodec'`` or its FFmpeg is not there.
        RuntimeError: If the GPU cannot be used in this process.
        UnreadableVideo: When the video cannot be opened.
        StoreError: When a store fails again and again, or refuses.
    """

    def __init__(self,
                 decoder: str = 'pyav',
                 backend_args: Optional[Dict[str, Any]] = None,
                 cache: Optional[Dict[str, Any]] = None,
                 retries: int = 5,
                 device: str = 'cpu') -> None:
        if decoder not in READERS:
            raise ValueError(f'decoder must be one of {sorted(READERS)}, '
                             f'but got {decoder!r}')
        self._reader = READERS[decoder]
        if device != 'cpu':
            if decoder != 'torchcodec' or not device.startswith('cuda'):
                raise ValueError(
                    "device must be 'cpu', or 'cuda' with "
                    f"decoder='torchcodec', but got {device!r} with "
                    f'{decoder!r}')
            self._reader = partial(self._reader, device=device)
        self.decoder, self.device = decoder, device
        self.store = Store(backend_args, cache, retries)
        # Files of this machine are opened where they are.
        self._always = bool(backend_args or cache)

    def transform(self, results: Dict) -> Dict:
        """Open the video."""
        if results.get('unreadable'):
            reader = BlankVideo()
        elif 'frame_dir' in results:
            if is_remote(results['frame_dir']):
                raise ValueError(f'{results["frame_dir"]}: frames are read '
                                 'from folders of this machine alone')
            reader = FrameFolder(results['frame_dir'],
                                 results['filename_tmpl'],
                                 results['start_frame'],
                                 results['stop_frame'])
        else:
            path, content = results['filename'], None
            if self._always or not is_plain(path):
                content = self.store.read(path)
            reader = self._reader(path, results.get('start_time'),
                                  results.get('stop_time'), content)
            results['avg_fps'] = reader.fps
        results['video_reader'] = reader
        results['total_frames'] = len(reader)
        results['start_index'] = 0
        return results

    def __repr__(self) -> str:
        return (f'{self.__class__.__name__}(decoder={self.decoder!r}, '
                f'device={self.device!r})')


@TRANSFORMS.register_module()
class VideoDecode(BaseTransform):
    """Decode the chosen frames, each once, in one pass.

    The clips of a test video overlap; a frame that several clips share is
    decoded once and shared between them.

    Required keys: ``video_reader``, ``frame_inds``. Added keys: ``imgs``
    (list of (H, W, 3) uint8 RGB arrays, one per entry of ``frame_inds``),
    ``original_shape``, ``img_shape`` (both (H, W), of these arrays). Where
    `planes` are left: ``imgs``, one array (T, 3 / 2 H, W), and ``conversion``,
    what it means; see `Planes`.

    Args:
        short_side (int, optional): Larger frames are scaled down to this
            short side, in pixels; smaller ones stay. The files are then worth
            what a copy of them in that size is. Defaults to None: as they
            are.
        planes (bool): Leave it to `DeferClip` and the device to make RGB of
            brightness and colours, where PyAV can (4:2:0 with 8 bits, not
            interlaced, not scaled). Only for pipelines in which no step
            between looks at ``imgs``. Defaults to False.

    Raises:
        ValueError: If `short_side` is not positive.
        UnreadableVideo: When a frame cannot be decoded.
    """

    def __init__(self,
                 short_side: Optional[int] = None,
                 planes: bool = False) -> None:
        if short_side is not None and short_side < 1:
            raise ValueError('VideoDecode: short_side must be at least 1, '
                             f'but got {short_side}')
        self.short_side = short_side
        self.planes = planes

    def transform(self, results: Dict) -> Dict:
        """Decode the frames and drop the reader."""
        reader = results.pop('video_reader')
        indices, places = np.unique(
            results['frame_inds'], return_inverse=True)
        places = places.reshape(-1)
        found = None
        if self.planes and isinstance(reader, PyAVReader):
            found = reader.read_planes(indices.tolist(), self.short_side)
        if found is not None:
            clip, results['conversion'] = found
            if (np.diff(places) != 1).any():  # some come twice
                clip = clip[places]
            results['imgs'] = clip
            height, width = clip.shape[1] * 2 // 3, clip.shape[2]
        else:
            frames = self._frames(reader, indices.tolist())
            results['imgs'] = [frames[place] for place in places]
            height, width = frames[0].shape[:2]
        results['original_shape'] = results['img_shape'] = height, width
        return results

    def _frames(self, reader: Any, indices: List[int]) -> List[np.ndarray]:
        frames = reader.read(indices, self.short_side)
        shapes = {frame.shape for frame in frames}
        if len(shapes) > 1:
            raise UnreadableVideo(reader.path,
                                  f'changes its size: {sorted(shapes)}')
        for frame in frames:  # shared: a step that writes must copy first
            frame.flags.writeable = False
        return frames

    def __repr__(self) -> str:
        return (f'{self.__class__.__name__}(short_side={self.short_side}, '
                f'planes={self.planes})')
