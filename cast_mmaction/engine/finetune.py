"""Going on from a trained recognizer with other classes."""
from pathlib import Path
from typing import Set, Union

from mmaction.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from torch import nn

from ..checkpoints import complete, load_strictly, read_state_dict
from .screen import SHOW

HEAD = 'cls_head.'


@HOOKS.register_module()
class FinetuneHook(Hook):
    """Starts a training from everything but the classifier of a checkpoint.

    ``tools/train.py --finetune`` puts it in. The classifiers (the head's
    linear layers ``fc_...``) always start anew, also where their shapes fit:
    as many classes are not the same classes. What else of the head has no
    counterpart starts anew too; all other weights must fit. A run that is
    resumed has its own weights.

    Args:
        checkpoint (str or Path): A checkpoint of either kind, or a published
            file.

    Raises:
        CheckpointError: If the file cannot be read, or is of another model.
    """

    # Before the checkpoint hook looks at what the experts hold.
    priority = 'VERY_HIGH'

    def __init__(self, checkpoint: Union[str, Path]) -> None:
        self.checkpoint = str(checkpoint)

    def before_train(self, runner) -> None:
        """Load, and say what was taken."""
        if runner.iter > 0 or runner._resume and runner._has_loaded:
            return
        model = runner.model
        model = model.module if is_model_wrapper(model) else model
        state_dict = {
            key.removeprefix('module.'): value
            for key, value in read_state_dict(self.checkpoint).items()
        }
        state_dict = complete(model, state_dict)
        own, fresh = model.state_dict(), classifiers(model)
        taken = {
            key: value
            for key, value in state_dict.items()
            if not key.startswith(HEAD) or (
                key not in fresh and key in own
                and own[key].shape == value.shape)
        }
        anew = sorted(
            key for key in own if key.startswith(HEAD) and key not in taken)
        load_strictly(model, {**taken, **{key: own[key] for key in anew}},
                      self.checkpoint)
        left = sorted(key for key in state_dict
                      if key not in taken and key not in own)
        runner.logger.info(
            f'{self.checkpoint}: took {len(taken)} of {len(state_dict)} '
            f'tensors; starting anew: {", ".join(anew)}'
            + (f'; without a place here: {", ".join(left)}' if left else ''),
            extra=SHOW)


def classifiers(model: nn.Module) -> Set[str]:
    """Names of the parameters that turn features into scores of classes."""
    head = getattr(model, 'cls_head', None)
    if head is None:
        return set()
    return {
        f'{HEAD}{name}.{parameter}'
        for name, layer in head.named_children()
        if name.startswith('fc') and isinstance(layer, nn.Linear)
        for parameter, _ in layer.named_parameters()
    }
