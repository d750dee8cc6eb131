"""In which precision a run computes, and that its checkpoints say so."""
from mmaction.registry import HOOKS
from mmengine.hooks import Hook

from .. import precision


@HOOKS.register_module()
class PrecisionHook(Hook):
    """Products in TF32, and the training's precision in its checkpoints.

    On GPUs that have it (compute capability 8.0), matrix products and
    convolutions of float32 tensors run in TF32, with 10 bits of mantissa and
    several times the speed. Checkpoints name the precision of the training in
    their ``meta``; test loops follow it.

    Args:
        tf32 (bool): Defaults to True.
    """

    def __init__(self, tf32: bool = True) -> None:
        self.tf32 = tf32

    def before_run(self, runner) -> None:
        """Choose the products of float32 tensors."""
        if precision.products_in_tf32(self.tf32) and self.tf32:
            runner.logger.info(
                'float32 products run in TF32 on this GPU; '
                'default_hooks.precision.tf32=False keeps them in full '
                'precision')

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Write down the training's precision."""
        checkpoint['meta']['precision'] = precision.of_config(runner.cfg)

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Remember it for a test, and name a change."""
        runner.checkpoint_precision = precision.of_checkpoint(checkpoint)
        before, now = runner.checkpoint_precision, precision.of_config(
            runner.cfg)
        if runner._resume and before not in (None, now):
            runner.logger.info(f'this training began in {before} and goes on '
                               f'in {now}')
