#!/usr/bin/env bash
# sbatch [OPTION ...] tools/slurm_requeue.sh CONFIG [ARGUMENT of train.py ...]
#
# A training that is longer than its time limit; submit it from the root of the
# repository. Five minutes before the limit Slurm sends SIGTERM, the training
# saves and ends, and the job goes back into the queue and on from there. So it
# does after a lost node. MAX_REQUEUES (100) ends what never comes to an end.
# Options of sbatch go before those below: --nodes 4 --time 8:00:00 ...
#SBATCH --job-name=cast
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=8
#SBATCH --gres=gpu:8
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
#SBATCH --signal=TERM@300
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail

ROOT="${SLURM_SUBMIT_DIR:-$PWD}"  # Slurm runs a copy of this file
if (($# < 1)) || [[ ! -f "$ROOT/tools/train.py" ]]; then
    echo "Usage, in the root of the repository:" \
        "sbatch [OPTION ...] tools/slurm_requeue.sh CONFIG [ARGUMENT ...]" >&2
    exit 2
fi
cd "$ROOT"
export PYTHONPATH="$ROOT${PYTHONPATH:+:$PYTHONPATH}"
export MASTER_PORT="${MASTER_PORT:-$((20000 + ${SLURM_JOB_ID:-0} % 20000))}"

status=0
srun --kill-on-bad-exit 1 "${PYTHON:-python3}" -u tools/train.py "$@" \
    --resume --launcher slurm || status=$?
if ((status == 128 + 15)); then  # stopped by SIGTERM
    if ((${SLURM_RESTART_COUNT:-0} >= ${MAX_REQUEUES:-100})); then
        echo "started again $SLURM_RESTART_COUNT times: not once more" >&2
        exit "$status"
    fi
    exec scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
