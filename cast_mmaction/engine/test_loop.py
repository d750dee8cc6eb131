"""A test that goes on after it was stopped.

The unit is the batch. A test is cut into batches once, as its first processes
took the samples in turn; those that are done are kept, and the others done by
whatever processes there are then. So each sample is computed in the company
that it has in an undisturbed test, once, and its scores are the same to the
bit.
"""
import copy
import hashlib
import math
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Set

import torch
from mmaction.registry import LOOPS
from mmengine.dataset import DefaultSampler
from mmengine.dist import (all_gather_object, broadcast_object_list, get_rank,
                           get_world_size, is_main_process)
from mmengine.evaluator import BaseMetric
from mmengine.evaluator.metric import _to_cpu
from mmengine.model import is_model_wrapper
from mmengine.runner import TestLoop
from mmengine.runner.loops import _parse_losses
from torch.utils.data import BatchSampler, DataLoader

from ..evaluation.dumps import read_samples, write_pickle
from ..process_group import first_on_machine, gather
from .same_run import describe_list, flatten, versions

FOLDER = 'test_parts'
COMPARED = ('model', 'test_dataloader', 'test_cfg', 'test_evaluator')
KINDS = ('config', 'checkpoint', 'list')  # digests in a folder's name


@LOOPS.register_module()
class SurvivingTestLoop(TestLoop):
    """MMEngine's test, which can be continued and counts each sample once.

    The results of finished batches go to ``<work_dir>/test_parts`` now and
    then, and when :class:`PreemptionHook` hears of a signal. The same test
    (config, checkpoint, list), started again, also on other numbers of
    processes and on machines without a common disk, does what is left;
    metrics and dumps are those of an undisturbed test. Then the parts are
    removed. Parts of other tests are named and left alone.

    A sampler whose order depends on the processes, and metrics that keep more
    than their ``results``, or more than plain data in these, are tested as
    MMEngine does, from the start each time; the log says so.

    Args:
        keep_every (float, optional): Seconds after which finished batches are
            written. None keeps nothing. Defaults to 60.
        args, kwargs: See :class:`mmengine.runner.TestLoop`.
    """

    computed_in = 'float32'
    _folder: Optional[Path] = None

    def __init__(self,
                 *args,
                 keep_every: Optional[float] = 60.,
                 **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.keep_every = keep_every
        self.metrics: List[BaseMetric] = self.evaluator.metrics
        self.plan = Plan.of(self.dataloader)
        if self.plan is not None:
            # Past torch's own guard: nothing has been loaded yet.
            vars(self.dataloader)['batch_sampler'] = self.plan

    @property
    def keeps(self) -> bool:
        """Whether what is done is kept when the test is stopped."""
        return self.plan is not None and self.keep_every is not None

    def run(self) -> dict:
        """Test what is left; the figures are of all samples."""
        runner = self.runner
        if self.plan is None:
            runner.logger.info('this test starts anew if it is stopped: its '
                               'order depends on the number of processes')
            return super().run()
        self._done: Dict[int, List[list]] = {}
        self._unwritten: List[int] = []
        self._written = time.monotonic()
        if not runner.cfg.get('test_dataloader'):
            self.keep_every = None  # nothing tells this test from others
        if self.keep_every is not None:
            self._folder = self._own_folder()
        self._go_on()
        runner.call_hook('before_test')
        runner.call_hook('before_test_epoch')
        runner.model.eval()
        self.test_loss.clear()
        for idx, batch in enumerate(self.dataloader):
            self.run_iter(idx, batch)
        self._bring_together()
        metrics = self.evaluator.evaluate(len(self.dataloader.dataset))
        if self.test_loss:
            metrics.update(_parse_losses(self.test_loss, 'test'))
        if self._folder is not None:  # figures and files of metrics are there
            shutil.rmtree(self._folder, ignore_errors=True)
            with suppress(OSError):  # others' parts are in it
                self._folder.parent.rmdir()
        runner.call_hook('after_test_epoch', metrics=metrics)
        runner.call_hook('after_test')
        return metrics

    def run_iter(self, idx: int, data_batch: Any) -> None:
        """Test a batch, and take the metrics' results of it."""
        if self.plan is None:
            return super().run_iter(idx, data_batch)
        sizes = _sizes(self.metrics) if not self._done else None
        super().run_iter(idx, data_batch)
        results = [_to_cpu(metric.results) for metric in self.metrics]
        for metric in self.metrics:
            metric.results = []
        if idx >= self.plan.wanted:  # to keep the others company
            return
        number = self.plan.numbers[idx]
        self._done[number] = results
        if self.keep_every is None:
            return
        if self.test_loss or sizes not in (None, _sizes(self.metrics)):
            self._keep_nothing('losses or metrics keep more than results')
            return
        self._unwritten.append(number)
        if time.monotonic() - self._written >= self.keep_every:
            self.keep()

    def keep(self) -> None:
        """Write what has been done since the last time."""
        if self.plan is None or not self._unwritten:
            return
        path = self._folder / f'{self._unwritten[0]:09d}.pkl'
        path.parent.mkdir(parents=True, exist_ok=True)
        part = [dict(processes=self.plan.processes, of=len(self.plan.cut))]
        part += [dict(batch=x, results=self._done[x]) for x in self._unwritten]
        write_pickle(path, part)
        try:
            if len(self._done) == len(self._unwritten):  # the first part
                read_samples(path)
        except ValueError as error:
            path.unlink()
            self._keep_nothing(str(error))
        self._unwritten.clear()
        self._written = time.monotonic()

    def _keep_nothing(self, reason: str) -> None:
        self.runner.logger.warning(
            f'this test starts anew if it is stopped: {reason}')
        self._unwritten.clear()
        self.keep_every = None

    def _own_folder(self) -> Path:
        """Where the parts of this test are, on this machine."""
        name = [None]
        if is_main_process():
            name = ['-'.join(_identity(self)[kind] for kind in KINDS)]
        broadcast_object_list(name)
        folder = Path(self.runner.work_dir, FOLDER)
        if first_on_machine():
            for other in sorted(folder.glob('*')):
                if other.name != name[0]:
                    self._name_other(other, name[0])
        return folder / name[0]

    def _name_other(self, other: Path, name: str) -> None:
        differs = ' and '.join(
            kind for kind, theirs, ours in zip(KINDS, other.name.split('-'),
                                               name.split('-'))
            if theirs != ours)
        self.runner.logger.warning(
            f'{other} holds parts of another test (another {differs}): they '
            'are not used. Delete that folder if the test is not to go on')

    def _go_on(self) -> None:
        """Read what is done, and share out the rest."""
        # All parts of a machine are on the disk that its first process sees.
        kept = self._read() if self._folder and first_on_machine() else {}
        found = [None] if not kept else [kept.pop('processes'), sorted(kept)]
        taken: Set[int] = set()
        processes = None
        for rank, told in enumerate(all_gather_object(found)):
            if told[0] is None or processes not in (None, told[0]):
                continue  # nothing there, or cut in another way
            processes = told[0]
            own = set(told[1]) - taken  # of a common disk: the first one's
            taken |= own
            if rank == get_rank():
                self._done = {number: kept[number] for number in own}
        self.plan.divide(processes or get_world_size(), taken)
        if taken:
            self.runner.logger.warning(
                f'the test goes on: {len(taken)} of {len(self.plan.cut)} '
                f'batches are done, see {self._folder}')

    def _read(self) -> dict:
        """The parts in the folder: results by batch, and the processes that
        it was cut for; empty if there are none."""
        found: dict = {}
        for path in sorted(self._folder.glob('*.pkl')):
            try:
                head, *batches = read_samples(path)
                part = {x['batch']: x['results'] for x in batches}
                if not found:
                    found['processes'] = head['processes']
                if found['processes'] != head['processes'] or {
                        len(x) for x in part.values()} != {len(self.metrics)}:
                    raise ValueError(f'{path}: a part of another test')
            except (ValueError, LookupError) as error:
                self.runner.logger.warning(
                    f'{path} is not used, its batches are done again: {error}')
                continue
            found.update(part)
        return found if len(found) > 1 else {}

    def _bring_together(self) -> None:
        """Give the first process's metrics all results, in order."""
        if get_world_size() > 1:
            self.keep()  # nothing is lost while one waits for the others
        for i, metric in enumerate(self.metrics):
            mine = [(number, results[i])
                    for number, results in sorted(self._done.items())]
            parts = gather(mine)
            metric.results = [] if parts is None else self._in_order(
                dict(item for part in parts for item in part))
        self._done.clear()

    def _in_order(self, found: Dict[int, list]) -> list:
        """Results as one process would have found them."""
        placed = []
        for number, results in found.items():
            places = self.plan.cut[number]
            if len(results) != len(places):  # a metric that leaves some out
                places = [places[0]] * len(results)
            placed += zip(places, results)
        placed.sort(key=lambda x: x[0])
        return [result for _, result in placed]


class Plan(BatchSampler):
    """All batches of a test, and which of them this process does.

    Args:
        sampler (DefaultSampler): Whose order is followed.
        batch_size (int): Samples in a batch; fewer in the last ones.
    """

    def __init__(self, sampler: DefaultSampler, batch_size: int) -> None:
        super().__init__(sampler, batch_size, drop_last=False)
        self.divide(get_world_size(), set())

    @classmethod
    def of(cls, loader: DataLoader) -> Optional['Plan']:
        """That of a loader; None if its order is not known beforehand."""
        batches = getattr(loader, 'batch_sampler', None)
        if isinstance(batches, cls):
            return batches
        if type(batches) is not BatchSampler or batches.drop_last or \
                not isinstance(batches.sampler, DefaultSampler):
            return None
        return cls(batches.sampler, batches.batch_size)

    def divide(self, processes: int, done: Set[int]) -> None:
        """Share out what is left of the batches.

        Args:
            processes (int): That take samples in turn: which samples are
                together in a batch. Batch k of process r of P has the number
                k * P + r.
            done (set[int]): Numbers.
        """
        self.processes = processes
        samples, step = len(self.sampler.dataset), processes * self.batch_size
        self.cut: Dict[int, range] = {}  # places in the order of samples
        for begin in range(0, samples, step):
            for rank in range(min(processes, samples - begin)):
                self.cut[begin // self.batch_size + rank] = range(
                    begin + rank, min(begin + step, samples), processes)
        left = [number for number in self.cut if number not in done]
        self.numbers = left[get_rank()::get_world_size()]
        self.wanted = len(self.numbers)
        # A model in parts needs all processes for every batch.
        length = math.ceil(len(left) / get_world_size())
        self.numbers += left[-1:] * (length - self.wanted)

    def __iter__(self) -> Iterator[list]:
        alone = copy.copy(self.sampler)
        alone.rank, alone.world_size = 0, 1
        alone.num_samples = alone.total_size = len(alone.dataset)
        order = list(alone)
        for number in self.numbers:
            yield [order[place] for place in self.cut[number]]

    def __len__(self) -> int:
        return len(self.numbers)


def _identity(loop: SurvivingTestLoop) -> Dict[str, str]:
    """Digests of all that results depend on."""
    cfg, model = loop.runner.cfg, loop.runner.model
    model = model.module if is_model_wrapper(model) else model
    weights = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        weights.update(f'{name} {tensor.dtype} {tuple(tensor.shape)}'.encode())
        if hasattr(tensor, 'to_local'):  # a model in parts: the first one's
            tensor = tensor.to_local()
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        weights.update(flat.view(torch.uint8).numpy())
    sampler = loop.plan.sampler
    order = f'{sampler.seed} {sampler.epoch}' if sampler.shuffle else ''
    parts = {key: cfg.get(key) for key in COMPARED}
    config = f'{versions()} {loop.computed_in} {flatten(parts)}'
    samples = f'{describe_list(loop.dataloader.dataset)} {order}'
    return dict(
        config=_short(hashlib.sha256(config.encode())),
        checkpoint=_short(weights),
        list=_short(hashlib.sha256(samples.encode())))


def _short(digest) -> str:
    return digest.hexdigest()[:12]


def _sizes(metrics: List[BaseMetric]) -> List[int]:
    """How much metrics keep beside their results."""
    return [
        len(value) for metric in metrics
        for name, value in vars(metric).items()
        if name != 'results' and isinstance(value, (list, dict, set))
    ]
