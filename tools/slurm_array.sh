#!/usr/bin/env bash
# sbatch --array=1-N [OPTION ...] tools/slurm_array.sh RUNS
#
# N trainings, such as those of an ablation, each a job of its own. RUNS is a
# file with one of them a line, a config and arguments of train.py:
#     configs/cast_ek100.py --cfg-options model.backbone.exchange.ratio=0.25
#     configs/cast_ek100.py --cfg-options model.backbone.exchange.ratio=1
# Empty lines and those that begin with # do not count. Without --work-dir a
# run goes to work_dirs/RUNS/NUMBER. Each is stopped, requeued and gone on with
# as by slurm_requeue.sh.
#SBATCH --job-name=cast
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --gres=gpu:1
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
#SBATCH --signal=TERM@300
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail

runs="${1:-}" number="${SLURM_ARRAY_TASK_ID:-}"
if [[ ! -f "$runs" || ! "$number" =~ ^[1-9][0-9]*$ ]]; then
    echo "Usage: sbatch --array=1-N [OPTION ...] tools/slurm_array.sh RUNS," \
        "a file with a run a line; not '$runs'" >&2
    exit 2
fi
mapfile -t lines < <(grep -vE '^[[:space:]]*(#|$)' "$runs")
if ((number > ${#lines[@]})); then
    echo "$runs has ${#lines[@]} runs, there is no run $number" >&2
    exit 2
fi
# Quotes are understood, nothing is run.
mapfile -t words < <(xargs -n 1 printf '%s\n' <<<"${lines[number - 1]}")
if [[ " ${words[*]} " != *" --work-dir"* ]]; then
    name="$(basename "$runs")"
    words+=(--work-dir "work_dirs/${name%.*}/$number")
fi
exec bash "${SLURM_SUBMIT_DIR:-$PWD}/tools/slurm_requeue.sh" "${words[@]}"
