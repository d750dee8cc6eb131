"""EPIC-SOUNDS: what is to be heard in the videos of EPIC-KITCHENS-100."""
import csv
import os.path as osp
from typing import Callable, Dict, List, Optional, Union

from mmaction.datasets import BaseActionDataset
from mmaction.registry import DATASETS
from .epic_annotations import seconds
from .unreadable import SteadyReading, probe_files

COLUMNS = ('annotation_id', 'participant_id', 'video_id', 'start_timestamp',
           'stop_timestamp')


@DATASETS.register_module()
class EpicSoundsDataset(SteadyReading, BaseActionDataset):
    """One of 44 classes for a segment of an untrimmed video.

    Reads the official CSV files as they are; `VideoInit` and `AudioDecode`
    cut the segments out. A sample has ``annotation_id``, ``filename``,
    ``start_time``, ``stop_time`` and ``label`` (absent in the test split).

    Args:
        ann_file (str): ``EPIC_Sounds_train.csv``,
            ``EPIC_Sounds_validation.csv`` or
            ``EPIC_Sounds_recognition_test_timestamps.csv``.
        pipeline (list): Data transforms, beginning with `VideoInit`.
        data_prefix (dict): ``dict(videos=folder)``, that of
            EPIC-KITCHENS-100.
        path_template (str): Layout below that folder, with
            ``{participant_id}`` and ``{video_id}``.
        num_classes (int): Defaults to 44.
        max_refetch (int): Samples to try in place of an unreadable one in
            training. Defaults to 10.
        **kwargs: See ``mmengine.dataset.BaseDataset``; also ``num_repeats``,
            as of `VideoListDataset`.

    Raises:
        FileNotFoundError: If the list, or all its videos, are missing.
        ValueError: If a row is wrong; it is named.
    """

    def __init__(self,
                 ann_file: str,
                 pipeline: List[Union[dict, Callable]],
                 data_prefix: Dict[str, str],
                 path_template: str = '{participant_id}/videos/{video_id}.MP4',
                 num_classes: int = 44,
                 max_refetch: int = 10,
                 **kwargs) -> None:
        self.path_template = path_template
        super().__init__(
            ann_file,
            pipeline=pipeline,
            data_prefix=data_prefix,
            num_classes=num_classes,
            max_refetch=max_refetch,
            **kwargs)

    def load_data_list(self) -> List[Dict]:
        """Read and check the rows."""
        if not osp.exists(self.ann_file):
            raise FileNotFoundError(f'{self.ann_file}: there is no such file')
        with open(self.ann_file, newline='', encoding='utf-8') as file:
            reader = csv.DictReader(file)
            missing = set(COLUMNS) - set(reader.fieldnames or ())
            if missing:
                raise ValueError(f'{self.ann_file}: no column '
                                 f'{", ".join(sorted(missing))}')
            rows = list(reader)
        if not rows:
            raise ValueError(f'{self.ann_file}: there are no rows')
        names: Dict[int, str] = {}
        data_list = [
            self._sample(row, line, names) for line, row in enumerate(rows, 2)
        ]
        probe_files([data['filename'] for data in data_list], self.ann_file)
        if len(names) == self.num_classes:
            self._metainfo['classes'] = [
                names[i] for i in range(self.num_classes)
            ]
        return data_list

    def _sample(self, row: Dict[str, str], line: int,
                names: Dict[int, str]) -> Dict:
        where = f'{self.ann_file}, line {line} ({row["annotation_id"]})'
        try:
            start = seconds(row['start_timestamp'])
            stop = seconds(row['stop_timestamp'])
        except ValueError as error:
            raise ValueError(f'{where}: a wrong time ({error})')
        if stop <= start:
            raise ValueError(f'{where}: the stop time {stop} is not after the '
                             f'start time {start}')
        sample = dict(
            annotation_id=row['annotation_id'],
            filename=osp.join(self.data_prefix['videos'],
                              self.path_template.format(**row)),
            start_time=start,
            stop_time=stop)
        label = self._label(row, where, names)
        return sample if label is None else dict(sample, label=label)

    def _label(self, row: Dict[str, str], where: str,
               names: Dict[int, str]) -> Optional[int]:
        text = row.get('class_id')
        if text is None and self.test_mode:
            return None
        if text is None or not text.isdecimal():
            raise ValueError(f'{where}: class_id={text!r} is not a class '
                             'number')
        label = int(text)
        if label >= self.num_classes:
            raise ValueError(f'{where}: class_id={label} is not one of '
                             f'{self.num_classes} classes')
        name = names.setdefault(label, row.get('class', ''))
        if name != row.get('class', ''):
            raise ValueError(f'{where}: class {label} is called '
                             f'{row.get("class")!r} here and {name!r} before')
        return label

    def describe(self, idx: int) -> str:
        """The row of a sample, for messages about its video."""
        annotation = self.get_data_info(idx)['annotation_id']
        return f'{osp.basename(self.ann_file)} ({annotation}): '
