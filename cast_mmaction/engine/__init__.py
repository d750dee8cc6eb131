"""Optimizer groups, loops and hooks: what MMAction2's runner is given."""
from .checkpoint_hook import SafeCheckpointHook
from .files import whole_file
from .hooks import (NonFiniteHook, PreemptionHook, StepSeedHook,
                    StrictLoadHook)
from .leaving import leave_process_group
from .loops import PrecisionTestLoop, PrecisionValLoop, ResumableEpochLoop
from .optim import CASTOptimWrapperConstructor
from .schedule import WarmupCosineLR

__all__ = [
    'CASTOptimWrapperConstructor', 'NonFiniteHook', 'PrecisionTestLoop',
    'PrecisionValLoop', 'PreemptionHook', 'ResumableEpochLoop',
    'SafeCheckpointHook', 'StepSeedHook', 'StrictLoadHook', 'WarmupCosineLR',
    'leave_process_group', 'whole_file'
]
