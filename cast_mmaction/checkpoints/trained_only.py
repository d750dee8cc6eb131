"""Checkpoints without the frozen experts, which are named instead.

CAST-B trains 45 M of 217 M parameters. What is frozen is known already: from
the file or tag that the expert's ``pretrained`` names. Such a checkpoint
holds, in place of an expert's frozen tensors, one tensor ``frozen_identity``:
JSON as bytes, of the ``pretrained`` that they came from and the SHA-256 of
them in float32, whatever type the model holds them in. It travels with the
weights through every format and every way of loading.
"""
import copy
import hashlib
import json
import logging
from contextlib import contextmanager
from typing import Dict, Iterator, List, Optional

import torch
from mmengine.logging import MMLogger
from torch import Tensor, nn

from .rename import CheckpointError, StateDict

KEY = 'frozen_identity'


def mark_frozen(expert: nn.Module) -> None:
    """Teaches an expert to load checkpoints that only name it."""
    if not is_frozen(expert):
        expert.register_load_state_dict_pre_hook(_fill)
        expert.verified_sha256 = None  # see `_verify`
        expert.is_random = True  # until weights are loaded


def is_frozen(module: nn.Module) -> bool:
    """Whether a module is an expert that :func:`mark_frozen` has seen."""
    return hasattr(module, 'verified_sha256')


def random_experts(model: nn.Module) -> List[str]:
    """Names of the frozen experts that nothing was loaded into."""
    return [
        name for name, module in model.named_modules()
        if is_frozen(module) and module.is_random
    ]


def verify_experts(model: nn.Module) -> None:
    """Compares the frozen experts of a model with their ``pretrained``.

    The log names those that could not be found again, because they have no
    ``pretrained`` or hold other weights: they stay in every checkpoint.
    """
    for name, module in model.named_modules():
        if is_frozen(module) and not _verify(module):
            MMLogger.get_current_instance().warning(
                f'{name} is stored with every checkpoint: its weights are '
                f'not those of pretrained={module.pretrained!r}')


@contextmanager
def trained_only(model: nn.Module) -> Iterator[None]:
    """Inside, ``model.state_dict()`` names its frozen experts instead of
    holding them, but for those that could not be found again (see
    :func:`verify_experts`)."""
    handles = [
        module.register_state_dict_post_hook(_drop)
        for module in model.modules() if is_frozen(module) and _verify(module)
    ]
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


def frozen_tensors(expert: nn.Module) -> Dict[str, Tensor]:
    """The state dict of an expert without what is trained."""
    return _frozen(expert, expert.state_dict())


def _frozen(expert: nn.Module, state_dict: StateDict,
            prefix: str = '') -> Dict[str, Tensor]:
    trained = {n for n, p in expert.named_parameters() if p.requires_grad}
    return {
        key[len(prefix):]: value
        for key, value in state_dict.items()
        if key.startswith(prefix) and key[len(prefix):] not in trained
    }


def _pretrained(expert: nn.Module) -> Dict[str, Tensor]:
    """What is frozen as ``pretrained`` has it, in float32."""
    twin = copy.deepcopy(expert).float()
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.WARNING)  # that of the expert is in the log
    try:
        twin.init_weights()
    finally:
        logger.setLevel(level)
    return frozen_tensors(twin)


def _verify(expert: nn.Module) -> Optional[str]:
    """SHA-256 of ``pretrained`` if the expert really holds that, looked up
    once; else something empty."""
    if expert.verified_sha256 is None and expert.pretrained:
        source = _pretrained(expert)
        same = all(
            torch.equal(value, source[key].to(value.dtype))
            for key, value in frozen_tensors(expert).items())
        expert.verified_sha256 = sha256(source) if same else ''
    return expert.verified_sha256


def _drop(expert: nn.Module, state_dict: StateDict, prefix: str,
          local_metadata: dict) -> None:
    for name in _frozen(expert, state_dict, prefix):
        del state_dict[prefix + name]
    identity = dict(
        pretrained=expert.pretrained, sha256=expert.verified_sha256)
    state_dict[prefix + KEY] = torch.frombuffer(
        bytearray(json.dumps(identity).encode()), dtype=torch.uint8)


def _fill(expert: nn.Module, state_dict: StateDict, prefix: str,
          *_) -> None:
    expert.verified_sha256 = None  # what is loaded may be other weights
    if prefix + KEY not in state_dict:
        if all(prefix + name in state_dict for name in frozen_tensors(expert)):
            expert.is_random = False
        return
    identity = _identity(state_dict.pop(prefix + KEY), prefix)
    wanted = identity['sha256']
    if sha256(frozen_tensors(expert)) != wanted:
        # Nothing has called init_weights, as when a model is only tested; or
        # the weights are held in another type.
        expert.init_weights()
        if sha256(_pretrained(expert)) != wanted:
            raise CheckpointError(
                f'{prefix}: the checkpoint was trained on the expert '
                f'pretrained={identity["pretrained"]!r} (SHA-256 '
                f'{wanted[:12]}...), and pretrained={expert.pretrained!r} '
                'holds other weights. Set `pretrained` to a file with the '
                'former, or use a full checkpoint')
    expert.is_random = False
    for name, value in frozen_tensors(expert).items():
        state_dict.setdefault(prefix + name, value)


def _identity(tensor: Tensor, prefix: str) -> Dict[str, str]:
    try:
        identity = json.loads(bytes(tensor.tolist()))
        return {name: str(identity[name]) for name in ('pretrained', 'sha256')}
    except (LookupError, RecursionError, TypeError, ValueError) as error:
        raise CheckpointError(f'{prefix}{KEY} names no expert '
                              f'({str(error)[:100]})') from None
