"""What the host does with checkpoints, with data in place of programs.

MMEngine takes any checkpoint for any model, runs the config that is written
in it, and unpickles what comes from the net. ``compat`` puts these functions
in the places of its own.
"""
import os
from pathlib import Path
from typing import Any, Dict, Optional
from urllib.parse import urlparse

import torch
from torch import nn
from torch.hub import download_url_to_file

from ..class_names import plain_names
from .loading import load_strictly
from .reading import as_state_dict, read_checkpoint
from .rename import CheckpointError
from .trained_only import complete

VISUALIZER = dict(
    type='ActionVisualizer', vis_backends=[dict(type='LocalVisBackend')])


def load_from_local(filename: str, map_location: Any = None) -> Any:
    """A checkpoint on this machine.

    Raises:
        FileNotFoundError: As the host has it.
        CheckpointError: See ``read_checkpoint``.
    """
    path = os.path.expanduser(filename)
    if not os.path.isfile(path):
        raise FileNotFoundError(f'{filename} can not be found.')
    # torch's own way of trusting everything that a process loads.
    trust = os.environ.get('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '').lower()
    return read_checkpoint(path, trust in ('1', 'y', 'yes', 'true'),
                           map_location)


def load_url(url: str,
             model_dir: Optional[str] = None,
             map_location: Any = None,
             progress: bool = True) -> Any:
    """A checkpoint of the net, kept where ``torch.hub`` keeps its files.

    Raises:
        CheckpointError: See ``read_checkpoint``.
    """
    folder = Path(model_dir or os.path.join(torch.hub.get_dir(),
                                            'checkpoints'))
    path = folder / os.path.basename(urlparse(url).path)
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        download_url_to_file(url, str(path), progress=progress)
    return load_from_local(str(path), map_location)


def without_program(content: Any, filename: str) -> Dict[str, Any]:
    """A checkpoint in which the host finds nothing to run.

    Args:
        content: Of the file.
        filename (str): For the error.

    Raises:
        CheckpointError: If it is no checkpoint.
    """
    parts = ('meta', 'message_hub', 'state_dict')
    if not isinstance(content, dict) or not all(
            isinstance(content.get(part, {}), dict) for part in parts):
        raise CheckpointError(f'{filename}: is no checkpoint, a dict with a '
                              f'dict each for {", ".join(parts)}')
    meta = content.get('meta', {})
    for name in {'epoch', 'iter', 'seed'} & set(meta):
        if not isinstance(meta[name], (int, type(None))):
            raise CheckpointError(f'{filename}: its {name} is no number')
    # Runners run it to learn how many GPUs an mmcv 1.x run had.
    meta.pop('config', None)
    return content


def config_of(content: Dict[str, Any], filename: str) -> Dict[str, Any]:
    """What an inferencer needs of the config that a checkpoint carries.

    Args:
        content (dict): Of the file.
        filename (str): For the error.

    Raises:
        CheckpointError: If there is no config, or it is refused, see
            ``check_config``.
    """
    from ..foreign_config import check_config, parse_config, standalone
    info = content.get('message_hub', {}).get('runtime_info', {})
    text = info.get('cfg') if isinstance(info, dict) else None
    text = text or content.get('meta', {}).get('cfg')
    if text is None:
        raise CheckpointError(f'{filename}: holds no config; give one')
    values = parse_config(text, filename)
    settled = ('init_cfg', )  # trained-only files need their `pretrained`
    try:
        config = dict(
            model=standalone(values['model'], settled),
            test_pipeline=standalone(
                values['test_dataloader']['dataset']['pipeline'], settled))
    except (LookupError, TypeError):
        raise CheckpointError(f'{filename}: its config has no model, or no '
                              'test_dataloader with a pipeline') from None
    check_config(config, filename, settled)
    return dict(
        config,
        test_dataloader=dict(dataset=dict(pipeline=config['test_pipeline'])),
        visualizer=VISUALIZER)


def is_ours(model: nn.Module) -> bool:
    """Whether any part of a model is of this package."""
    return any(
        type(module).__module__.startswith('cast_mmaction.')
        for module in model.modules())


def fill(model: nn.Module, content: Any, filename: str) -> None:
    """Loads a checkpoint into a model of ours that is to be used, strictly.
    The names of its classes become ``model.dataset_meta``.

    Args:
        model: Filled in place.
        content: Of the file.
        filename (str): For the error.

    Raises:
        CheckpointError: If it is no checkpoint, or anything is missing or
            left over.
    """
    content = without_program(content, filename)
    weights = as_state_dict(content.get('state_dict', content), filename)
    weights = {k.removeprefix('module.'): v for k, v in weights.items()}
    load_strictly(model, complete(model, weights), filename)
    meta = content.get('meta', {})
    names = plain_names(meta.get('dataset_meta')) if isinstance(
        meta, dict) else {}
    if names:
        model.dataset_meta = names
