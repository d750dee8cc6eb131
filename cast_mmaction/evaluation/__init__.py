"""Verb, noun and action figures, and files for the leaderboards."""
