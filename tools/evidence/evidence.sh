#!/usr/bin/env bash
# bash tools/evidence/evidence.sh
# bash tools/evidence/evidence.sh peers [--profile demo|paper] [OPTION ...]
#
# Makes the measurements of docs/evidence.md: writes the generated set,
# pre-trains three pairs of experts, trains every row of the claim three times
# on each pair and prints the tables. Hours on two CPU cores; what is there
# already is kept, a stopped run goes on.
#
# With peers: trains, tests and ranks CAST, the peers and two models of
# MMAction2, on the generated set (a minute or two a row) or, with --profile
# paper, on EPIC-KITCHENS-100; more options as of run_table.py.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

case "${1:-}" in
'' | peers) ;;
*)
    sed -n '2,14s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac

DATA=data/demo
PAIRS=(work_dirs/evidence/pair{0,1,2})
TABLES=work_dirs/evidence/tables
RATES=work_dirs/evidence/rates
LONGER=work_dirs/evidence/longer

source tools/install.sh
export PYTHONPATH="$PWD" PYTHONUNBUFFERED=1

if [[ "${1:-}" == peers ]]; then
    shift
    if [[ " $* " == *' --profile paper '* ]]; then
        exec python tools/evidence/run_table.py peers "$@"
    fi
    export OMP_NUM_THREADS=1 CUDA_VISIBLE_DEVICES=
    python tools/demo/make_clips.py "$DATA"
    for role in spatial temporal; do
        python tools/demo/pretrain.py "$role" "work_dirs/demo/experts/$role.pth"
    done
    exec python tools/evidence/run_table.py peers --lrs 4e-3 \
        --cfg-options train_dataloader.batch_size=32 \
        train_dataloader.dataset.indices=4000 "$@"
fi

export OMP_NUM_THREADS=1     # one process per core
export CUDA_VISIBLE_DEVICES= # the CPU, whatever GPUs there are

python tools/demo/make_clips.py "$DATA"
for seed in "${!PAIRS[@]}"; do
    for role in spatial temporal; do
        python tools/demo/pretrain.py "$role" "${PAIRS[seed]}/$role.pth" \
            --seed "$seed" &
    done
    wait -n
    wait -n
done

claim() { # cfg-options, then options of run_table.py
    python tools/evidence/run_table.py claim --jobs 2 --cfg-options \
        train_dataloader.batch_size=32 "$@"
}
relation() { # a folder of tables
    python tools/demo/relation.py --labels "$DATA/test.csv" \
        "$1"/demo/pair*/*/seed*/predictions.pkl | tee "$1/demo/relation.md"
}
# 4,000 of the 6,000 clips, so that a row takes a minute.
NINE=(train_dataloader.dataset.indices=4000 --seeds 0 1 2
    --experts "${PAIRS[@]}")
claim "${NINE[@]}" --work-dir "$TABLES" --lrs 2e-3 4e-3 8e-3
relation "$TABLES"
# How much hangs on the rate: CAST and T2S alone, each at the other's.
claim "${NINE[@]}" --work-dir "$RATES/4e-3" --lrs 4e-3 --rows cast
claim "${NINE[@]}" --work-dir "$RATES/8e-3" --lrs 8e-3 --rows t2s_only
# Three times as long.
claim train_cfg.max_epochs=4 --experts "${PAIRS[0]}" --work-dir "$LONGER" \
    --lrs 4e-3 --rows independent cast
relation "$LONGER"
