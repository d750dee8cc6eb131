"""Checkpoints without the frozen experts, which are named instead.

CAST-B trains 45 M of 217 M parameters. What is frozen is known already: from
the file or tag that the expert's ``pretrained`` names. Such a checkpoint
holds, in place of an expert's frozen tensors, one tensor ``frozen_identity``:
JSON as bytes, of the ``pretrained`` that they came from and their SHA-256.
It travels with the weights through every format and every way of loading.
"""
import hashlib
import json
from contextlib import contextmanager
from typing import Dict, Iterator

import torch
from mmengine.logging import MMLogger
from torch import Tensor, nn

from .rename import CheckpointError, StateDict

KEY = 'frozen_identity'


def mark_frozen(expert: nn.Module) -> None:
    """Teaches an expert to load checkpoints that only name it."""
    if not is_frozen(expert):
        expert.frozen_expert = True
        expert.register_load_state_dict_pre_hook(_fill)


def is_frozen(module: nn.Module) -> bool:
    """Whether a module is an expert that :func:`mark_frozen` has seen."""
    return getattr(module, 'frozen_expert', False)


@contextmanager
def trained_only(model: nn.Module) -> Iterator[None]:
    """Inside, ``model.state_dict()`` names its frozen experts instead of
    holding them.

    An expert without ``pretrained`` could not be found again: it stays.
    """
    handles = []
    for name, module in model.named_modules():
        if is_frozen(module):
            if module.pretrained:
                handles.append(module.register_state_dict_post_hook(_drop))
            else:
                MMLogger.get_current_instance().warning(
                    f'{name} is stored with the checkpoint: without '
                    '`pretrained` nothing says where its weights come from')
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def complete(model: nn.Module, state_dict: StateDict) -> StateDict:
    """Puts the frozen tensors of a model where a checkpoint names them.

    Args:
        model: The model. An expert that does not hold the named weights
            loads them from its ``pretrained`` first.
        state_dict: Of a checkpoint of either kind.

    Returns:
        The state dict of a full checkpoint.

    Raises:
        CheckpointError: if an expert is not the one that is named.
    """
    completed = dict(state_dict)
    for name, module in model.named_modules():
        if is_frozen(module):
            _fill(module, completed, f'{name}.' if name else '')
    return completed


def sha256(tensors: Dict[str, Tensor]) -> str:
    """SHA-256 over names, shapes and values, whatever their order."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f'{name} {tuple(tensor.shape)} {tensor.dtype} '.encode())
        plain = tensor.detach().cpu().contiguous().flatten()
        digest.update(memoryview(plain.view(torch.uint8).numpy()))
    return digest.hexdigest()


def _frozen(expert: nn.Module, state_dict: StateDict,
            prefix: str = '') -> Dict[str, Tensor]:
    """The expert's part of a state dict without what is trained."""
    trained = {n for n, p in expert.named_parameters() if p.requires_grad}
    return {
        key[len(prefix):]: value
        for key, value in state_dict.items()
        if key.startswith(prefix) and key[len(prefix):] not in trained
    }


def _drop(expert: nn.Module, state_dict: StateDict, prefix: str,
          local_metadata: dict) -> None:
    frozen = _frozen(expert, state_dict, prefix)
    identity = dict(pretrained=expert.pretrained, sha256=sha256(frozen))
    for name in frozen:
        del state_dict[prefix + name]
    state_dict[prefix + KEY] = torch.frombuffer(
        bytearray(json.dumps(identity).encode()), dtype=torch.uint8)


def _fill(expert: nn.Module, state_dict: StateDict, prefix: str,
          *_) -> None:
    if prefix + KEY not in state_dict:
        return
    identity = json.loads(bytes(state_dict.pop(prefix + KEY).tolist()))
    frozen = _frozen(expert, expert.state_dict())
    if sha256(frozen) != identity['sha256']:
        # Nothing has called init_weights, as when a model is only tested.
        expert.init_weights()
        frozen = _frozen(expert, expert.state_dict())
    if sha256(frozen) != identity['sha256']:
        raise CheckpointError(
            f'{prefix}: the checkpoint was trained on the expert '
            f'pretrained={identity["pretrained"]!r} (SHA-256 '
            f'{identity["sha256"][:12]}...), and pretrained='
            f'{expert.pretrained!r} holds other weights. Set `pretrained` '
            'to a file with the former, or use a full checkpoint')
    for name, value in frozen.items():
        state_dict.setdefault(prefix + name, value)
