"""From a recognizer and a video to an answer by name."""
from .answers import Answer, Guess, best_guesses
from .predictor import predict

__all__ = ['Answer', 'Guess', 'best_guesses', 'predict']
