"""What happens to a sample whose video cannot be read.

Training takes another sample in its place, always the same one, and says so.
Validation and testing never do: the sample stays, marked ``unreadable``, and
the metrics count it as wrong.
"""
import logging
import os.path as osp
from collections import Counter
from contextlib import nullcontext
from typing import Dict, List, Optional, Sequence, Union

import numpy as np
from mmengine.dataset import Compose
from mmengine.dist import all_gather_object, is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner

from mmaction.registry import HOOKS
from ..atomic_write import atomic_write
from ..repeats import RepeatedPipeline, Repeats
from ..storage.addresses import is_remote, member_of
from .loading import VideoDecode
from .seeding import SampleIndex, seeded
from .video import UnreadableVideo

# Files looked for when a data set is made: enough to see a wrong folder.
NUM_PROBES = 20


class SteadyReading:
    """Mixin for data sets: seeded samples, and unreadable videos handled.

    Put it before the host's data set class. At most ``max_refetch`` (host
    option, here 10 by default) other samples are tried in training.

    A replaced training sample carries the metainfo ``replaces`` (list of
    str, what was wrong; the first of several clips alone); an unreadable test
    sample ``unreadable`` (True) and ``unreadable_reason`` (str).

    Args:
        num_repeats (int): Clips of each video in a training batch: it is
            decoded once, up to `VideoDecode`, and what follows is done anew
            for every clip. ``batch_size`` and the learning rate count videos,
            so a batch has ``num_repeats`` times as many clips; they need no
            collate function of their own. Defaults to 1.
        **kwargs: Of the host's class.

    Raises:
        ValueError: If `num_repeats` is no number of clips, or more than one
            in testing or of a pipeline without `VideoDecode`.
        RuntimeError: If too many samples in a row are unreadable.
    """

    def __init__(self, *args, num_repeats: int = 1, **kwargs) -> None:
        where = f'num_repeats={num_repeats!r} of a {type(self).__name__}'
        if type(num_repeats) is not int or num_repeats < 1:
            raise ValueError(f'{where}: use a whole number from 1')
        super().__init__(*args, **kwargs)
        self.num_repeats = num_repeats
        if num_repeats == 1:
            return
        if self.test_mode:
            raise ValueError(f'{where} with test_mode=True: clips are '
                             'repeated in training alone')
        steps = self.pipeline.transforms
        decoding = [isinstance(step, VideoDecode) for step in steps]
        if not any(decoding):
            raise ValueError(f'{where}: its pipeline has no VideoDecode, '
                             'behind which the clips part')
        behind = decoding.index(True) + 1
        self.pipeline = RepeatedPipeline(
            Compose(steps[:behind]), Compose(steps[behind:]), num_repeats)

    def describe(self, idx: int) -> str:
        """What to say before the file name when sample `idx` is unreadable."""
        return ''

    def prepare_data(self, idx: int) -> Union[Dict, Repeats]:
        """Run the pipeline on sample `idx`."""
        if self.test_mode:
            return self._prepare_test_data(idx)
        place, reasons = int(idx), []
        for attempt in range(self.max_refetch + 1):
            if isinstance(idx, SampleIndex):
                source = idx.draws(attempt)
                draws = seeded(source)
            else:  # a sampler of the host: draw as the host does
                source = np.random.SeedSequence([int(idx), attempt])
                draws = nullcontext()
            try:
                with draws:
                    data = super().prepare_data(place)
            except UnreadableVideo as error:
                reasons.append(f'{self.describe(place)}{error}')
                print_log(
                    f'unreadable, another sample is taken: {reasons[-1]}',
                    logger='current',
                    level=logging.WARNING)
                step = np.random.default_rng(source).integers(len(self))
                place = int(place + max(step, 1)) % len(self)
                continue
            if reasons:
                clip = data[0] if isinstance(data, Repeats) else data
                clip['data_samples'].set_metainfo(dict(replaces=reasons))
            return data
        raise RuntimeError(
            f'{len(reasons)} samples in a row are unreadable. Are ann_file '
            f'{self.ann_file!r} and data_prefix {self.data_prefix} right? '
            f'First: {reasons[0]}')

    def _prepare_test_data(self, idx: int) -> Dict:
        try:
            return super().prepare_data(idx)
        except UnreadableVideo as error:
            reason = f'{self.describe(idx)}{error}'
        print_log(
            f'unreadable, counted as wrong: {reason}',
            logger='current',
            level=logging.WARNING)
        data = self.pipeline(dict(self.get_data_info(idx), unreadable=True))
        data['data_samples'].set_metainfo(
            dict(unreadable=True, unreadable_reason=reason))
        return data


