"""Folders of Hugging Face's transformers: on the disk, or on the hub.

Only ``config.json`` and safetensors are fetched and read: data, no program.
"""
import json
import re
from pathlib import Path
from typing import Dict, List, Tuple, Union

from .reading import read_checkpoint
from .rename import CheckpointError, StateDict, shorten

SCHEME = 'hf://'
# OWNER/NAME[@REVISION]; a revision is a branch, a tag or a commit.
ADDRESS = re.compile(r'hf://([\w.-]+/[\w.-]+)(?:@([\w./-]+))?')
CONFIG = 'config.json'
WEIGHTS = 'model.safetensors'
INDEX = f'{WEIGHTS}.index.json'
FETCHED = (CONFIG, WEIGHTS, INDEX, 'model-*-of-*.safetensors')
INSTALL = "pip install 'cast-mmaction[hub]'"


def is_repository(pretrained: Union[str, Path]) -> bool:
    """Whether weights are asked for as a hub address or as a folder."""
    return str(pretrained).startswith(SCHEME) or Path(pretrained).is_dir()


def read_repository(pretrained: Union[str, Path]) -> Tuple[dict, StateDict]:
    """What ``save_pretrained`` of transformers has written.

    Args:
        pretrained: A folder, or 'hf://OWNER/NAME' with '@REVISION' behind it
            for another revision than 'main'. The hub is asked for news; where
            it cannot be reached, or ``HF_HUB_OFFLINE=1`` is set, its cache
            serves.

    Returns:
        The config, and the tensors of all shards by name.

    Raises:
        CheckpointError: in one line, what is not there and the command to
            run, or the file that is damaged.
        ImportError: with the command that installs the extra.
    """
    folder = find_repository(pretrained)
    return read_config(folder), read_weights(folder)


def find_repository(pretrained: Union[str, Path]) -> Path:
    """The folder, fetched first where it is a hub address.

    Raises:
        CheckpointError: see :func:`read_repository`.
        ImportError: see :func:`read_repository`.
    """
    if not str(pretrained).startswith(SCHEME):
        return Path(pretrained)
    match = ADDRESS.fullmatch(str(pretrained))
    if match is None:
        raise CheckpointError(f'{pretrained}: write hf://OWNER/NAME or '
                              'hf://OWNER/NAME@REVISION')
    return _fetch(str(pretrained), match[1], match[2])


def read_config(folder: Path) -> dict:
    """``config.json`` of a folder.

    Raises:
        CheckpointError: naming the file, if it is not there or no JSON
            object.
    """
    return _read_json(folder / CONFIG)


def weight_files(folder: Path) -> List[Path]:
    """The safetensors files of a folder, one or all shards.

    Raises:
        CheckpointError: naming the shards that are not there, or what there
            is instead of safetensors.
    """
    if (folder / INDEX).is_file():
        return [folder / name for name in _shards(folder)]
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    pickles = sorted(
        file.name for end in ('bin', 'pt', 'pth') for file in folder.glob(
            f'*.{end}'))
    if pickles:
        raise CheckpointError(
            f'{folder}: refused, it holds no {WEIGHTS} but {pickles[0]}, '
            'which can hold a program. Give that file itself to have its '
            'tensors read, and nothing else of it')
    raise CheckpointError(
        f'{folder}: holds no {WEIGHTS}. A folder that save_pretrained of '
        'transformers wrote is expected')


def read_weights(folder: Path) -> StateDict:
    """The tensors of a folder.

    Raises:
        CheckpointError: as :func:`weight_files`, or naming a damaged file or
            the tensors that the shards lack.
    """
    state_dict: StateDict = {}
    for file in weight_files(folder):
        state_dict.update(read_checkpoint(file))
    if (folder / INDEX).is_file():
        lacking = _weight_map(folder).keys() - state_dict.keys()
        if lacking:
            raise CheckpointError(f'{folder}: its shards lack what {INDEX} '
                                  f'names: {shorten(lacking)}')
    return state_dict


def _weight_map(folder: Path) -> Dict[str, str]:
    weight_map = _read_json(folder / INDEX).get('weight_map')
    if not isinstance(weight_map, dict) or not weight_map or not all(
            isinstance(name, str) for name in weight_map.values()):
        raise CheckpointError(f'{folder / INDEX}: names no shards')
    return weight_map


def _shards(folder: Path) -> List[str]:
    names = sorted(set(_weight_map(folder).values()))
    strange = [
        name for name in names
        if Path(name).name != name or not name.endswith('.safetensors')
    ]
    if strange:
        raise CheckpointError(f'{folder / INDEX}: refused, shards must be '
                              'safetensors files beside it, not '
                              f'{shorten(strange)}')
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise CheckpointError(
            f'{folder}: {len(missing)} of {len(names)} shards are missing: '
            f'{shorten(missing)}')
    return names


def _read_json(path: Path) -> dict:
    if not path.is_file():
        raise CheckpointError(
            f'{path.parent}: holds no {path.name}. A folder that '
            'save_pretrained of transformers wrote is expected')
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except (ValueError, RecursionError) as error:  # of JSON, the encoding
        raise CheckpointError(f'{path}: damaged ({error})') from None
    if not isinstance(content, dict):
        raise CheckpointError(f'{path}: is no JSON object')
    return content


def _fetch(address: str, name: str, revision: Union[str, None]) -> Path:
    try:
        from huggingface_hub import errors, snapshot_download
    except ImportError:
        raise ImportError(f'{address}: to fetch from the hub, run: '
                          f'{INSTALL}') from None
    again = f'hf download {name}'
    if revision:
        again += f' --revision {revision}'
    try:
        folder = Path(
            snapshot_download(
                name, revision=revision, allow_patterns=list(FETCHED)))
        weight_files(folder)
    except errors.RevisionNotFoundError:
        raise CheckpointError(
            f'{address}: {name} has no revision {revision!r}; leave @ and '
            'what follows out for the newest') from None
    except errors.GatedRepoError:
        raise CheckpointError(
            f'{address}: its owner asks for consent. Give it on the page of '
            f'{name}, then run: hf auth login') from None
    except errors.RepositoryNotFoundError:
        raise CheckpointError(
            f'{address}: the hub has no model {name}, or it is private. '
            'Check the name; for a private one run: hf auth login') from None
    except errors.LocalEntryNotFoundError:
        raise CheckpointError(
            f'{address}: is not in the cache, or not whole, and the hub '
            'cannot be reached. Where there is a network, without '
            f'HF_HUB_OFFLINE, run: {again}') from None
    except CheckpointError as error:
        raise CheckpointError(
            f'{address}: {error}. If it was fetched only half, run: {again}; '
            'if its owner gives a .bin alone, fetch that yourself') from None
    except OSError as error:
        raise CheckpointError(f'{address}: {_first_line(error)}. When that '
                              f'is mended, run: {again}') from None
    return folder


def _first_line(error: Exception) -> str:
    return str(error).strip().partition('\n')[0].rstrip('.')
