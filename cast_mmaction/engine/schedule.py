"""The learning rate of the published recipes."""
import math
from typing import List

from mmaction.registry import PARAM_SCHEDULERS
from mmengine.optim.scheduler.param_scheduler import INF, _ParamScheduler


@PARAM_SCHEDULERS.register_module()
class WarmupCosineLR(_ParamScheduler):
    """Linear warm-up from zero, then a cosine, one value an optimizer step.

    MMEngine's schedulers move every iteration, so with gradient accumulation
    an update takes whatever value the last of its iterations has; and its
    linear warm-up multiplies, so it cannot start from zero. Here step k of K,
    W of them warm-up, has

    - ``k / W`` of each group's peak while k < W, then
    - from the whole peak down to ``eta_min_ratio`` of it along a cosine.

    Args:
        optimizer (OptimWrapper or Optimizer): Whose groups are scheduled. Its
            accumulation decides how many iterations make a step.
        warmup (int): Length of the warm-up, in epochs if
            ``convert_to_iter_based=True``, else in iterations. Defaults to 0.
        eta_min_ratio (float): The floor as a share of each group's peak.
            Defaults to 1e-3.
        begin (int): Must be 0: the schedule is a whole. Defaults to 0.
        end (int): Length of the whole schedule, same unit as ``warmup``.
            The runner fills in the length of the training.
        by_epoch (bool): Only with ``convert_to_iter_based=True``.
        last_step (int): As in MMEngine. Defaults to -1.
        verbose (bool): As in MMEngine. Defaults to False.

    Raises:
        ValueError: If ``end`` is unknown, the warm-up does not fit in, or
            the schedule would move per epoch.
    """

    def __init__(self,
                 optimizer,
                 warmup: int = 0,
                 eta_min_ratio: float = 1e-3,
                 begin: int = 0,
                 end: int = INF,
                 by_epoch: bool = True,
                 last_step: int = -1,
                 verbose: bool = False) -> None:
        if by_epoch:
            raise ValueError('WarmupCosineLR moves with the optimizer: set '
                             'convert_to_iter_based=True or by_epoch=False')
        if begin != 0 or end == INF:
            raise ValueError('WarmupCosineLR spans the whole training: begin '
                             f'must be 0 and end known, got {begin}, {end}')
        if not 0 <= warmup <= end:
            raise ValueError(
                f'a warm-up of {warmup} iterations does not fit into a '
                f'training of {end}: lower warmup in param_scheduler')
        # A plain torch optimizer, or a wrapper that counts its iterations.
        self.accumulation = getattr(optimizer, '_accumulative_counts', 1)
        self.warmup_steps = warmup // self.accumulation
        self.total_steps = math.ceil(end / self.accumulation)
        self.eta_min_ratio = eta_min_ratio
        super().__init__(
            optimizer,
            'lr',
            begin=begin,
            end=end,
            last_step=last_step,
            by_epoch=by_epoch,
            verbose=verbose)

    @classmethod
    def build_iter_from_epoch(cls,
                              *args,
                              epoch_length: int,
                              warmup: int = 0,
                              begin: int = 0,
                              end: int = INF,
                              by_epoch: bool = True,
                              **kwargs) -> 'WarmupCosineLR':
        """Build from lengths in epochs (``convert_to_iter_based=True``)."""
        if end != INF:
            end = end * epoch_length
        return cls(
            *args,
            warmup=warmup * epoch_length,
            begin=begin,
            end=end,
            by_epoch=False,
            **kwargs)

    def jump(self, iterations: int) -> None:
        """Go to where so many calls of ``step`` lead from the start."""
        last = min(iterations, self.end - 1)  # behind it nothing changes
        self.last_step = self._global_step = last - 1
        self.step()
        self._global_step = iterations

    def _get_value(self) -> List[float]:
        """The learning rate of every group for the coming iteration."""
        step = self.last_step // self.accumulation
        if step < self.warmup_steps:
            factor = step / self.warmup_steps
        else:
            way = (step - self.warmup_steps) / (
                self.total_steps - self.warmup_steps)
            cosine = (1 + math.cos(math.pi * way)) / 2
            factor = self.eta_min_ratio + (1 - self.eta_min_ratio) * cosine
        return [factor * peak for peak in self.base_values]
