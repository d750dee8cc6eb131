"""Kinetics-400, Something-Something V2 and the like: lists of videos."""
import os.path as osp
from typing import Callable, Dict, List, Optional, Union

from mmaction.datasets import VideoDataset
from mmaction.registry import DATASETS
from ..class_names import read_class_names
from ..list_files import quoted, read_lines, whole_number
from .unreadable import SteadyReading, probe_files

MAX_PATH = 4096  # characters, Linux's limit


@DATASETS.register_module()
class VideoListDataset(SteadyReading, VideoDataset):
    """Videos from a text file with lines ``path label``.

    MMAction2's ``VideoDataset`` with its input checked, with random draws
    that depend on (seed, epoch, index) alone (with `EpochSampler`), and with
    unreadable videos replaced in training and counted as wrong in testing.

    Args:
        ann_file (str): The list. Paths may contain spaces.
        pipeline (list): Data transforms, beginning with `VideoInit`.
        num_classes (int, optional): Labels must be smaller. Defaults to
            None, the number of ``classes`` or, without these, unchecked.
        classes (str, optional): Names of the classes, one a line: a file, or
            a list that is shipped ('kinetics400', 'sthv2'). They become the
            data set's ``metainfo['classes']``. Defaults to None.
        max_refetch (int): Samples to try in place of an unreadable one in
            training. Defaults to 10.
        **kwargs: See ``mmaction.datasets.VideoDataset``, most of all
            ``data_prefix=dict(video=folder)`` and ``test_mode``. Also
            ``num_repeats``: clips of each video in a training batch, decoded
            once and augmented apart; ``batch_size`` counts videos.

    Raises:
        FileNotFoundError: If the list, or all its videos, are missing.
        ValueError: If the list is empty, or a line or label of it is wrong.
    """

    def __init__(self,
                 ann_file: str,
                 pipeline: List[Union[dict, Callable]],
                 num_classes: Optional[int] = None,
                 classes: Optional[str] = None,
                 max_refetch: int = 10,
                 **kwargs) -> None:
        if classes is not None:
            path = osp.join(kwargs.get('data_root') or '', classes)
            names = read_class_names(
                path if osp.isfile(path) else classes, num_classes)
            num_classes = len(names)
            kwargs['metainfo'] = dict(
                kwargs.get('metainfo') or {}, classes=names)
        super().__init__(
            ann_file,
            pipeline=pipeline,
            num_classes=num_classes,
            max_refetch=max_refetch,
            **kwargs)

    def load_data_list(self) -> List[Dict]:
        """Read and check the list."""
        folder = self.data_prefix['video'] or ''
        data_list = []
        for number, line in read_lines(self.ann_file):
            if line.strip():
                name, label = self._parse(line.strip(), number)
                data_list.append(
                    dict(filename=osp.join(folder, name), label=label))
        if not data_list:
            raise ValueError(f'{self.ann_file}: the list is empty')
        probe_files([data['filename'] for data in data_list], self.ann_file)
        return data_list

    def _parse(self, line: str, number: int) -> tuple:
        name, _, label = line.rpartition(self.delimiter)
        where = f'{self.ann_file}, line {number} ({quoted(line)})'
        if not name.strip():
            raise ValueError(f'{where}: not of the form "path label"')
        if len(name) > MAX_PATH:
            raise ValueError(f'{where}: longer than a path can be')
        label = whole_number(label, f'{where}: label')
        if self.num_classes is not None and label >= self.num_classes:
            raise ValueError(f'{where}: label {label} with num_classes='
                             f'{self.num_classes}')
        return name.strip(), label
