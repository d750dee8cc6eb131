#!/usr/bin/env bash
# tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [ARGUMENT of test.py ...]
#
# Environment: GPUS (8), GPUS_PER_NODE (8 or GPUS), CPUS_PER_TASK (8), and
# SRUN_ARGS for more options of srun, such as --signal=TERM@120, which lets a
# training save before its time is over.
set -euo pipefail

if (($# < 4)); then
    echo "Usage: $0 PARTITION JOB_NAME CONFIG CHECKPOINT [ARGUMENT ...]" >&2
    exit 2
fi
ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
partition="$1" name="$2"
shift 2
GPUS="${GPUS:-8}"
GPUS_PER_NODE="${GPUS_PER_NODE:-$((GPUS < 8 ? GPUS : 8))}"
read -ra more <<<"${SRUN_ARGS:-}"
export PYTHONPATH="$ROOT${PYTHONPATH:+:$PYTHONPATH}"

srun --partition "$partition" --job-name "$name" \
    --gres "gpu:$GPUS_PER_NODE" --ntasks "$GPUS" \
    --ntasks-per-node "$GPUS_PER_NODE" \
    --cpus-per-task "${CPUS_PER_TASK:-8}" --kill-on-bad-exit 1 \
    ${more[@]+"${more[@]}"} \
    "${PYTHON:-python3}" -u "$ROOT/tools/test.py" "$@" --launcher slurm
