#!/usr/bin/env bash
# bash tools/run_tests.sh [ARGUMENT of pytest ...]
#
# Installs into .venv if need be, then runs the tests. After the first run no
# network is needed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/install.sh

# What comes with the system: Chromium, in which the page is tested, and the
# libraries of FFmpeg, by which torchcodec reads. Where they can be had they
# are installed, once; elsewhere these tests are skipped.
_find() {
    local package="$1" without="$2" name why log=".venv/.$1.log"
    shift 2
    for name in "$@"; do
        if command -v "$name" >/dev/null; then
            return
        fi
    done
    if [[ -f "$log" ]]; then
        why="apt-get could not install it, see $log (without that file it is \
tried again)"
    elif ! command -v apt-get >/dev/null; then
        why='there is no apt-get'
    elif ((EUID != 0)); then
        why='to install it takes root'
    elif (export DEBIAN_FRONTEND=noninteractive
          timeout 300 apt-get update &&
              timeout 900 apt-get install -y --no-install-recommends \
                  "$package"
         ) >"$log" 2>&1; then
        rm "$log"
        return
    else
        why="apt-get could not install it, see $log"
    fi
    echo "No $package, so $without: $why"
}
_find chromium 'the page is not tested in a browser' chromium chromium-browser
_find ffmpeg 'torchcodec is not tested' ffmpeg

# The tests start processes themselves, and never download anything.
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" HF_HUB_OFFLINE=1
# They are about the CPU; tools/benchmarks/gpu.sh runs what is about a GPU.
export CUDA_VISIBLE_DEVICES=

# A process for each core, a file of tests at a time. Each takes 2 GB or so.
processes="$(env -u OMP_NUM_THREADS nproc)"
exec python -m pytest -ra -n "$((processes < 4 ? processes : 4))" \
    --dist loadfile "$@"
