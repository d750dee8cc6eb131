"""Checkpoints that survive a kill at any moment, as plain data."""
import json
import logging
import os
import re
import shutil
from collections import OrderedDict, deque
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Optional, Sequence

import numpy as np
import torch
from mmaction.registry import HOOKS
from mmengine.dist import (all_gather_object, all_reduce,
                           broadcast_object_list, is_main_process)
from mmengine.fileio import LocalBackend, get_file_backend
from mmengine.hooks import CheckpointHook
from mmengine.logging import HistoryBuffer, print_log

from ..atomic_write import atomic_write
from ..checkpoints import CheckpointError, trained_only, verify_experts
from ..process_group import first_on_machine, from_process, this_process
from ..version import __version__
from .newest import POINTER, check_whole, find_newest
from .offers import LAUNCH, Offer, choose, make_offer
from .resume import INTERRUPTED, batches, fit_to_run, require_training
from .sharding import check_strategy, local, whole_state
from .training_state import (SUFFIX, read_state, remove_older_states,
                             write_state)

PREEMPTED = 'preempted.pth'
BEST = 'best_checkpoints.json'
WRAPPED = 'module.'


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """MMEngine's checkpoint hook, in an order in which nothing gets lost.

    - A file is complete under a temporary name before it gets its own; then
      ``last_checkpoint`` points at it; then the outdated one is deleted.
    - The best checkpoint is a link to its epoch's file, not another copy
      (it is written on its own if that epoch was not saved), and
      ``best_checkpoints.json`` remembers which it is.
    - The message hub is stored as numbers, strings and tensors: the file
      loads with ``torch.load``'s ``weights_only=True``.
    - ``--resume`` takes the newest checkpoint that is whole (see
      :mod:`.newest`) and goes on where it was in clips, with the options of
      the config (see :mod:`.resume`). What a kill has left over is removed.
      Only one process needs to have it (see :mod:`.offers`).
    - Weights that are not finite are not saved.

    Args:
        trainable_only (bool): Store what is trained, and of frozen experts
            where they come from and their SHA-256. CAST-B then takes 182 MB
            instead of 0.87 GB. The optimizer goes into a file of its own,
            ``epoch_3.state.pth``, of which the newest two are kept. Both kinds
            of checkpoints are resumed whatever is set here. Defaults to
            False.
        kwargs: Those of :class:`mmengine.hooks.CheckpointHook`.

    Raises:
        ValueError: At the start of a training that saves to something other
            than a local folder, or by a strategy of its own.
        CheckpointError: If what is to be resumed is damaged, or is of another
            training.
        FloatingPointError: Instead of saving weights that are not finite.
    """

    def __init__(self, trainable_only: bool = False, **kwargs) -> None:
        super().__init__(**kwargs)
        self.trainable_only = trainable_only
        self._best: Optional[dict] = None  # known once a training starts

    def before_run(self, runner) -> None:
        """Choose the checkpoint to resume from, together."""
        check_strategy(runner)
        if not runner._resume and LAUNCH not in os.environ:
            return
        offer = self._offer(runner) if first_on_machine() else None
        source, chosen = choose(all_gather_object(offer), runner._resume)
        if chosen is None:
            return
        if chosen.problem:
            raise CheckpointError(chosen.problem)
        runner._load_from, runner.checkpoint_source = chosen.path, source
        # The host would have each process look for itself.
        runner._resume = chosen.path is not None

    def _offer(self, runner) -> Offer:
        """What this machine has: of this launch, else what was asked for."""
        mine, named = None, runner._resume and runner._load_from is not None
        if LAUNCH in os.environ or not named:
            mine = make_offer(*self._newest(runner), this_process())
        if named and not (mine and mine.own):
            mine = make_offer(*self._named(runner._load_from), this_process())
        return mine

    def _named(self, path: str) -> tuple:
        """Path, why it does not serve, and what it says of its training."""
        if not os.path.exists(path):  # a URL, or the host's message
            return path, '', {}
        try:
            return path, '', check_whole(Path(path))
        except CheckpointError as error:
            return None, str(error), {}

    def _newest(self, runner) -> tuple:
        """The same of the newest in the work dir, if there is one."""
        search = find_newest(
            Path(runner.work_dir), self._folder(runner), self.filename_tmpl,
            [PREEMPTED])
        for reason in search.skipped:
            runner.logger.warning(f'not resumed: {reason}')
        if search.path is not None:
            return str(search.path), '', search.meta
        problem = ('no checkpoint is whole: ' + '; '.join(search.skipped) +
                   '. To start anew, leave out --resume; with load_from, from '
                   'the weights of a file') if search.skipped else ''
        return None, problem, {}

    def _folder(self, runner) -> Path:
        """Where :meth:`before_train` will put checkpoints."""
        if self.out_dir in (None, runner.work_dir):
            return Path(runner.work_dir)
        return Path(self.out_dir, os.path.basename(
            runner.work_dir.rstrip(os.sep)))

    def before_train(self, runner) -> None:
        """Find what an interrupted run has left."""
        folder = str(self.out_dir or runner.work_dir)
        if not isinstance(get_file_backend(folder), LocalBackend):
            raise ValueError(
                f'SafeCheckpointHook saves to a local folder, not to {folder}')
        super().before_train(runner)
        os.makedirs(self.out_dir, exist_ok=True)
        self._best = {}
        if runner.iter > 0:
            info = runner.message_hub.runtime_info
            # All processes go by what the first one sees.
            found = [self._read_best(runner, info.get('best', {})),
                     self._path_of_last(info)]
            broadcast_object_list(found)
            self._best, self.last_ckpt = found
            self._tidy(info.get('outdated_ckpts', []))
        if self.trainable_only and is_main_process():
            verify_experts(runner.model)

    def _path_of_last(self, info: dict) -> Optional[str]:
        """The last checkpoint of an epoch if it is in this folder."""
        path = Path(self.out_dir, Path(info.get('last_ckpt', 'none')).name)
        return str(path) if path.is_file() else None

    def _read_best(self, runner, stored: dict) -> dict:
        """The record of the best, or what the checkpoint knows of it."""
        record = Path(self.out_dir, BEST)
        if not record.is_file():
            return stored
        try:
            best = json.loads(record.read_text())
            return {key: dict(score=float(x['score']), file=str(x['file']))
                    for key, x in best.items()}
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            runner.logger.warning(
                f'{record} is damaged ({error}); the best is taken from the '
                f'checkpoint: {stored or "none so far"}')
            return stored

    def _tidy(self, outdated: Sequence[str]) -> None:
        """Remove what a killed run has not come to removing."""
        if not is_main_process():
            return
        folder = Path(self.out_dir)
        names = re.sub(r'\{[^}]*\}', '*', self.filename_tmpl)
        states = f'{Path(names).stem}{SUFFIX}'
        stale = [folder / name for name in outdated]
        for name in (names, states, PREEMPTED, f'best_*{names}', BEST,
                     POINTER, f'{Path(PREEMPTED).stem}{SUFFIX}'):
            stale += folder.glob(f'.{name}.tmp')
        for key, best in self._best.items():
            if (folder / best['file']).is_file():
                others = folder.glob(self._best_name(key, names))
                stale += [x for x in others if x.name != best['file']]
        for path in stale:
            path.unlink(missing_ok=True)
        remove_older_states(folder)

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Turn what is about to be saved into what should be on the disk."""
        checkpoint['meta'].update(
            cast_mmaction=__version__, batches=batches(runner))
        if LAUNCH in os.environ:
            checkpoint['meta']['launch'] = os.environ[LAUNCH]
        checkpoint['message_hub'] = _pack(checkpoint['message_hub'])
        state_dict = checkpoint['state_dict']
        if all(key.startswith(WRAPPED) for key in state_dict):
            # Strategies save the wrapper, too.
            checkpoint['state_dict'] = OrderedDict(
                (key[len(WRAPPED):], x) for key, x in state_dict.items())
        checkpoint['meta'] = _plain_items(checkpoint['meta'], 'meta')

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Undo :meth:`before_save_checkpoint`, and find the place of the
        checkpoint in this run."""
        name = str(runner._load_from)
        if runner._resume:
            require_training(checkpoint, name)
        if 'message_hub' in checkpoint:
            checkpoint['message_hub'] = _unpack(checkpoint['message_hub'],
                                                name)
        if runner._resume:
            if 'optimizer' not in checkpoint:
                checkpoint.update(
                    from_process(lambda: read_state(runner),
                                 getattr(runner, 'checkpoint_source', 0)))
            fit_to_run(runner, checkpoint, name)

    def save_preempted(self, runner, batches_done: int) -> None:
        """Save in the middle of an epoch, to be resumed there.

        Called after the iteration's hooks, before its number is counted.

        Args:
            runner (Runner): The runner of the training.
            batches_done (int): How many batches of the epoch are done.
        """
        runner.message_hub.update_info(
            INTERRUPTED,
            dict(done=batches_done, of=len(runner.train_dataloader)))
        self._write(
            runner,
            PREEMPTED,
            save_optimizer=True,
            save_param_scheduler=True,
            meta=dict(epoch=runner.epoch, iter=runner.iter + 1))
        self._point_to(runner, PREEMPTED)
        self._remove([])

    def _save_checkpoint_with_step(self, runner, step: int,
                                   meta: dict) -> None:
        name = self.filename_tmpl.format(step)
        outdated = [PREEMPTED]
        if self.max_keep_ckpts > 0:
            kept = [*self.keep_ckpt_ids]
            if step not in kept:
                kept.append(step)
            outdated += map(self.filename_tmpl.format,
                            kept[:-self.max_keep_ckpts])
            self.keep_ckpt_ids = deque(kept[-self.max_keep_ckpts:])
            runner.message_hub.update_info('keep_ckpt_ids',
                                           list(self.keep_ckpt_ids))
        self.last_ckpt = os.path.join(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.message_hub.update_info('outdated_ckpts', outdated)
        runner.message_hub.update_info('best', self._best)
        self._write(
            runner,
            name,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta)
        self._point_to(runner, name)
        self._remove(outdated)

    def _save_best_checkpoint(self, runner, metrics: dict) -> None:
        if not self.save_best or self._best is None:
            return
        if 'auto' in self.key_indicators:
            self._init_rule(self.rules, [next(iter(metrics))])
        step = runner.epoch if self.by_epoch else runner.iter
        name = self.filename_tmpl.format(step)
        for key in self.key_indicators:
            score = float(metrics[key])
            former: Optional[dict] = self._best.get(key)
            if former and not self.is_better_than[key](score, former['score']):
                continue
            best = self._best_name(key, name)
            self._best[key] = dict(score=score, file=best)
            if self.last_ckpt == os.path.join(self.out_dir, name):
                self._link(name, best)
            else:
                self._write(
                    runner,
                    best,
                    save_optimizer=False,
                    save_param_scheduler=False,
                    meta=dict(epoch=runner.epoch, iter=runner.iter))
            if is_main_process():
                with atomic_write(Path(self.out_dir, BEST)) as file:
                    file.write_text(json.dumps(self._best, indent=1))
            if former and former['file'] != best:
                self._remove([former['file']])
            self.best_ckpt_path = os.path.join(self.out_dir, best)
            runner.logger.info(f'{best} is the best so far: {key} {score:.4f}')

    def _write(self, runner, name: str, save_optimizer: bool,
               **kwargs) -> None:
        """Have the runner save under a temporary name, then rename."""
        self._check_finite(runner)
        # All processes give what they hold, the first one writes.
        with whole_state(runner, save_optimizer, self.trainable_only):
            if is_main_process():
                self._write_whole(runner, name, save_optimizer, **kwargs)

    def _write_whole(self, runner, name: str, save_optimizer: bool,
                     **kwargs) -> None:
        path, content = Path(self.out_dir, name), nullcontext()
        if self.trainable_only:
            content = trained_only(runner.model)
            if save_optimizer:
                write_state(runner, path)
                save_optimizer = False
        with atomic_write(path) as file, content:
            runner.save_checkpoint(
                self.out_dir,
                file.name,
                save_optimizer=save_optimizer,
                by_epoch=self.by_epoch,
                **kwargs)

    def _check_finite(self, runner) -> None:
        """All processes stop if one has weights that are not finite."""
        learnt = [*runner.model.named_parameters()] + [
            (name, buffer) for name, buffer in runner.model.named_buffers()
            if name.endswith(('running_mean', 'running_var'))
        ]
        bad = [name for name, x in learnt if not local(x).isfinite().all()]
        verdict = torch.tensor(len(bad))
        all_reduce(verdict, 'max')
        if verdict.item():
            raise FloatingPointError(
                f'weights are not finite ({bad[0] if bad else "elsewhere"}) '
                f'in epoch {runner.epoch + 1}, iteration {runner.iter + 1}: '
                'they are not saved. The last checkpoint is '
                f'{self.last_ckpt or "none"}')

    def _best_name(self, key: str, name: str) -> str:
        return f'best_{key}_{name}'.replace('/', '_')

    def _point_to(self, runner, name: str) -> None:
        if is_main_process():
            with atomic_write(Path(runner.work_dir, POINTER)) as file:
                file.write_text(str(Path(self.out_dir, name)))

    def _link(self, name: str, best: str) -> None:
        if is_main_process():
            with atomic_write(Path(self.out_dir, best)) as file:
                file.unlink(missing_ok=True)
                try:
                    os.link(Path(self.out_dir, name), file)
                except OSError:  # a file system without links
                    shutil.copyfile(Path(self.out_dir, name), file)

    def _remove(self, names) -> None:
        if is_main_process():
            for name in names:
                Path(self.out_dir, name).unlink(missing_ok=True)
            remove_older_states(Path(self.out_dir))


def _pack(hub: dict) -> dict:
    """MMEngine's message hub without its own types."""
    scalars = {
        key: dict(
            values=torch.as_tensor(buffer.data[0]),
            counts=torch.as_tensor(buffer.data[1]),
            max_length=buffer.max_length)
        for key, buffer in hub['log_scalars'].items()
    }
    return dict(
        log_scalars=scalars,
        runtime_info=_plain_items(hub['runtime_info'], 'message hub'),
        resumed_keys=dict(hub['resumed_keys']))


def _unpack(hub: dict, filename: str) -> dict:
    """Undo :func:`_pack`.

    Raises:
        CheckpointError: If it was packed by something else.
    """
    try:
        scalars = OrderedDict(
            (key, HistoryBuffer(value['values'].cpu().numpy(),
                                value['counts'].cpu().numpy(),
                                value['max_length']))
            for key, value in hub['log_scalars'].items())
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise CheckpointError(f'{filename}: its message hub is damaged '
                              f'({error})') from error
    return dict(hub, log_scalars=scalars)


def _plain_items(items: dict, owner: str) -> dict:
    """The plain ones of some entries; the others are named in the log."""
    plain = {}
    for key, value in items.items():
        try:
            plain[key] = _plain(value)
        except TypeError as error:
            print_log(
                f'the checkpoint goes without {key} of the {owner}: {error}',
                logger='current',
                level=logging.WARNING)
    return plain


def _plain(value: Any) -> Any:
    """Copy nested data with NumPy's types turned into Python's and torch's.

    Raises:
        TypeError: If something else is in it.
    """
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value)
    if value is None or isinstance(value,
                                   (bool, int, float, str, torch.Tensor)):
        return value
    raise TypeError(f'{type(value).__name__} is not plain data')
