"""What MMAction2 1.2.0 and MMEngine 0.10 lack on a current stack.

One function per defect. Each looks whether its defect is there, mends it if
so, and says what it did; none does anything to a host that is in order. The
tests of a remedy fail once its defect is fixed upstream: then both can go.
"""
# In the order in which they are applied: first what the host's import needs.
from . import packages  # noqa: F401, isort: skip
from . import checkpoints, distributed, heads, logs, training  # noqa: F401
from .registry import apply, left_out, remedies

__all__ = ['apply', 'left_out', 'remedies']
