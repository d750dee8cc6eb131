"""How many processes read for a training: ``num_workers='auto'``."""
import math
import os
from pathlib import Path

# More workers hold more batches in memory than they hand over.
MOST = 16
# How launchers say how many processes they start on a machine.
PROCESSES = ('LOCAL_WORLD_SIZE', 'OMPI_COMM_WORLD_LOCAL_SIZE',
             'SLURM_NTASKS_PER_NODE')
# What a container may use: microseconds of CPU in so many microseconds.
QUOTA = Path('/sys/fs/cgroup/cpu.max')


def usable_cores() -> int:
    """CPU cores that this process, or its container, may use."""
    cores = len(os.sched_getaffinity(0))
    if QUOTA.is_file():
        quota, period = QUOTA.read_text().split()
        if quota != 'max':
            cores = min(cores, math.ceil(int(quota) / int(period)))
    return cores


def processes_here() -> int:
    """Training processes on this machine; 1 without a launcher."""
    for name in PROCESSES:
        if os.environ.get(name, '').isdigit():
            return max(int(os.environ[name]), 1)
    return 1


def auto_workers() -> int:
    """Workers of one process: its share of the cores, less one for itself.

    Returns:
        int: From 1 to `MOST`.
    """
    return min(max(usable_cores() // processes_here() - 1, 1), MOST)
