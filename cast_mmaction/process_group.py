"""What processes give each other, without a folder that all of them see."""
import io
import os
import pickle
import socket
from typing import Any, Callable, Dict, List, Optional

import torch
from mmengine.dist import (all_gather_object, all_reduce, broadcast,
                           broadcast_object_list, get_rank, get_world_size)
from torch import Tensor
from torch import distributed as dist

# Items of each process that travel at once: what the first one takes in
# stays small beside what it keeps.
ROUND = 256
NAMED = 4  # differences in a message


def this_process() -> str:
    """Its name in messages."""
    return f'process {get_rank()} on {socket.gethostname()}'


def first_on_machine() -> bool:
    """Whether no other process of this machine comes before this one."""
    return os.environ.get('LOCAL_RANK', '0') == '0'


def gather(items: list) -> Optional[List[list]]:
    """Bring the lists of all processes to the first one.

    Args:
        items (list): Of this process; anything that can be pickled.

    Returns:
        list[list]: One for each process, on the first; None elsewhere.
    """
    if get_world_size() == 1:
        return [items]
    # The first one's own items need not travel.
    sent = [] if get_rank() == 0 else items
    length = torch.tensor(len(sent))
    all_reduce(length, 'max')
    found = [[] for _ in range(get_world_size())] if get_rank() == 0 else None
    for begin in range(0, int(length), ROUND):
        part = None if found is None else [None] * len(found)
        dist.gather_object(sent[begin:begin + ROUND], part)
        for whole, more in zip(found or [], part or []):
            whole += more
    if found is not None:
        found[0] = items
    return found


def from_process(make: Callable[[], Any],
                 source: int = 0,
                 map_location: Any = None) -> Any:
    """What one process makes, on all of them; tensors one at a time.

    Args:
        make (callable): Called on that process alone, say to read a file.
        source (int): Its rank. Defaults to 0.
        map_location (str or torch.device, optional): Where the others put
            the tensors; anything else means the CPU.

    Raises:
        RuntimeError: On the others, if it raises on that process.
    """
    if get_world_size() == 1:
        return make()
    tensors: List[Tensor] = []
    told = [None, None]
    if get_rank() == source:
        try:
            content = make()
            told[0] = _take_apart(content, tensors)
        except Exception as error:
            broadcast_object_list(
                [None, f'{this_process()}: {type(error).__name__}: {error}'],
                source)
            raise
    broadcast_object_list(told, source)
    data, problem = told
    if problem:
        raise RuntimeError(problem)
    if get_rank() == source:
        for tensor in tensors:
            _send(tensor, source)
        return content
    place = map_location if isinstance(map_location,
                                       (str, torch.device)) else 'cpu'
    return _Unpickler(data, source, place).load()


def require_equal(what: Dict[str, str], remedy: str) -> None:
    """Stop all processes if one was started in another way.

    Args:
        what (dict[str, str]): Names, and what they are on this process.
        remedy (str): The end of the message.

    Raises:
        ValueError: On all processes. Names both sides.
    """
    if get_world_size() == 1:
        return
    first = [what, this_process()]
    broadcast_object_list(first)
    wanted, owner = first
    names = [*wanted, *(name for name in what if name not in wanted)]
    found = [(name, what.get(name, 'nothing'), wanted.get(name, 'nothing'))
             for name in names if what.get(name) != wanted.get(name)]
    # As sentences: all processes hear of the others' differences.
    said = [
        f'{name} is {here} on {this_process()}, and {there} on {owner}'
        for name, here, there in found[:NAMED]
    ]
    if len(found) > NAMED:
        said.append(f'{len(found) - NAMED} more differ there')
    said = next(filter(None, all_gather_object(said)), None)
    if said:
        raise ValueError('the processes of one run were started differently: '
                         f'{"; ".join(said)}. {remedy}')


def _take_apart(content: Any, tensors: List[Tensor]) -> bytes:
    """A pickle in which tensors are only named; they go to the list."""
    file = io.BytesIO()
    places: Dict[int, int] = {}

    class Pickler(pickle.Pickler):

        def persistent_id(self, value: Any) -> Optional[tuple]:
            if not isinstance(value, Tensor):
                return None
            if id(value) not in places:
                places[id(value)] = len(tensors)
                tensors.append(value)
            return places[id(value)], value.dtype, tuple(value.shape)

    Pickler(file).dump(content)
    return file.getvalue()


class _Unpickler(pickle.Unpickler):
    """Receives the tensors in the order in which they were named."""

    def __init__(self, data: bytes, source: int, place: Any) -> None:
        super().__init__(io.BytesIO(data))
        self.source, self.place = source, place
        self.tensors: List[Tensor] = []

    def persistent_load(self, pid: tuple) -> Tensor:
        place, dtype, shape = pid
        if place == len(self.tensors):
            tensor = torch.empty(shape, dtype=dtype, device=self.place)
            _receive(tensor, self.source)
            self.tensors.append(tensor)
        return self.tensors[place]


def _bytes(tensor: Tensor) -> Tensor:
    """A view: not all backends know all types."""
    return tensor.reshape(-1).view(torch.uint8)


def _send(tensor: Tensor, source: int) -> None:
    if tensor.numel():
        broadcast(_bytes(tensor.detach().contiguous()), source)


def _receive(tensor: Tensor, source: int) -> None:
    if tensor.numel():
        broadcast(_bytes(tensor), source)
