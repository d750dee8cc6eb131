"""Trained recognizers as single files that anyone can load.

A published file is a safetensors file with all weights and, in its header,
the config of the model and of its test pipeline as a Python literal (JSON has
no tuples). Both are data, and the config may only name what is registered:
loading a file runs no program of its maker.
"""
import json
import re
from datetime import datetime, timezone
from pathlib import Path
from typing import Dict, List, Optional, Union

import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from .atomic_write import atomic_write
from .checkpoints import CheckpointError, load_strictly
from .checkpoints.hugging_face_files import CONFIG, SCHEME
from .checkpoints.reading import sha256_of
from .checkpoints.rename import StateDict
from .class_names import names_in_config, plain_names
from .foreign_config import (check_config, no_larger_than, parse_config,
                             standalone)
from .hugging_face import open_classifier
from .precision import PRECISIONS, run_in
from .version import __version__

HUB_ID = re.compile(r'[\w.-]+/[\w.-]+')


def from_pretrained(path_or_hub_id: Union[str, Path],
                    device: Union[str, torch.device] = 'cpu',
                    precision: Optional[str] = None) -> nn.Module:
    """A recognizer that is ready to use.

    Args:
        path_or_hub_id: A file of ``tools/checkpoints/publish_model.py``, a
            folder with one, or the id of a repository on the Hugging Face hub
            such as 'someone/cast-b-k400' (needs the extra ``hub``). Also a
            classifier of transformers, 'hf://OWNER/NAME[@REVISION]' or its
            folder; see :func:`~cast_mmaction.hugging_face.open_classifier`.
        device: Where to put it.
        precision: What it computes in on a GPU, 'float32', 'float16' or
            'bfloat16'; None for that of its training. On a CPU always
            float32.

    Returns:
        The recognizer in evaluation mode, with the config that
        ``mmaction.apis.inference_recognizer`` reads, and the names of its
        classes in ``dataset_meta``.

    Raises:
        CheckpointError: if there is no such file, or it was not published by
            this package.
        ImportError: with the command that installs the extra.
    """
    if str(path_or_hub_id).startswith(SCHEME) or (Path(path_or_hub_id) /
                                                  CONFIG).is_file():
        model = open_classifier(path_or_hub_id, device)
        run_in(model, precision or 'float32')
        return model
    path = _find(path_or_hub_id)
    config = read_config(path)
    init_default_scope('mmaction')
    weights = load_file(path)
    with no_larger_than(weights, str(path)):
        model = MODELS.build(config.model)
    load_strictly(model, weights, str(path))
    model.cfg = config
    model.dataset_meta = read_names(path)
    run_in(model, precision or _trained_in(path))
    return model.to(device).eval()


def read_config(path: Path) -> Config:
    """The config inside a published file: ``model``, ``test_pipeline``.

    Raises:
        CheckpointError: if there is none, or it is refused, see
            :func:`~cast_mmaction.foreign_config.check_config`.
    """
    try:
        with safe_open(path, 'pt') as file:
            metadata = file.metadata() or {}
    except SafetensorError as error:
        raise CheckpointError(f'{path}: damaged, or not a safetensors file '
                              f'({error})') from None
    if 'config' not in metadata:
        raise CheckpointError(f'{path}: holds no config; only files of '
                              'tools/checkpoints/publish_model.py can be '
                              'loaded alone')
    config = parse_config(metadata['config'], str(path))
    check_config(config, str(path))
    return Config(config)


def read_names(path: Path) -> Dict[str, List[str]]:
    """The names of the classes in a published file, as a data set's metainfo;
    empty if it has none."""
    with safe_open(path, 'pt') as file:
        text = (file.metadata() or {}).get('classes', '{}')
    try:
        return plain_names(json.loads(text))
    except ValueError as error:
        raise CheckpointError(f'{path}: its class names are no JSON '
                              f'({error})') from None


def _trained_in(path: Path) -> str:
    with safe_open(path, 'pt') as file:
        found = (file.metadata() or {}).get('precision')
    return found if found in PRECISIONS else 'float32'


def publish(model: nn.Module,
            cfg: Config,
            folder: Path,
            name: str,
            precision: str = 'float32') -> Path:
    """Writes a recognizer as one file.

    Args:
        model: The recognizer, experts and all, in float32.
        cfg: The config that it was built and tested with.
        folder: Where to write; made if it is not there.
        name: First part of the file's name.
        precision: What it was trained in, and will be used in.

    Returns:
        The file, ``{name}_{date}-{first 8 digits of its SHA-256}
        .safetensors``.
    """
    config = dict(
        model=standalone(cfg.model),
        test_pipeline=standalone(cfg.test_dataloader.dataset.pipeline))
    names = getattr(model, 'dataset_meta', None) or names_in_config(cfg)
    metadata = dict(
        format='pt',
        cast_mmaction=__version__,
        config=repr(config),
        precision=precision,
        classes=json.dumps(plain_names(names)))
    folder.mkdir(parents=True, exist_ok=True)
    date = datetime.now(timezone.utc).strftime('%Y%m%d')
    with atomic_write(folder / f'{name}.safetensors') as file:
        save_tensors(model.state_dict(), file, metadata)
        digest = sha256_of(file)
    return (folder / f'{name}.safetensors').rename(
        folder / f'{name}_{date}-{digest[:8]}.safetensors')


def save_tensors(state_dict: StateDict, file: Path,
                 metadata: Dict[str, str]) -> None:
    """Writes a safetensors file that others may read: safetensors itself
    makes files for their owner alone."""
    file.touch()
    mode = file.stat().st_mode
    save_file({k: v.contiguous() for k, v in state_dict.items()}, file,
              metadata)
    file.chmod(mode)


def _find(path_or_hub_id: Union[str, Path]) -> Path:
    path = Path(path_or_hub_id)
    if path.is_file():
        return path
    if not path.is_dir():
        path = _download(str(path_or_hub_id))
    files = sorted(path.glob('*.safetensors'))
    if len(files) != 1:
        raise CheckpointError(
            f'{path_or_hub_id}: one .safetensors file is expected there, '
            f'found {[file.name for file in files] or "none"}')
    return files[0]


def _download(hub_id: str) -> Path:
    if not HUB_ID.fullmatch(hub_id):
        raise CheckpointError(f'{hub_id}: there is no such file or folder, '
                              'and it is no id of a hub (owner/name)')
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise ImportError(
            f'{hub_id} is no file or folder; to look for it on the hub, run: '
            "pip install 'cast-mmaction[hub]'") from None
    return Path(
        snapshot_download(hub_id, allow_patterns=['*.safetensors', '*.md']))
