"""Moved to tools/checkpoints/publish_model.py."""
from moved import run

run('checkpoints/publish_model.py')
