# Sourced by dist_*.sh. Starts one process per GPU, on this machine or as one
# of NNODES machines; without any GPU, processes on the CPU.
#
# RESTARTS=3 has all processes start again, three times at most, when one has
# died or a machine is lost; NNODES=1:4 also with fewer machines, and with more
# when they come. A training then goes on from its last checkpoint by itself.
set -euo pipefail

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
NNODES="${NNODES:-1}"
RESTARTS="${RESTARTS:-0}"
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

if ! [[ "$NNODES" =~ ^[1-9][0-9]*(:[1-9][0-9]*)?$ ]]; then
    echo "NNODES is the number of machines, or the least and most of them" \
        "as 1:4, not '$NNODES'" >&2
    exit 2
fi
if ! [[ "$RESTARTS" =~ ^[0-9]+$ ]]; then
    echo "RESTARTS is how often to start again, not '$RESTARTS'" >&2
    exit 2
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
        advise "$count" "$have" "$kind" "$before" "$after"
        exit 2
    fi
}

# advise COUNT HAVE KIND BEFORE AFTER: how to get as many processes as
# NNODES machines with COUNT each, out of machines with HAVE each.
advise() {
    local count="$1" have="$2" kind="$3" before="$4" after="$5"
    local most="${NNODES#*:}" address
    local total=$((count * most))
    local machines=$(((total + have - 1) / have))
    local each=$(((total + machines - 1) / machines))
    address="$(hostname -I 2>/dev/null | cut -d' ' -f1 || true)"
    address="${address:-$(hostname)}"
    local also=""
    [[ "$most" == 1 ]] || also=" on each of $most machines, $total in all"
    {
        echo "This machine has $have ${kind}(s), $count are asked for$also."
        echo "On $machines machines with $each each, run"
        local rank
        for ((rank = 0; rank < machines; rank++)); do
            if ((rank == 2 && machines > 3)); then
                echo "  and so on: NODE_RANK=2 to $((machines - 1))"
                break
            fi
            echo "  NNODES=$machines NODE_RANK=$rank MASTER_ADDR=$address $before $each$after"
        done
        echo "the first on this one, each of the others on another one."
        if ((machines * each != total)); then
            echo "These are $((machines * each)) processes, not $total: a step" \
                "takes other numbers of clips. --auto-scale-lr fits the" \
                "learning rate to that."
        fi
    } >&2
}

# launch COUNT SCRIPT [ARGUMENT ...]
launch() {
    local count="$1"
    shift
    local where=(--standalone)
    if [[ "$RESTARTS" != 0 || "$NNODES" == *:* ]]; then
        # Machines find each other again, whichever are left. Their order is
        # that of their names, not NODE_RANK.
        where=(--nnodes "$NNODES" --rdzv-backend c10d
               --rdzv-id "${JOB_ID:-cast}"
               --rdzv-endpoint "$MASTER_ADDR:${PORT:-29500}")
        [[ "$NNODES" != 1 || -n "${PORT:-}" ]] || where=(--standalone)
        where+=(--max-restarts "$RESTARTS")
        # Else the second start meets what the first one has left there.
        export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
        # Fewer processes than these accumulate.
        export CAST_PROCESSES=$((count * ${NNODES#*:}))
        # Marks the checkpoints of this launch: a restart goes on from them.
        export CAST_LAUNCH="$(hostname)-$$-$(date +%s%N)"
    elif [[ "$NNODES" != 1 || -n "${PORT:-}" ]]; then
        where=(--nnodes "$NNODES" --node-rank "$NODE_RANK"
               --master-addr "$MASTER_ADDR" --master-port "${PORT:-29500}")
    fi
    # What a training may take to save after a signal; torchrun gives it 30 s.
    export TORCH_ELASTIC_SHUTDOWN_TIMEOUT="${TORCH_ELASTIC_SHUTDOWN_TIMEOUT:-600}"
    exec "$PYTHON" "$ROOT/tools/launch.py" "${where[@]}" \
        --nproc-per-node "$count" "$@"
}

# quoted [ARGUMENT ...]: as they can be typed again, with a blank before each
quoted() { (($# == 0)) || printf ' %q' "$@"; }
