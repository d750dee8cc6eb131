"""The optimizer beside a checkpoint that holds only what is trained.

``epoch_3.pth`` then holds weights alone, to be kept and passed on, and
``epoch_3.state.pth`` what only a resume needs. Of the latter the newest is
kept.
"""
from pathlib import Path

import torch
from mmengine.runner import find_latest_checkpoint

from ..checkpoints import CheckpointError, read_checkpoint
from ..atomic_write import atomic_write

SUFFIX = '.state.pth'


def write_state(runner, path: Path) -> None:
    """Write the optimizer's state beside a checkpoint.

    Args:
        runner (Runner): The runner of the training.
        path (Path): The checkpoint.
    """
    with atomic_write(path.with_suffix(SUFFIX)) as file:
        torch.save(dict(optimizer=runner.optim_wrapper.state_dict()), file)


def remove_older_states(path: Path) -> None:
    """Remove the states of all checkpoints of a folder but one."""
    for other in path.parent.glob(f'*{SUFFIX}'):
        if other != path.with_suffix(SUFFIX):
            other.unlink(missing_ok=True)


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
            'it: only the newest checkpoint of a training can be resumed. '
            'To start anew from its weights, use load_from without resume')
    content = read_checkpoint(state)
    if not isinstance(content, dict) or set(content) != {'optimizer'}:
        raise CheckpointError(f'{state}: holds something else than the state '
                              'of an optimizer')
    return content
