"""Weights of other codebases: pure functions from keys to keys."""
from .convert import CONVERTERS, REVERTERS, convert, revert
from .kinds import KINDS, kind_of, load_classifier
from .loading import load_pretrained, load_strictly, read_pretrained
from .reading import read_checkpoint, read_state_dict
from .rename import CheckpointError
from .trained_only import (complete, is_frozen, mark_frozen, random_experts,
                           trained_only, verify_experts)

__all__ = [
    'CONVERTERS', 'CheckpointError', 'KINDS', 'REVERTERS', 'complete',
    'convert', 'is_frozen', 'kind_of', 'load_classifier', 'load_pretrained',
    'load_strictly', 'mark_frozen', 'random_experts', 'read_checkpoint',
    'read_pretrained', 'read_state_dict', 'revert', 'trained_only',
    'verify_experts'
]
