"""Optimizer groups, loops and hooks: what MMAction2's runner is given."""
from ..atomic_write import atomic_write
from .checkpoint_hook import SafeCheckpointHook
from .finetune import FinetuneHook
from .hooks import StepSeedHook, StrictLoadHook
from .leaving import leave_process_group
from .loops import PrecisionTestLoop, PrecisionValLoop, ResumableEpochLoop
from .non_finite import NonFiniteHook
from .optim import LayerDecayOptimWrapperConstructor
from .precision_hook import PrecisionHook
from .preemption import PreemptionHook
from .same_run import SameRunHook
from .schedule import WarmupCosineLR
from .screen import QuietRunner
from .sharding import (CompressedDataParallel, FullyShardedModel,
                       ShardingHook)
from .sizes import SizesHook
from .test_loop import SurvivingTestLoop

# Their names up to 0.1; they go with the next release.
whole_file = atomic_write
CASTOptimWrapperConstructor = LayerDecayOptimWrapperConstructor

__all__ = [
    'CASTOptimWrapperConstructor', 'CompressedDataParallel', 'FinetuneHook',
    'FullyShardedModel', 'LayerDecayOptimWrapperConstructor', 'NonFiniteHook',
    'PrecisionHook', 'PrecisionTestLoop', 'PrecisionValLoop', 'PreemptionHook',
    'QuietRunner', 'ResumableEpochLoop', 'SafeCheckpointHook', 'SameRunHook',
    'ShardingHook', 'SizesHook', 'StepSeedHook', 'StrictLoadHook',
    'SurvivingTestLoop', 'WarmupCosineLR', 'leave_process_group', 'whole_file'
]
