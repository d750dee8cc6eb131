# Sourced by dist_*.sh. Starts one process per GPU, on this machine or as one
# of NNODES machines; without any GPU, processes on the CPU.
set -euo pipefail

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
NNODES="${NNODES:-1}"
NODE_RANK="${NODE_RANK:-0}"
MASTER_ADDR="${MASTER_ADDR:-127.0.0.1}"
export PYTHONPATH="$ROOT${PYTHONPATH:+:$PYTHONPATH}"

# The active environment, else the one that quickstart.sh and run_tests.sh make.
if [[ -z "${PYTHON:-}" ]]; then
    PYTHON=python3
    if [[ -z "${VIRTUAL_ENV:-}${CONDA_PREFIX:-}" &&
          -x "$ROOT/.venv/bin/python" ]]; then
        PYTHON="$ROOT/.venv/bin/python"
    fi
fi

# check_count COUNT BEFORE [AFTER]: stop if this machine cannot run COUNT
# processes; BEFORE and AFTER are the command around that number.
check_count() {
    local count="$1" before="$2" after="${3:-}"
    if ! [[ "$count" =~ ^[1-9][0-9]*$ ]]; then
        echo "The number of GPUs must be a positive number, not '$count'" >&2
        exit 2
    fi
    local have kind=GPU
    have="$("$PYTHON" -c 'import torch; print(torch.cuda.device_count())')"
    if [[ "$have" == 0 ]]; then
        # nproc itself heeds OMP_NUM_THREADS. Two processes always get along.
        have="$(env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc)"
        have=$((have < 2 ? 2 : have)) kind="CPU core"
        export OMP_NUM_THREADS="${OMP_NUM_THREADS:-$((
            count < have ? have / count : 1))}"
    fi
    export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
    if ((count > have)); then
        local each=$(((count + 1) / 2)) address
        address="$(hostname -I 2>/dev/null | cut -d' ' -f1 || true)"
        address="${address:-$(hostname)}"
        {
            echo "This machine has $have ${kind}(s), $count are asked for."
            echo "On two machines with $each each, run on this one"
            echo "  NNODES=2 NODE_RANK=0 MASTER_ADDR=$address $before $each$after"
            echo "and on the other one"
            echo "  NNODES=2 NODE_RANK=1 MASTER_ADDR=$address $before $each$after"
        } >&2
        exit 2
    fi
}

# launch COUNT SCRIPT [ARGUMENT ...]
launch() {
    local count="$1"
    shift
    local where=(--standalone)
    if [[ "$NNODES" != 1 || -n "${PORT:-}" ]]; then
        where=(--nnodes "$NNODES" --node-rank "$NODE_RANK"
               --master-addr "$MASTER_ADDR" --master-port "${PORT:-29500}")
    fi
    # What a training may take to save after a signal; torchrun gives it 30 s.
    export TORCH_ELASTIC_SHUTDOWN_TIMEOUT="${TORCH_ELASTIC_SHUTDOWN_TIMEOUT:-600}"
    exec "$PYTHON" -m torch.distributed.run "${where[@]}" \
        --nproc-per-node "$count" "$@"
}

# quoted [ARGUMENT ...]: as they can be typed again, with a blank before each
quoted() { (($# == 0)) || printf ' %q' "$@"; }
