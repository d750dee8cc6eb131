"""All processes start from the same weights, and send each other few.

MMEngine sends all weights from the first process to the others, twice: 2 x
870 MB for CAST-B. Processes of one seed that have read the same files hold
the same weights already.
"""
import zlib
from typing import List

import torch
from mmengine.dist import broadcast, get_comm_device, is_distributed
from torch import Tensor
from torch import distributed as dist
from torch import nn

WORDS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
# Odd, so that no change of one word gets lost in a product modulo 2 ** 64.
FACTOR = 0x5851F42D4C957F2D


def send_what_differs(model: nn.Module) -> List[str]:
    """Give all processes the weights and buffers of the first one.

    One number of each tensor is compared; only tensors that are not the same
    everywhere travel.

    Args:
        model (nn.Module): Of this process; all processes call this.

    Returns:
        list[str]: Names of the tensors that were sent.

    Raises:
        RuntimeError: If the processes have built different models.
    """
    if not is_distributed():
        return []
    tensors = dict([*model.named_parameters(), *model.named_buffers()])
    if not tensors:
        return []
    outline = str([(name, tuple(x.shape), x.dtype)
                   for name, x in tensors.items()])
    if _differing(torch.tensor([zlib.crc32(outline.encode())])):
        raise RuntimeError(
            'the processes have built different models: names, shapes or '
            'types of their tensors differ. Start all of them with the same '
            'config, options and version')
    numbers = torch.stack([checksum(x) for x in tensors.values()])
    names = list(tensors)
    sent = [names[i] for i in _differing(numbers)]
    for name in sent:
        broadcast(tensors[name].detach())
    return sent


def checksum(tensor: Tensor) -> Tensor:
    """A number of the bits of a tensor and of their places, on its device.

    Returns:
        Tensor: int64, without dimensions. Tensors that differ in one element
        always have different ones, others by chance in one of 2 ** 63 cases.
    """
    flat = tensor.detach().contiguous().flatten()
    if flat.is_complex():
        flat = torch.view_as_real(flat).flatten()
    words = flat.view(WORDS[flat.element_size()]).long()
    places = torch.arange(len(words), device=words.device)
    return (words * (places * FACTOR * 2 + 1)).sum()


def _differing(numbers: Tensor) -> List[int]:
    """Places of numbers that are not the same in all processes."""
    numbers = numbers.to(get_comm_device())
    least, most = numbers.clone(), numbers.clone()
    dist.all_reduce(least, dist.ReduceOp.MIN)
    dist.all_reduce(most, dist.ReduceOp.MAX)
    return (least != most).nonzero().flatten().tolist()
