"""Verb, noun and action figures, and files for the leaderboards."""
from .dumps import DumpPlainResults
from .epic_sounds import EpicSoundsMetric
from .metrics import ClipAccuracy, VerbNounMetric
from .verb_noun import (class_f1, harmonic_mean, log_probabilities,
                        super_class_f1, verb_noun_accuracy)

__all__ = [
    'ClipAccuracy', 'DumpPlainResults', 'EpicSoundsMetric', 'VerbNounMetric',
    'class_f1', 'harmonic_mean', 'log_probabilities', 'super_class_f1',
    'verb_noun_accuracy'
]
