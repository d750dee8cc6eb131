"""Where a resumed training goes on, and with which options.

The place of a training is the epochs and the clips that it has seen; how many
iterations that is depends on processes, batch and accumulation. What the
optimizer does there (learning rate, decay, ...) is what the config says for
that place. So a run that is resumed on other batches, or with other options,
goes on as if it had always been like that.
"""
import logging
import os
from typing import List, Optional, Tuple

from mmengine.config import Config
from mmengine.dataset import DefaultSampler
from mmengine.dist import get_world_size
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper, _ParamScheduler
from mmengine.runner import EpochBasedTrainLoop
from mmengine.runner.base_loop import BaseLoop

from ..checkpoints import CheckpointError
from ..version import __version__
from .schedule import WarmupCosineLR

PROCESSES = 'CAST_PROCESSES'  # tools/launch.sh sets it
INTERRUPTED = 'interrupted_epoch'  # in the message hub, batches done
NEEDED = dict(
    meta=('epoch', 'iter'),
    message_hub=('log_scalars', 'runtime_info', 'resumed_keys'))


def batches(runner) -> dict:
    """How a runner cuts its training data; goes into every checkpoint.

    Returns:
        dict[str, int]: ``clips_per_batch`` (of all processes),
        ``batches_per_step`` (accumulation), ``batches_per_epoch`` and
        ``clips_per_epoch`` (of the data set).
    """
    loader = runner.train_dataloader
    return dict(
        clips_per_batch=loader.batch_sampler.batch_size * get_world_size(),
        batches_per_step=getattr(runner.optim_wrapper, '_accumulative_counts',
                                 1),
        batches_per_epoch=len(loader),
        clips_per_epoch=len(loader.dataset))


def keep_step(cfg: Config) -> None:
    """Make up for lost processes by accumulation.

    A launch with other numbers of machines (``NNODES=1:4``) is meant for the
    largest. With fewer processes an optimizer step keeps its clips, if these
    can be shared out; else the learning rate follows ``auto_scale_lr``.

    Args:
        cfg (Config): Changed in place.
    """
    meant = int(os.environ.get(PROCESSES, 0))
    here = int(os.environ.get('WORLD_SIZE', 0))
    if not meant or here in (0, meant):
        return
    counts = cfg.optim_wrapper.get('accumulative_counts', 1)
    if counts * meant % here:
        print_log(
            f'{counts * meant} batches make a step of {meant} processes, '
            f'{here} cannot share them: a step has {counts * here} now',
            level=logging.WARNING)
        return
    cfg.optim_wrapper.accumulative_counts = counts * meant // here


def require_training(checkpoint: dict, name: str) -> None:
    """Look for what every training stores.

    Args:
        checkpoint (dict): As it was loaded.
        name (str): Where it is from, for messages.

    Raises:
        CheckpointError: If something is missing.
    """
    for part, fields in NEEDED.items():
        missing = [x for x in fields if x not in checkpoint.get(part, {})]
        if missing:
            raise CheckpointError(
                f'{name} cannot be resumed, it lacks {", ".join(missing)} in '
                f'{part!r}: no training has saved it. To start from its '
                'weights, use load_from without resume')


def fit_to_run(runner, checkpoint: dict, name: str) -> None:
    """Move a checkpoint to the place that it has in this run.

    Position, schedules and the optimizer's options are changed in it; the
    log says what differs.

    Args:
        runner (Runner): The runner, about to resume.
        checkpoint (dict): As it was loaded.
        name (str): Where it is from, for messages.

    Raises:
        CheckpointError: If it cannot be moved.
    """
    version = checkpoint['meta'].get('cast_mmaction')
    if version != __version__:
        runner.logger.warning(
            f'{name} was saved by cast_mmaction {version or "up to 0.1"}, '
            f'this is {__version__}')
    if not isinstance(runner._train_loop, BaseLoop) or not isinstance(
            runner.optim_wrapper, OptimWrapper):
        return  # only validated or tested; or several optimizers
    moved = _move(runner, checkpoint, name)
    _use_options_of_config(runner, checkpoint, name, moved)


def _move(runner, checkpoint: dict, name: str) -> bool:
    """Set iteration and batches done; whether batches are other ones."""
    meta, info = checkpoint['meta'], checkpoint['message_hub']['runtime_info']
    now, before = batches(runner), meta.get('batches')
    record: Optional[dict] = info.get(INTERRUPTED)
    if not isinstance(runner._train_loop, EpochBasedTrainLoop):
        if before not in (None, now):
            raise CheckpointError(
                f'{name} cannot be resumed here: {_differences(before, now)}, '
                'and a training that counts iterations, not epochs, would get '
                'another length')
        return False
    length = now['batches_per_epoch']
    done = 0
    if record is not None:
        done, reason = _batches_done(runner, record, before, now)
        if reason:
            runner.logger.warning(
                f'epoch {meta["epoch"] + 1} starts again: {reason}')
            info.pop(INTERRUPTED)
        else:
            info[INTERRUPTED] = dict(done=done, of=length)
    iteration = meta['epoch'] * length + done
    moved = iteration != meta['iter'] or before not in (None, now)
    if moved:
        change = f'{_differences(before, now)}; ' if before else ''
        runner.logger.warning(
            f'{name} is resumed on other batches: {change}epoch '
            f'{meta["epoch"] + 1} goes on behind clip '
            f'{done * now["clips_per_batch"]} of {now["clips_per_epoch"]}, '
            f'which is iteration {iteration} instead of {meta["iter"]}')
    meta['iter'] = iteration
    return moved


