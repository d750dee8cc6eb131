"""The optimizer beside a checkpoint that holds only what is trained.

``epoch_3.pth`` then holds weights alone, to be kept and passed on, and
``epoch_3.state.pth`` what only a resume needs. Of the latter the newest two
are kept: should the newest checkpoint be damaged, the one before is resumed.
"""
from pathlib import Path

import torch
from mmengine.runner import find_latest_checkpoint

from ..checkpoints import CheckpointError, read_checkpoint
from ..atomic_write import atomic_write

SUFFIX = '.state.pth'
KEPT = 2


def write_state(runner, path: Path) -> None:
    """Write the optimizer's state beside a checkpoint.

    Args:
        runner (Runner): The runner of the training.
        path (Path): The checkpoint.
    """
    state = dict(optimizer=runner.optim_wrapper.state_dict())
    with atomic_write(path.with_suffix(SUFFIX)) as file:
        # Through Python's file a full disk is told in its own words.
        with file.open('wb') as stream:
            torch.save(state, stream)


def remove_older_states(folder: Path) -> None:
    """Keep the newest states of a folder, of checkpoints that are there."""
    states = sorted(
        folder.glob(f'[!.]*{SUFFIX}'), key=lambda x: x.stat().st_mtime_ns)
    for state in states:
        checkpoint = state.with_name(state.name.replace(SUFFIX, '.pth'))
        if state not in states[-KEPT:] or not checkpoint.is_file():
            state.unlink()


def read_state(runner) -> dict:
    """What lies beside the checkpoint that a runner resumes from.

    Args:
        runner (Runner): A runner that is told to resume.

    Raises:
        CheckpointError: If there is nothing, or something else.
    """
    path = Path(runner._load_from or find_latest_checkpoint(runner.work_dir))
    state = path.with_suffix(SUFFIX)
    if not state.is_file():
        raise CheckpointError(
            f'{path} holds no optimizer state and {state.name} is not beside '
            'it: only the newest two of a training can be resumed. '
            'To start anew from its weights, use load_from without resume')
    content = read_checkpoint(state)
    if not isinstance(content, dict) or set(content) != {'optimizer'}:
        raise CheckpointError(f'{state}: holds something else than the state '
                              'of an optimizer')
    return content
