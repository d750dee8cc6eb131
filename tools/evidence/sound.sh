#!/usr/bin/env bash
# bash tools/evidence/sound.sh
#
# Makes the table of docs/sound.md: writes the generated set with sound,
# pre-trains the three experts, trains and tests every row with three seeds,
# two at a time, and prints the table. 25 to 50 minutes on two CPU cores, by
# what else they do; what is there already is kept, a stopped run goes on.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

DATA=data/demo_sound
EXPERTS=work_dirs/demo/experts # those of the quickstart, and a third
OUT=work_dirs/sound

source tools/install.sh
export PYTHONPATH="$PWD" PYTHONUNBUFFERED=1
export OMP_NUM_THREADS=1     # one process per core
export CUDA_VISIBLE_DEVICES= # the CPU, whatever GPUs there are

python tools/demo/make_clips.py "$DATA" --sound --train 2700 --test 500
for expert in spatial temporal audio; do
    python tools/demo/pretrain.py "$expert" "$EXPERTS/$expert.pth"
done

python tools/evidence/run_sound.py "$OUT" --jobs 2
python tools/demo/sound_table.py "$OUT" --labels "$DATA/test.csv" |
    tee "$OUT/table.md"
