"""A training that is killed at any moment, and goes on to the same weights.

Every training is a fork of this process, which must not have trained: torch
refuses to compute gradients in the child of one that has.
"""
import json
import os
import random
import resource
import shutil
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Callable, List, NamedTuple, Optional

import mmengine
import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from tests.forks import fork, wait
from tests.toy import toy_config

EPOCHS = 2
SECONDS = 60
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = ('os.rename', 'os.remove', 'os.link', 'os.mkdir', 'os.truncate')
# What must appear whole: only temporary names (`.epoch_1.pth.tmp`) are opened.
IN_ONE_PIECE = ('.pth', 'best_checkpoints.json', 'last_checkpoint')
# Bytes after which a write is cut off: less than any file that matters has.
HALF = 40
# Holds the number of an epoch: only its first byte can be missing.
ONE_BYTE = 'open .last_validation.tmp'


class Moment(NamedTuple):
    """Where a training is killed.

    Attributes:
        place: Number of the event before which it happens.
        event: What that is, for the report.
        half: Not before it, but in the middle of the write that it begins.
        trainable_only: The kind of checkpoints that the training writes.
    """
    place: int
    event: str
    half: bool
    trainable_only: bool


@HOOKS.register_module()
class MomentHook(Hook):
    """Makes an event of every step, for :func:`watch`."""
    priority = 'VERY_HIGH'

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        sys.audit('tests.iteration', str(runner.work_dir))

    def after_train_epoch(self, runner):
        sys.audit('tests.epoch', str(runner.work_dir))

    def before_val_iter(self, runner, batch_idx, data_batch=None):
        sys.audit('tests.validation', str(runner.work_dir))


def watch(folder: Path, on_event: Callable[[str, bool], None]) -> None:
    """Call a function before everything that changes the folder, for ever.

    Args:
        folder: The work dir of the training.
        on_event: Takes the name and whether a write begins.
    """

    def hook(event: str, args: tuple) -> None:
        if event == 'open':
            path, mode, flags = args
            writes = bool(flags & WRITING)
        elif event in CHANGES or event.startswith('tests.'):
            path, writes = args[0], False
        else:
            return
        if event == 'open' and not writes:
            return
        if isinstance(path, (str, os.PathLike)) and str(path).startswith(
                str(folder)):
            name = Path(path).name.replace(folder.name, 'work_dir')
            on_event(f'{event} {name}', writes)

    sys.addaudithook(hook)


def child(work: Callable[[], None], log: Path,
          seconds: float = SECONDS) -> int:
    """Run a function in a fork.

    Returns:
        int: Its exit status; minus the signal that ended it.
    """

    def alone() -> None:
        torch.set_num_threads(1)
        work()

    return wait(fork(alone, log), seconds)


def train(folder: Path, trainable_only: bool, **changes) -> None:
    """The training that is killed, or goes on."""
    changes.setdefault('epochs', EPOCHS)
    cfg = toy_config(
        folder, batch=12, resume=True, **{
            'default_hooks.checkpoint.trainable_only': trainable_only,
            'default_hooks.checkpoint.max_keep_ckpts': 1,
            **changes
        })
    cfg.custom_hooks = [dict(type='MomentHook')]
    Runner.from_cfg(cfg).train()


def warm_up(folder: Path) -> None:
    """Import what a training imports, and let the host skip what costs time.

    Its texts of the config are laid out, and compilers asked for their
    version, several times a training.
    """
    mmengine.config.config.FormatCode = lambda text, **style: (text, True)
    mmengine.runner.runner.collect_env = dict
    runner = Runner.from_cfg(toy_config(folder / 'warm'))
    runner.val()
    runner.build_optim_wrapper(runner.optim_wrapper)


def moments(folder: Path) -> List[Moment]:
    """All moments of a training, found by watching one of each kind."""
    found = []
    for trainable_only in (False, True):
        work_dir = folder / f'whole-{trainable_only}'
        shutil.rmtree(work_dir, ignore_errors=True)
        listed = folder / 'events'

        def record() -> None:
            with open(listed, 'w') as file:
                watch(work_dir, lambda event, writes: file.write(
                    f'{event}\t{int(writes)}\n'))
                train(work_dir, trainable_only)

        if child(record, folder / 'log'):
            raise RuntimeError((folder / 'log').read_text())
        for place, line in enumerate(listed.read_text().splitlines()):
            event, writes = line.split('\t')
            for half in (False, True)[:1 + int(writes)]:
                found.append(Moment(place, event, half, trainable_only))
    return found


