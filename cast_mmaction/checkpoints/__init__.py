"""Weights of other codebases: pure functions from keys to keys."""
from .convert import CONVERTERS, convert
from .loading import (CheckpointError, load_pretrained, load_strictly,
                      read_state_dict)

__all__ = [
    'CONVERTERS', 'CheckpointError', 'convert', 'load_pretrained',
    'load_strictly', 'read_state_dict'
]
