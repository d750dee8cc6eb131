#!/usr/bin/env bash
# tools/dist_train.sh CONFIG GPUS [ARGUMENT of train.py ...]
#
# GPUS is the number on each machine. Environment: NNODES, NODE_RANK,
# MASTER_ADDR and PORT for several machines, RESTARTS (see launch.sh), PYTHON
# for another interpreter.
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"

if (($# < 2)); then
    echo "Usage: $0 CONFIG GPUS [ARGUMENT ...]" >&2
    exit 2
fi
config="$1" count="$2"
shift 2

check_count "$count" "$0 $config" "$(quoted "$@")"
launch "$count" "$ROOT/tools/train.py" "$config" --launcher pytorch "$@"
