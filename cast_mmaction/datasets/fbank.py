"""The old place of :mod:`cast_mmaction.spectrograms.fbank`, one release
long."""
from ..spectrograms.fbank import *  # noqa: F401,F403
