"""Moved to tools/results/fuse_results.py."""
from moved import run

run('results/fuse_results.py')
