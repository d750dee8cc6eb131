"""Weights of other codebases: pure functions from keys to keys."""