def probe_files(paths: Sequence[str], ann_file: str) -> None:
    """Look for some of the files of a list, but for those in other places.

    Raises:
        FileNotFoundError: If none of them is there.
    """
    probes = paths[::max(len(paths) // NUM_PROBES, 1)]
    if is_remote(probes[0]):
        return
    members = (member_of(path) for path in probes)
    probes = [member.shard if member else path
              for member, path in zip(members, probes)]
    if not any(osp.exists(path) for path in probes):
        raise FileNotFoundError(
            f'{ann_file}: none of {len(probes)} files looked for exists, '
            f'such as {probes[0]}. Does data_prefix name their folder?')


class TooManyUnreadable(RuntimeError):
    """So much of the data cannot be read that a training means little."""


@HOOKS.register_module()
class UnreadableVideoHook(Hook):
    """Count the unreadable videos of all processes and list them.

    After every epoch the number is logged and
    ``<work_dir>/unreadable_videos.txt`` is written: how often, and why. A
    training that would go on with too few of its videos is stopped.

    Args:
        max_share (float): The largest share of an epoch's training samples
            that may be replaced. It is looked at every 100 batches and at
            the end of the epoch. Defaults to 0.1.

    Raises:
        ValueError: If `max_share` is no share.
        TooManyUnreadable: On all processes, when the list is written.
    """
    file_name = 'unreadable_videos.txt'
    interval = 100  # batches: a failing disk should not cost an epoch

    def __init__(self, max_share: float = 0.1) -> None:
        if not 0 <= max_share <= 1:
            raise ValueError('UnreadableVideoHook: max_share is from 0 to 1, '
                             f'got {max_share}')
        self.max_share = max_share
        self.reasons: Counter = Counter()
        self._replaced = 0  # samples of this epoch, on this process

    def before_train_epoch(self, runner: Runner) -> None:
        """Count from 0."""
        self._replaced = 0

    def _collect(self, data_batch: Optional[dict]) -> None:
        for sample in (data_batch or {}).get('data_samples', []):
            self.reasons.update(sample.get('replaces', []))
            if sample.get('unreadable'):
                self.reasons[sample.unreadable_reason] += 1

    def after_train_iter(self,
                         runner: Runner,
                         batch_idx: int,
                         data_batch: Optional[dict] = None,
                         outputs: Optional[dict] = None) -> None:
        """Note the replaced samples of a batch."""
        self._collect(data_batch)
        self._replaced += sum('replaces' in sample for sample in
                              (data_batch or {}).get('data_samples', []))
        if (batch_idx + 1) % self.interval == 0:
            self._judge(runner)

    def after_val_iter(self,
                       runner: Runner,
                       batch_idx: int,
                       data_batch: Optional[dict] = None,
                       outputs: Optional[Sequence] = None) -> None:
        """Note the unreadable samples of a batch."""
        self._collect(data_batch)

    def after_test_iter(self,
                        runner: Runner,
                        batch_idx: int,
                        data_batch: Optional[dict] = None,
                        outputs: Optional[Sequence] = None) -> None:
        """Note the unreadable samples of a batch."""
        self._collect(data_batch)

    def after_train_epoch(self, runner: Runner) -> None:
        """Report, and stop if it was too much."""
        self._judge(runner)
        self._report(runner)

    def after_val_epoch(self,
                        runner: Runner,
                        metrics: Optional[Dict[str, float]] = None) -> None:
        """Report."""
        self._report(runner)

    def after_test_epoch(self,
                         runner: Runner,
                         metrics: Optional[Dict[str, float]] = None) -> None:
        """Report."""
        self._report(runner)

    def _judge(self, runner: Runner) -> None:
        """Stop all processes if too much of the epoch was replaced."""
        replaced = sum(all_gather_object(self._replaced))
        samples = len(runner.train_dataloader.dataset)
        if replaced <= self.max_share * samples:
            return
        self._report(runner)
        raise TooManyUnreadable(
            f'{replaced} of the {samples} samples of epoch {runner.epoch + 1} '
            'had to be replaced so far, more than max_share='
            f'{self.max_share:g} allows. The videos are listed in '
            f'{osp.join(runner.work_dir, self.file_name)}; tools/data/'
            'check_videos.py finds all of them. To go on all the same, raise '
            'default_hooks.unreadable_videos.max_share')

    def _report(self, runner: Runner) -> None:
        report_reasons(runner, self.reasons, self.file_name,
                       'could not be read')


def report_reasons(runner: Runner, reasons: Counter, file_name: str,
                   what: str) -> None:
    """Log how many videos have a fault, on all processes, and list them.

    Args:
        runner (Runner): Whose work dir gets the list.
        reasons (Counter): How often each fault was met on this process.
        file_name (str): Name of the list.
        what (str): What is wrong with the videos.
    """
    parts: List[Counter] = all_gather_object(reasons)
    total = sum(parts, Counter())
    if not total or not is_main_process():
        return
    path = osp.join(runner.work_dir, file_name)
    with atomic_write(path) as temporary:
        temporary.write_text(''.join(
            f'{count}\t{reason}\n'
            for reason, count in total.most_common()))
    runner.logger.warning(
        f'{len(total)} videos {what} so far ({sum(total.values())} times); '
        f'they are listed in {path}')
