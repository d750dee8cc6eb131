"""Moved to tools/results/make_submission.py."""
from moved import run

run('results/make_submission.py')
