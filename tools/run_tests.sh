#!/usr/bin/env bash
# bash tools/run_tests.sh [ARGUMENT of pytest ...]
#
# Installs into .venv if need be, then runs the tests. After the first run no
# network is needed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/install.sh

# The tests start processes themselves, and never download anything.
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" HF_HUB_OFFLINE=1
# They are about the CPU; tools/benchmarks/gpu.sh runs what is about a GPU.
export CUDA_VISIBLE_DEVICES=

# A process for each core, a file of tests at a time. Each takes 2 GB or so.
processes="$(env -u OMP_NUM_THREADS nproc)"
exec python -m pytest -ra -n "$((processes < 4 ? processes : 4))" \
    --dist loadfile "$@"
