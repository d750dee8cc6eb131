"""Reading weight files and filling an expert with them, strictly."""
import pickle
from pathlib import Path
from typing import Union

import torch
from mmengine.logging import MMLogger
from torch import nn

from .convert import convert
from .rename import CheckpointError, StateDict, shorten

# Names under which training codes keep the weights inside a checkpoint.
WRAPPERS = ('state_dict', 'model', 'module', 'model_state')

# Missing in a pre-training file: the read-out norm starts fresh.
ALLOWED_MISSING = {
    'clip': frozenset(),
    'videomae': frozenset({'norm.weight', 'norm.bias'}),
}


def read_state_dict(path: Union[str, Path]) -> StateDict:
    """Reads the tensors of a checkpoint file, and nothing but data.

    Args:
        path: A file of ``torch.save``.

    Returns:
        Name to tensor, out of the wrapper that it lay in.

    Raises:
        CheckpointError: naming the file, if it is missing, damaged, no
            checkpoint, or holds objects that only arbitrary code could
            rebuild.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f'{path}: there is no such weights file')
    try:
        content = torch.load(path, map_location='cpu', weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError,
            UnicodeDecodeError) as error:
        raise CheckpointError(
            f'{path}: cannot be read as a checkpoint; it is damaged, no '
            'checkpoint at all, or holds more than plain data '
            f'({str(error).splitlines()[0]})') from error
    for name in WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(name), dict):
            content = content[name]
            break
    if not isinstance(content, dict) or not content or not all(
            isinstance(v, torch.Tensor) for v in content.values()):
        raise CheckpointError(f'{path}: holds no state dict (a dict of '
                              'tensors, bare or under one of '
                              f'{", ".join(WRAPPERS)})')
    return content


def load_pretrained(expert: nn.Module, pretrained: str, source: str) -> None:
    """Fills an expert with weights, strictly.

    Args:
        expert: The module to fill.
        pretrained: A file; for the source 'clip' also an open_clip tag.
        source: Name of the converter, see ``convert``.

    Raises:
        CheckpointError: naming the file and the keys that do not fit.
    """
    if source == 'clip' and not Path(pretrained).exists():
        state_dict = _open_clip_state_dict(expert, pretrained)
    else:
        state_dict = read_state_dict(pretrained)
    own = _own_layout(state_dict)
    try:
        state_dict = own or convert(state_dict, source)
    except CheckpointError as error:
        raise CheckpointError(f'{pretrained}: {error}') from None
    load_strictly(expert, state_dict, pretrained,
                  frozenset() if own else ALLOWED_MISSING[source])
    MMLogger.get_current_instance().info(
        f'{type(expert).__name__}: loaded {len(state_dict)} tensors from '
        f'{pretrained}')


def _own_layout(state_dict: StateDict) -> StateDict:
    """The expert of a recognizer trained by this package, or nothing."""
    bare = {
        key.removeprefix('backbone.'): value
        for key, value in state_dict.items()
        if not key.startswith(('cls_head.', 'data_preprocessor.'))
    }
    return bare if 'embedding.patch_embed.projection.weight' in bare else {}


def load_strictly(module: nn.Module,
                  state_dict: StateDict,
                  name: str,
                  allowed_missing: frozenset = frozenset()) -> None:
    """Fills a module; nothing may be missing, unknown or of another shape.

    Args:
        module: The module to fill.
        state_dict: Name to tensor.
        name: What the error calls the source, such as its file.
        allowed_missing: Names that may be missing.

    Raises:
        CheckpointError: naming the keys that do not fit.
    """
    own = module.state_dict()
    missing = own.keys() - state_dict.keys() - allowed_missing
    unexpected = state_dict.keys() - own.keys()
    shapes = [
        f'{key} {tuple(value.shape)} instead of {tuple(own[key].shape)}'
        for key, value in state_dict.items()
        if key in own and own[key].shape != value.shape
    ]
    problems = [
        f'{what}: {shorten(keys)}'
        for what, keys in (('missing', missing), ('unexpected', unexpected),
                           ('wrong shape', shapes)) if keys
    ]
    if problems:
        raise CheckpointError(
            f'{name} does not fit {type(module).__name__}; '
            f'{"; ".join(problems)}. Is it of another architecture (arch, '
            'img_size, patch_size, num_frames)?')
    module.load_state_dict(state_dict, strict=not allowed_missing)


def _open_clip_state_dict(expert: nn.Module, tag: str) -> StateDict:
    """Weights that open_clip knows by a tag, fetched and read by it."""
    import open_clip
    size = {768: 'B', 1024: 'L'}.get(expert.embed_dims)
    model = f'ViT-{size}-{expert.patch_size}'
    tags = open_clip.list_pretrained_tags_by_model(model)
    if tag not in tags:
        raise CheckpointError(
            f'pretrained={tag!r} is neither a file nor an open_clip tag of '
            f'{model}; its tags: {", ".join(tags) or "none"}')
    config = open_clip.get_pretrained_cfg(model, tag)
    act = 'quick_gelu' if config.get('quick_gelu') else 'gelu'
    if act != expert.act:
        raise CheckpointError(f'open_clip trained {model} {tag!r} with '
                              f'act={act!r}; set it in the expert')
    return open_clip.create_model(
        model, pretrained=tag, force_quick_gelu=act == 'quick_gelu',
        load_weights=True).visual.state_dict()
