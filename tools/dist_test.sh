#!/usr/bin/env bash
# tools/dist_test.sh CONFIG CHECKPOINT GPUS [ARGUMENT of test.py ...]
#
# GPUS is the number on each machine. Environment: NNODES, NODE_RANK,
# MASTER_ADDR and PORT for several machines, RESTARTS (see launch.sh), PYTHON
# for another interpreter.
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"

if (($# < 3)); then
    echo "Usage: $0 CONFIG CHECKPOINT GPUS [ARGUMENT ...]" >&2
    exit 2
fi
config="$1" checkpoint="$2" count="$3"
shift 3

check_count "$count" "$0 $config $checkpoint" "$(quoted "$@")"
launch "$count" "$ROOT/tools/test.py" "$config" "$checkpoint" \
    --launcher pytorch "$@"