def _batches_done(runner, record: dict, before: Optional[dict],
                  now: dict) -> Tuple[int, str]:
    """Batches of the interrupted epoch that need not be done again, or why it
    has to start again."""
    if before is None:
        if record['of'] == now['batches_per_epoch']:
            return record['done'], ''
        return 0, (f'it had {record["of"]} batches and now has '
                   f'{now["batches_per_epoch"]}, and the checkpoint does not '
                   'tell how many clips that was')
    if before == now:
        return record['done'], ''
    if before['clips_per_epoch'] != now['clips_per_epoch']:
        return 0, (f'the data set had {before["clips_per_epoch"]} clips and '
                   f'now has {now["clips_per_epoch"]}')
    sampler = runner.train_dataloader.batch_sampler.sampler
    sampler = getattr(sampler, 'sampler', sampler)
    if not isinstance(sampler, DefaultSampler):
        return 0, (f'the order of {type(sampler).__name__} depends on the '
                   'number of processes')
    # Processes take the clips of an epoch in turn: the first ones are done.
    # A step that is half done is done again.
    clips = record['done'] * before['clips_per_batch']
    steps = clips // (now['clips_per_batch'] * now['batches_per_step'])
    done = steps * now['batches_per_step']
    return min(done, now['batches_per_epoch']), ''


def _differences(before: dict, now: dict) -> str:
    return ', '.join(f'{key.replace("_", " ")} {now[key]} instead of '
                     f'{before[key]}' for key in now
                     if now[key] != before[key])


def _use_options_of_config(runner, checkpoint: dict, name: str,
                           moved: bool) -> None:
    """Replace what the checkpoint tells the optimizer and its schedules."""
    schedulers: List[_ParamScheduler] = runner.param_schedulers or []
    if any(getattr(x, 'need_val_args', False) for x in schedulers):
        if moved:
            raise CheckpointError(
                f'{name} cannot be resumed on other batches: '
                f'{type(schedulers[0]).__name__} goes by past validations')
        return
    stored = checkpoint.get('optimizer')
    if stored is None:
        raise CheckpointError(
            f'{name} cannot be resumed, it holds no optimizer: save_optimizer '
            'was off. To start from its weights, use load_from without resume')
    groups = runner.optim_wrapper.optimizer.param_groups
    sizes = [[len(group['params']) for group in x]
             for x in (stored['param_groups'], groups)]
    if sizes[0] != sizes[1]:
        raise CheckpointError(
            f'{name} cannot be resumed here: its optimizer has groups of '
            f'{sizes[0]} tensors, that of this config {sizes[1]}. The same '
            'must be trained; to start from its weights, use load_from '
            'without resume')
    run_forward(schedulers, runner.train_dataloader,
                checkpoint['meta']['epoch'], checkpoint['meta']['iter'])
    checkpoint['param_schedulers'] = [x.state_dict() for x in schedulers]
    said = set()
    for group, old in zip(groups, stored['param_groups']):
        for key, value in group.items():
            if key == 'params':
                continue
            # The rate of the moment follows from its peak.
            follows = key == 'lr' and 'initial_lr' in group
            if old.get(key) != value and not follows and key not in said:
                said.add(key)
                runner.logger.warning(
                    f'{name}: {key} was {old.get(key)} and is {value} from '
                    'here on, as the config has it')
            old[key] = value
    settings = runner.optim_wrapper.base_param_settings
    if settings is not None:
        stored['base_param_settings'] = settings


def run_forward(schedulers: List[_ParamScheduler], loader, epochs: int,
                iterations: int) -> None:
    """Step fresh schedules to a place, as ``ParamSchedulerHook`` does.

    Args:
        schedulers (list): Of one optimizer, whose groups they change.
        loader (Sized): The batches of an epoch.
        epochs (int): Whole epochs.
        iterations (int): All iterations, with those of the epochs.
    """
    if not schedulers:
        return
    schedulers[0].optimizer._global_step = 0  # no warning that it stands still
    if len(schedulers) == 1 and isinstance(schedulers[0], WarmupCosineLR):
        schedulers[0].jump(iterations)
        return
    for i in range(1, iterations + 1):
        at_end = i % len(loader) == 0 and i // len(loader) <= epochs
        for by_epoch in (False, True) if at_end else (False, ):
            for scheduler in schedulers:
                if scheduler.by_epoch == by_epoch:
                    scheduler.step()
