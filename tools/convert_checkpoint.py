"""Moved to tools/checkpoints/convert_checkpoint.py."""
from moved import run

run('checkpoints/convert_checkpoint.py')
