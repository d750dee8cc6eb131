"""Moved to tools/data/prepare.py."""
from moved import run

run('data/prepare.py')
