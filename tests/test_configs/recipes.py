"""The recipes of configs/, and the table of facts that they are held against.
"""
import copy
from functools import lru_cache
from pathlib import Path
from typing import Any, Iterator, List

import yaml
from mmengine.config import Config

from tests.conftest import ROOT

CONFIGS = ROOT / 'configs'
TABLE = Path(__file__).with_name('recipe_facts.yml')
OLD_NAME = '# Old name of the file below'
ABSENT = 'absent'


class UniqueKeys(yaml.SafeLoader):
    """A reader that refuses a key that is there twice, as strict ones do."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise yaml.constructor.ConstructorError(
                None, None, f'{sorted(twice)} twice', node.start_mark)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> Any:
    return yaml.load(path.read_text(), UniqueKeys)


FACTS = read_yaml(TABLE)


def is_old_name(path: Path) -> bool:
    """Whether a file only leads to the one that has its recipe now."""
    return path.read_text().startswith(OLD_NAME)


def recipes(*folders: str) -> List[Path]:
    """The configs of some folders, without old names."""
    return [
        path for folder in folders
        for path in sorted((CONFIGS / folder).glob('*.py'))
        if not is_old_name(path)
    ]


@lru_cache(maxsize=None)
def _load(path: Path) -> Config:
    return Config.fromfile(path)


def load(path: Path) -> Config:
    """A config of its own, read once."""
    return copy.deepcopy(_load(path))


def header_of(path: Path) -> str:
    """The comment that a config begins with, as one line."""
    lines = []
    for line in path.read_text().splitlines():
        if not line.startswith('#'):
            break
        lines.append(line.lstrip('# '))
    return ' '.join(lines)


def look_up(cfg: Config, key: str) -> List[Any]:
    """What stands at a key of the table of facts; see there."""
    first, *rest = key.split('.')
    if first in ('train', 'val', 'test'):
        step, *rest = rest
        pipeline = cfg[f'{first}_dataloader'].dataset.pipeline
        found = [x for x in pipeline if x['type'] == step]
        if not found:
            return [ABSENT]
        return list(_below(found[0], rest)) if rest else [True]
    return list(_below(cfg.to_dict(), [first, *rest])) or [ABSENT]


def _below(node: Any, keys: List[str]) -> Iterator[Any]:
    if not keys:
        yield node
        return
    key, *rest = keys
    if key == '**':
        if isinstance(node, dict):
            if rest[0] in node:
                yield from _below(node, rest)
            for child in node.values():
                yield from (x for x in _below(child, keys) if x != ABSENT)
        return
    if isinstance(node, (list, tuple)) and key.isdigit():
        yield from _below(node[int(key)], rest)
    elif isinstance(node, dict) and key in node:
        yield from _below(node[key], rest)
    else:
        yield ABSENT
