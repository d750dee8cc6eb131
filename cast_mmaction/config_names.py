"""Configs of this package by name, from a clone and after ``pip install``.

As in the host's packages, the folder ``.mim`` inside the package holds the
configs, the tools and the index of the models. In a clone these are links.
"""
from difflib import get_close_matches
from pathlib import Path
from typing import Dict, Iterator, NamedTuple, Optional

from mmengine.config import Config
from mmengine.fileio import load
from mmengine.hub import get_config

MIM = Path(__file__).resolve().parent / '.mim'
SCOPE = 'cast_mmaction'
# Old names, for one release.
MOVED = {f'{SCOPE}::cast_demo.py': f'{SCOPE}::demo/cast_demo.py'}


class IndexedModel(NamedTuple):
    """A model of the index.

    Attributes:
        name: Its name.
        config: Its config file.
        weights: Where its weights are published; None if nowhere.
    """
    name: str
    config: Path
    weights: Optional[str]


def indexed_models() -> Dict[str, IndexedModel]:
    """All models of the index, by their names in lower case."""
    return {model.name.lower(): model for model in _read_index()}


def read_config(config: str) -> Config:
    """A config by its file or its name.

    Args:
        config: A file; 'cast_mmaction::demo/cast_demo.py', a path below the
            configs of this package (of others of the host's family alike); or
            the name of a model of this package's index.

    Raises:
        FileNotFoundError: If there is neither such a file nor such a name,
            with names that are near.
    """
    if Path(config).is_file():
        return Config.fromfile(config)
    if '::' in config:
        return get_config(MOVED.get(config, config))
    models = indexed_models()
    if config.lower() in models:
        return Config.fromfile(models[config.lower()].config)
    near = get_close_matches(config.lower(), models)
    raise FileNotFoundError(
        f'{config}: there is no such file, and no model of that name in '
        f'{SCOPE}; near names: {", ".join(near) or "none"}. A config below '
        f'those of the package is named as {SCOPE}::demo/cast_demo.py')


def _read_index() -> Iterator[IndexedModel]:
    for metafile in load(MIM / 'model-index.yml')['Import']:
        for model in load(MIM / metafile)['Models']:
            weights = model.get('Weights')
            if isinstance(weights, list):
                weights = weights[0]
            yield IndexedModel(model['Name'], MIM / model['Config'], weights)
