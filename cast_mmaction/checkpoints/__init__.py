"""Weights of other codebases: pure functions from keys to keys."""
from .convert import CONVERTERS, REVERTERS, convert, revert
from .loading import load_pretrained, load_strictly
from .reading import read_state_dict
from .rename import CheckpointError

__all__ = [
    'CONVERTERS', 'CheckpointError', 'REVERTERS', 'convert',
    'load_pretrained', 'load_strictly', 'read_state_dict', 'revert'
]
