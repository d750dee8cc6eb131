"""Hooks that keep a training honest: seeds and weights."""
import random
from typing import Sequence

import numpy as np
import torch
from mmaction.registry import HOOKS
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper

from ..checkpoints import complete, random_experts
from ..checkpoints.reading import as_state_dict


@HOOKS.register_module()
class StepSeedHook(Hook):
    """Seeds what the training process draws from (seed, rank, iteration).

    Dropout, drop path and mixup are drawn here, not in the data set. With
    this a resumed run draws what an uninterrupted one does.
    """

    priority = 'VERY_HIGH'

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        """Seed ``random``, NumPy and torch."""
        sequence = np.random.SeedSequence(
            (runner.seed, get_rank(), runner.iter))
        for_random, for_numpy, for_torch = sequence.generate_state(3).tolist()
        random.seed(for_random)
        np.random.seed(for_numpy)
        torch.manual_seed(for_torch)


@HOOKS.register_module()
class StrictLoadHook(Hook):
    """Refuses a checkpoint that does not fit the model, and the training of
    adapters for random experts.

    MMEngine's runner warns and goes on with what fits.

    Args:
        allowed (sequence[str]): Prefixes of keys that may be missing,
            superfluous or of another shape, such as ``cls_head.`` when a
            model is trained further on other classes. Defaults to ().
        allow_random_experts (bool): Train also if nothing was loaded into a
            frozen expert, as trials of a program do. Defaults to False.

    Raises:
        ValueError: Names the keys that do not fit, or the experts.
    """

    def __init__(self,
                 allowed: Sequence[str] = (),
                 allow_random_experts: bool = False) -> None:
        self.allowed = tuple(allowed)
        self.allow_random_experts = allow_random_experts

    def before_train(self, runner) -> None:
        """Look at the frozen experts, after all has been loaded."""
        names = random_experts(runner.model)
        if names and not self.allow_random_experts:
            raise ValueError(
                f'{", ".join(names)}: frozen, and of random weights. Name '
                'weights (pretrained), load a checkpoint (load_from), or set '
                'default_hooks.strict_load.allow_random_experts=True')

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Compare the checkpoint with the model."""
        model = runner.model
        model = model.module if is_model_wrapper(model) else model
        wanted = model.state_dict()
        found = as_state_dict(
            checkpoint.get('state_dict', checkpoint), runner._load_from)
        found = {key.removeprefix('module.'): x for key, x in found.items()}
        found = complete(model, found)
        problems = {
            'missing': [key for key in wanted if key not in found],
            'unknown to this model': [k for k in found if k not in wanted],
            'of another shape': [
                key for key in found
                if key in wanted and found[key].shape != wanted[key].shape
            ]
        }
        report = []
        for kind, keys in problems.items():
            keys = [key for key in keys if not key.startswith(self.allowed)]
            if keys:
                more = f' and {len(keys) - 8} more' if len(keys) > 8 else ''
                report.append(f'{kind}: {", ".join(keys[:8])}{more}')
        if report:
            raise ValueError(
                f'{runner._load_from or "the checkpoint"} is of another '
                f'model; {"; ".join(report)}. Prefixes that may differ go '
                'into default_hooks.strict_load.allowed')
