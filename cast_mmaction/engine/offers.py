"""Which checkpoint a training goes on from, when each machine has a disk of
its own.

The first process decides. A launcher that restarts a training gives all of
its processes one mark, and they leave it in their checkpoints: what bears the
mark of a living launcher is of this very run, on whatever machine it is.
"""
import os
from typing import List, NamedTuple, Optional, Tuple

LAUNCH = 'CAST_LAUNCH'  # tools/launch.sh sets it


class Offer(NamedTuple):
    """What a process can go on from.

    Attributes:
        path: None if there is nothing.
        problem: Why there is nothing, if something was to be there.
        place: Epoch and iteration.
        own: Whether this launch has written it.
        owner: Whose it is, for messages.
    """
    path: Optional[str]
    problem: str
    place: Tuple[int, int]
    own: bool
    owner: str


def make_offer(path: Optional[str], problem: str, meta: dict,
               owner: str) -> Offer:
    """The offer of a checkpoint that says ``meta`` of its training."""
    place = tuple(
        meta[key] if isinstance(meta.get(key), int) else 0
        for key in ('epoch', 'iter'))
    launch = os.environ.get(LAUNCH)
    return Offer(path, problem, place,
                 launch is not None and meta.get('launch') == launch, owner)


def choose(offers: List[Optional[Offer]],
           resume: bool) -> Tuple[int, Optional[Offer]]:
    """The same on all processes.

    Args:
        offers (list): Of the processes, by rank; None of those that are not
            the first on their machine.
        resume (bool): Whether the training was told to resume; else only a
            restart does.

    Returns:
        tuple: The rank and its offer; None to start as the config says. An
        offer may be a problem, and may be that of nothing.
    """
    own = [(x.place, -rank) for rank, x in enumerate(offers) if x and x.own]
    if own:
        rank = -max(own)[1]
        return rank, offers[rank]
    if not resume:
        return 0, None
    first = offers[0]
    others = [x for x in offers[1:] if x and x.path]
    if first.path is None and not first.problem and others:
        return 0, first._replace(
            problem=f'{others[0].owner} would go on from {others[0].path}, '
            f'but {first.owner}, who decides, has nothing to go on from. '
            'Copy that checkpoint into the work dir of the latter; or remove '
            'it to start anew')
    return 0, first
