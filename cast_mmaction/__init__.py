"""CAST, cross-attention in space and time, as a plugin for MMAction2.

Importing this package is enough: it checks the host's versions, makes up for
what the host lacks (see :mod:`cast_mmaction.compat`) and registers every
model, data set, metric and hook of the project in MMAction2's registries.
"""
from . import host
from .version import __version__

host.check()

from . import compat  # noqa: E402

compat.apply()

# Each package's own __init__ imports its modules, and so registers them.
from . import checkpoints  # noqa: E402
from . import datasets  # noqa: E402
from . import engine  # noqa: E402
from . import evaluation  # noqa: E402
from . import models  # noqa: E402
from . import visualization  # noqa: E402
from . import prediction  # noqa: E402
from .hub import from_pretrained  # noqa: E402
from .prediction import predict  # noqa: E402

__all__ = [
    '__version__', 'checkpoints', 'compat', 'datasets', 'engine',
    'evaluation', 'from_pretrained', 'host', 'models', 'predict', 'prediction',
    'visualization'
]
