"""CAST, cross-attention in space and time, as a plugin for MMAction2.

Importing this package is enough: it checks the host's versions, makes up for
what the host lacks (see :mod:`cast_mmaction.compat`) and registers every
model, data set, metric and hook of the project in MMAction2's registries.
"""
import sys

from .version import __version__

# `python -m cast_mmaction.doctor` finds out what is broken, so that it cannot
# begin with importing it. It comes back here when it has looked.
if sys.argv[:1] != ['-m'] or 'cast_mmaction.doctor' not in sys.orig_argv:
    from . import host
    host.check()

    from . import compat
    compat.apply()

    # Each package's own __init__ imports its modules, and so registers them.
    from . import checkpoints
    from . import datasets
    from . import engine
    from . import evaluation
    from . import models
    from . import visualization
    from . import prediction
    from .hub import from_pretrained
    from .prediction import predict

__all__ = [
    '__version__', 'checkpoints', 'compat', 'datasets', 'engine',
    'evaluation', 'from_pretrained', 'host', 'models', 'predict', 'prediction',
    'visualization'
]
