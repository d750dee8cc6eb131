"""The end of a distributed run."""
import gc

import torch.distributed as dist
from mmengine.dist import barrier, is_distributed


def leave_process_group() -> None:
    """Wait for all processes, then leave their group.

    Call it when the runner is out of scope: the wrapper around its model
    holds the group, and a group that goes with the interpreter takes the
    process down with it (gloo's threads end in ``std::terminate``).
    """
    if is_distributed():
        barrier()
        dist.destroy_process_group()
        gc.collect()