def kill_at(folder: Path, moment: Moment) -> None:
    """Arm the child process: it ends at the moment."""
    seen = 0

    def on_event(event: str, writes: bool) -> None:
        nonlocal seen
        seen += 1
        if seen != moment.place + 1:
            return
        if not moment.half:
            os.kill(os.getpid(), signal.SIGKILL)
        # Python would turn it into an error, and the training could react.
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        size = 0 if event == ONE_BYTE else HALF
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    watch(folder, on_event)


def verdict(folder: Path, whole: Path) -> str:
    """Whether a training that went on has come where an unharmed one has.

    Returns:
        str: 'the same' or what differs; 'stale: ...' where the weights are
        the same and what is written about them is not.
    """
    try:
        last = Path((folder / 'last_checkpoint').read_text())
        ours, theirs = (torch.load(path, weights_only=True)
                        for path in (last, whole / last.name))
    except (OSError, RuntimeError, EOFError) as error:
        return f'lost: {type(error).__name__} {error}'
    if not _equal(ours['state_dict'], theirs['state_dict']):
        return 'trained otherwise'
    # The file of an epoch is written before the epoch is validated.
    if not _equal(*({
            key: value
            for key, value in x['message_hub']['log_scalars'].items()
            if key in ('train/loss', 'train/lr')
    } for x in (ours, theirs))):
        return 'stale: another log'
    names = {x.name for x in folder.iterdir() if x.is_file()}
    wanted = {x.name for x in whole.iterdir() if x.is_file()}
    if names != wanted:
        return f'stale: other files, {sorted(names ^ wanted)}'
    record = json.loads((folder / 'best_checkpoints.json').read_text())
    if record != json.loads((whole / 'best_checkpoints.json').read_text()):
        return 'stale: another best'
    return 'the same'


def _equal(left, right) -> bool:
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(
            _equal(left[key], right[key]) for key in left)
    if isinstance(left, torch.Tensor):
        return torch.equal(left, right)
    return left == right


def survive(folder: Path, whole: Path, trainable_only: bool,
            arm: Callable[[Path], None], *expected: int) -> str:
    """Harm a training and let it go on.

    Args:
        folder: A new work dir; removed if all is well.
        whole: That of an unharmed training.
        trainable_only: The kind of checkpoints.
        arm: Called in the training's process before it begins.
        expected: Exit statuses that the harmed process may have.
    """
    log = folder.with_suffix('.log')

    def harmed() -> None:
        arm(folder)
        train(folder, trainable_only)

    status = child(harmed, log)
    if status not in expected:
        return f'ended with {status} instead of {expected}, see {log}'
    status = child(lambda: train(folder, trainable_only), log)
    if status:
        return (f'does not go on ({status}): '
                f'{log.read_text().splitlines()[-1]}')
    found = verdict(folder, whole)
    if found == 'the same':
        shutil.rmtree(folder)
        log.unlink()
    return found


def run(count: Optional[int], folder: Path) -> Counter:
    """Kill trainings and let them go on.

    Args:
        count: How many, chosen by chance, always the same; None for all.
        folder: Where to work.

    Returns:
        Counter: How often what happened; everything but 'the same' is a
        fault.
    """
    warm_up(folder)
    chosen = moments(folder)
    found = Counter(f'written in place: {x.event}' for x in chosen
                    if x.event.startswith('open ') and
                    x.event.endswith(IN_ONE_PIECE))
    if count is not None:
        chosen = random.Random(0).sample(chosen, min(count, len(chosen)))
    for number, moment in enumerate(chosen):
        result = survive(
            folder / f'killed-{number}',
            folder / f'whole-{moment.trainable_only}', moment.trainable_only,
            lambda work_dir: kill_at(work_dir, moment),
            -(signal.SIGXFSZ if moment.half else signal.SIGKILL))
        where = '' if result == 'the same' else f' ({moment})'
        found[result + where] += 1
    return found
