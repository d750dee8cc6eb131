"""EPIC-KITCHENS-100: a verb and a noun for every narrated action."""
import os
import os.path as osp
from typing import Any, Callable, Dict, List, Optional, Union

from mmaction.datasets import BaseActionDataset
from mmaction.registry import DATASETS
from ..list_files import quoted, read_lines, whole_number
from ..storage.addresses import is_remote, member_of
from .epic_annotations import (Narration, read_classes, read_column,
                               read_narrations)
from .unreadable import SteadyReading

# Where the published archives put things, below the folder of data_prefix.
OFFICIAL_PATHS = dict(
    clips='{narration_id}.mp4',
    videos='{participant_id}/videos/{video_id}.MP4',
    frames='{participant_id}/rgb_frames/{video_id}')
# Official files that are not lists of narrations: key -> column.
COLUMNS = dict(
    tail_verbs='verb',
    tail_nouns='noun',
    unseen_participants='participant_id')


@DATASETS.register_module()
class EpicKitchensDataset(SteadyReading, BaseActionDataset):
    """Verb and noun of the actions of EPIC-KITCHENS-100.

    Reads the official CSV files as they are, or lists
    ``narration_id,verb,noun``. A sample has the keys ``verb`` and ``noun``
    (absent in the test split), ``narration_id``, and what `VideoInit` needs.

    Args:
        ann_file (str): ``EPIC_100_train.csv``, ``EPIC_100_validation.csv``,
            ``EPIC_100_test_timestamps.csv`` or a list.
        pipeline (list): Data transforms, beginning with `VideoInit`.
        data_prefix (dict): One folder, named by what it holds: ``clips``
            (trimmed, ``P01_11_0.mp4``), ``videos`` (untrimmed,
            ``P01/videos/P01_11.MP4``; the segment of an action is cut out
            while reading) or ``frames``
            (``P01/rgb_frames/P01_11/frame_0000000001.jpg``). Entries that are
            None do not count.
        path_template (str, optional): Another layout below that folder, with
            ``{narration_id}``, ``{participant_id}`` and ``{video_id}``.
        shards (str, optional): For ``clips`` in shards, the list of them,
            lines ``address narration_id``.
        filename_tmpl (str): Names of the frames of ``frames``, numbered as in
            the CSV. Defaults to ``'frame_{:010d}.jpg'``.
        class_files (dict, optional): Official files by ``verb_classes``,
            ``noun_classes``, ``tail_verbs``, ``tail_nouns`` and
            ``unseen_participants``. They become the data set's ``metainfo``
            (names under ``verb_classes``, super-classes under
            ``verb_categories``), where the metric finds them.
        num_verbs (int): Defaults to 97.
        num_nouns (int): Defaults to 300.
        max_refetch (int): Samples to try in place of an unreadable one in
            training. Defaults to 10.
        **kwargs: See ``mmengine.dataset.BaseDataset``; also ``num_repeats``,
            as of `VideoListDataset`.

    Raises:
        ValueError: If a row or an option is wrong.
        FileNotFoundError: If a list or a video is missing.
    """

    def __init__(self,
                 ann_file: str,
                 pipeline: List[Union[dict, Callable]],
                 data_prefix: Dict[str, str],
                 path_template: Optional[str] = None,
                 shards: Optional[str] = None,
                 filename_tmpl: str = 'frame_{:010d}.jpg',
                 class_files: Optional[Dict[str, str]] = None,
                 num_verbs: int = 97,
                 num_nouns: int = 300,
                 max_refetch: int = 10,
                 **kwargs) -> None:
        # The command line can set an entry to None, but not remove it.
        data_prefix = {k: v for k, v in data_prefix.items() if v is not None}
        if len(data_prefix) != 1 or not set(data_prefix) <= {*OFFICIAL_PATHS}:
            raise ValueError(
                f'data_prefix needs one of {", ".join(OFFICIAL_PATHS)}, but '
                f'got {dict(data_prefix)}')
        self.source, = data_prefix
        self.path_template = path_template or OFFICIAL_PATHS[self.source]
        if shards is not None and self.source != 'clips':
            raise ValueError(f'shards={shards!r} hold clips, so data_prefix '
                             f'needs clips instead of {self.source}')
        self.addresses = None if shards is None else _read_shards(
            osp.join(kwargs.get('data_root') or '', shards))
        self.filename_tmpl = filename_tmpl
        self.num_verbs = num_verbs
        self.num_nouns = num_nouns
        if any(_type_of(step) == 'PackActionInputs' for step in pipeline):
            raise ValueError('PackActionInputs would drop verb and noun: end '
                             'the pipeline with PackVerbNounInputs')
        super().__init__(
            ann_file,
            pipeline=pipeline,
            data_prefix=data_prefix,
            metainfo=self._read_class_files(
                class_files or {}, kwargs.get('data_root', '')),
            max_refetch=max_refetch,
            **kwargs)

    def _read_class_files(self, files: Dict[str, str],
                          data_root: str) -> Dict[str, Any]:
        counts = dict(
            verb_classes=self.num_verbs, noun_classes=self.num_nouns)
        meta: Dict[str, Any] = {}
        for key, path in files.items():
            path = osp.join(data_root or '', path)
            if key in counts:
                classes = read_classes(path)
                if len(classes['names']) != counts[key]:
                    raise ValueError(
                        f'{path}: {len(classes["names"])} classes, but the '
                        f'data set has {counts[key]}')
                meta[key] = classes['names']
                meta[key.replace('classes', 'categories')] = (
                    classes['categories'])
            elif key in COLUMNS:
                meta[key] = read_column(path, COLUMNS[key])
            else:
                raise ValueError(
                    f'class_files has no {key!r}; it takes '
                    f'{", ".join([*counts, *COLUMNS])}')
        for key in ('tail_verbs', 'tail_nouns'):
            if key in meta:
                meta[key] = [
                    whole_number(number, f'{files[key]}: a class')
                    for number in meta[key]
                ]
        return meta

    def load_data_list(self) -> List[Dict]:
        """Read and check the rows, and that their videos are there."""
        narrations = read_narrations(self.ann_file, self.num_verbs,
                                     self.num_nouns)
        data_list = [self._sample(narration) for narration in narrations]
        self._check_files(data_list)
        return data_list

    def _sample(self, narration: Narration) -> Dict:
        where = f'{self.ann_file} ({narration.narration_id})'
        sample = dict(narration_id=narration.narration_id)
        if narration.verb is not None:
            sample.update(verb=narration.verb, noun=narration.noun)
        elif not self.test_mode:
            raise ValueError(f'{where}: no verb and noun, which only a data '
                             'set with test_mode=True can do without')
        name = self.path_template.format(**narration._asdict())
        if self.addresses is not None:
            name = self.addresses.get(narration.narration_id)
            if name is None:
                raise ValueError(f'{where}: it is in no shard')
        path = osp.join(self.data_prefix[self.source], name)
        if self.source != 'clips' and narration.start_time is None:
            raise ValueError(
                f'{where}: no time stamps, so it needs trimmed clips '
                f"(data_prefix=dict(clips=...)), not {self.source}")
        if self.source == 'frames':
            sample.update(
                frame_dir=path,
                filename_tmpl=self.filename_tmpl,
                start_frame=narration.start_frame,
                stop_frame=narration.stop_frame)
        else:
            sample['filename'] = path
        if self.source != 'clips':  # of frames, where their sound is
            sample.update(
                start_time=narration.start_time,
                stop_time=narration.stop_time)
        return sample

    def _check_files(self, data_list: List[Dict]) -> None:
        """Every video of this machine must be there. Looks once into every
        folder."""
        listed: Dict[str, set] = {}
        for sample in data_list:
            path = sample.get('filename') or sample['frame_dir']
            if is_remote(path):
                continue
            member = member_of(path)
            folder, name = osp.split(member.shard if member else path)
            if folder not in listed:
                listed[folder] = set(
                    os.listdir(folder) if osp.isdir(folder) else ())
            if name not in listed[folder]:
                raise FileNotFoundError(
                    f'{path}: missing, but {self.ann_file} has '
                    f'{sample["narration_id"]} in it. Is data_prefix right?')

    def describe(self, idx: int) -> str:
        """The row of a sample, for messages about its video."""
        narration = self.get_data_info(idx)['narration_id']
        return f'{osp.basename(self.ann_file)} ({narration}): '


def _read_shards(path: str) -> Dict[str, str]:
    """Address by narration."""
    addresses = {}
    for number, line in read_lines(path):
        address, _, name = line.strip().rpartition(' ')
        if line.strip() and member_of(address) is None:
            raise ValueError(f'{path}, line {number}: {quoted(line.strip())} '
                             'is not of the form "address narration_id"')
        addresses[name] = address
    return addresses


def _type_of(step: Union[dict, Callable]) -> str:
    """The class of a pipeline step, given as a config or built."""
    name = step['type'] if isinstance(step, dict) else type(step).__name__
    return name.rpartition('.')[2] if isinstance(name, str) else name.__name__
