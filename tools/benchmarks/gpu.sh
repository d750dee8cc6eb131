#!/usr/bin/env bash
# bash tools/benchmarks/gpu.sh [OUT] [--minutes N] [--parts NAME ...] [--dry]
#
# Everything that only a GPU can tell, in at most 8 minutes: the CUDA tests,
# then the tables of docs/performance.md. OUT (work_dirs/gpu) gets gpu.md and
# gpu.json, written again after every part, so that a run cut short leaves
# what it had. Each part has its share of the minutes and what those before
# it have left over; one that takes longer is ended, and both files name what
# is missing. PYTHON names another interpreter. --dry: tiny sizes, on the
# CPU; what needs a GPU is skipped and says so.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
if [[ -z "${PYTHON:-}" ]]; then
    PYTHON=python3
    if [[ -z "${VIRTUAL_ENV:-}${CONDA_PREFIX:-}" &&
          -x .venv/bin/python ]]; then
        PYTHON=.venv/bin/python
    fi
fi
export PYTHON PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" HF_HUB_OFFLINE=1
exec "$PYTHON" tools/benchmarks/gpu.py "$@"
