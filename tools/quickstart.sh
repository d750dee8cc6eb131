#!/usr/bin/env bash
# bash tools/quickstart.sh [--clean]
#
# From a fresh clone to a trained and tested CAST, on two CPU cores: makes
# .venv, writes a small set of mp4 files, pre-trains two small experts, trains
# CAST and what it is compared with, tests them and prints a table. What is
# there already is kept, a stopped run goes on. --clean removes data and
# results (not .venv) and starts over.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

DATA=data/demo
DEMO=work_dirs/demo # experts, logs
MODELS=(spatial_demo temporal_demo independent_demo cast_demo)
STAGES=$((2 + 2 * ${#MODELS[@]}))

case "${1:-}" in
'') ;;
--clean) rm -rf "$DATA" "$DEMO" "${MODELS[@]/#/work_dirs/}" ;;
*)
    sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac

source tools/install.sh
SECONDS=0

# Every command runs in the background in a process group of its own (set -m),
# so that ctrl-C reaches this script alone, which then stops the group.
set -m
job=
stop() {
    trap - INT TERM
    if [[ -n "$job" ]]; then
        echo "Stopping ..."
        kill -- "-$job" 2>/dev/null || true
        wait "$job" 2>/dev/null || true
    fi
    echo "Stopped. bash tools/quickstart.sh goes on from here."
    exit 130
}
trap stop INT TERM

# What is worth showing of a log: one line of progress at a time.
PROGRESS='
s/^.*Epoch(train) *\[\([0-9]*\)\]\[ *\([0-9/]*\)\].*\(eta: [^ ]*\).* \(loss: [^ ]*\) .*/epoch \1, step \2, \4, \3/p
s/^.*Epoch(test).*action_top1: \([^ ]*\) .*/action: \1 %/p
/ clips$/p
/^[a-z]* expert: /p'

# stage NAME TITLE COMMAND ...: run it with its output in a log, once
number=0
stage() {
    local log="$DEMO/logs/$1.log" done="$DEMO/done/$1" title="$2"
    local began=$SECONDS
    shift 2
    number=$((number + 1))
    echo "[$number/$STAGES] $title"
    if [[ -e "$done" ]]; then
        echo "    done before"
        return
    fi
    [[ "$(type -t "$1")" == function ]] || echo "    \$ $*"
    : >"$log" # it is there when tail looks, however late the job starts
    "$@" >>"$log" 2>&1 &
    job=$!
    tail -n +1 -f --pid "$job" "$log" | sed -un "$PROGRESS" | sed -u 's/^/    /' &
    local viewer=$!
    if ! wait "$job"; then
        kill -- "-$job" 2>/dev/null || true
        tail -n 20 "$log" >&2
        echo "This failed; all of its output is in $log" >&2
        exit 1
    fi
    job=
    wait "$viewer"
    touch "$done"
    echo "    took $((SECONDS - began)) s"
}

pretrain_experts() {
    local script=tools/demo/pretrain.py
    python "$script" spatial "$DEMO/experts/spatial.pth" &
    local spatial=$!
    python "$script" temporal "$DEMO/experts/temporal.pth"
    wait "$spatial"
}

# checkpoint_of WORK_DIR: the last one, as a relative path
checkpoint_of() {
    local path
    path="$(<"$1/last_checkpoint")"
    echo "${path#"$PWD/"}"
}

export PYTHONPATH="$PWD" PYTHONUNBUFFERED=1
export OMP_NUM_THREADS=1     # one process per core
export CUDA_VISIBLE_DEVICES= # two processes whatever GPUs there are
mkdir -p "$DEMO/logs" "$DEMO/done"

stage clips "Writing mp4 files to $DATA" \
    python tools/demo/make_clips.py "$DATA"
stage experts 'Pre-training the spatial and the temporal expert' \
    pretrain_experts
for model in "${MODELS[@]}"; do
    config="configs/demo/$model.py"
    [[ "$model" != cast_demo ]] || config=configs/cast_demo.py
    stage "train_$model" "Training $model" \
        bash tools/dist_train.sh "$config" 2 --resume
    stage "test_$model" "Testing $model" \
        bash tools/dist_test.sh "$config" "$(checkpoint_of "work_dirs/$model")" 2
done

echo
python tools/demo/table.py work_dirs | tee "$DEMO/table.md"
echo
echo "All of this took $((SECONDS / 60)) min $((SECONDS % 60)) s. CAST is" \
    "$(checkpoint_of work_dirs/cast_demo), the table $DEMO/table.md."
