"""Moved to tools/benchmarks/benchmark.py."""
from moved import run

run('benchmarks/benchmark.py')
