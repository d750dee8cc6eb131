"""What classes are called: read from files, carried along, asked for.

Names live in a data set's ``metainfo``, as the host has them: ``classes`` for
one label, ``verb_classes`` and ``noun_classes`` for two. From there the runner
puts them into every checkpoint, and whoever loads one finds them in
``model.dataset_meta``.
"""
import os.path as osp
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional

from .list_files import read_lines

SHIPPED = Path(__file__).parent / 'datasets' / 'classes'
# The key in metainfo by task; 'label' is the one task of most data sets.
KEYS = dict(label='classes', verb='verb_classes', noun='noun_classes')
# Official files whose names are shipped, for machines without the data.
OFFICIAL = {
    'EPIC_100_verb_classes.csv': 'epic100_verbs',
    'EPIC_100_noun_classes.csv': 'epic100_nouns',
}


def read_class_names(source: str,
                     num_classes: Optional[int] = None) -> List[str]:
    """Read a list of names, one a line, in the order of the classes.

    Args:
        source: A text file, or the name of a shipped list: 'kinetics400',
            'sthv2', 'epic100_verbs', 'epic100_nouns'.
        num_classes: How many there must be. Defaults to None, any number.

    Raises:
        FileNotFoundError: If there is neither such a file nor such a list.
        ValueError: If the file is empty, not text, has a name twice, or
            another number of names.
    """
    path = Path(source)
    if not path.is_file():
        path = SHIPPED / f'{source}.txt'
    if not path.is_file():
        shipped = ', '.join(sorted(file.stem for file in SHIPPED.iterdir()))
        raise FileNotFoundError(f'{source}: there is no such file of class '
                                f'names; shipped lists: {shipped}')
    names = [line.strip() for _, line in read_lines(str(path))]
    while names and not names[-1]:
        names.pop()
    if not names or '' in names:
        where = f'line {names.index("") + 1} is' if names else 'the file is'
        raise ValueError(f'{source}: {where} empty; one name a line is '
                         'expected')
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f'{source}: {twice[0]!r} is there twice')
    if num_classes is not None and len(names) != num_classes:
        raise ValueError(f'{source}: {len(names)} names for num_classes='
                         f'{num_classes}')
    return names


def plain_names(meta: Any) -> Dict[str, List[str]]:
    """The lists of names in a metainfo that came out of a file."""
    meta = meta if isinstance(meta, dict) else {}
    found = {key: meta.get(key) for key in KEYS.values()}
    return {
        key: list(names)
        for key, names in found.items() if isinstance(names, (list, tuple))
        and names and all(isinstance(name, str) for name in names)
    }


def names_by_task(meta: Optional[Mapping[str, Any]]) -> Dict[str, List[str]]:
    """The names in a data set's metainfo.

    Returns:
        By task ('label', or 'verb' and 'noun'), in the order of the classes;
        tasks whose names are unknown are left out.
    """
    meta = meta or {}
    return {
        task: list(meta[key])
        for task, key in KEYS.items() if meta.get(key)
    }


def names_of(model: Any) -> Dict[str, List[str]]:
    """The names that a recognizer carries, else those of its config, by
    task."""
    return names_by_task(
        getattr(model, 'dataset_meta', None) or names_in_config(model.cfg))


def names_in_config(cfg: Mapping[str, Any]) -> Dict[str, List[str]]:
    """The names that the test data set of a config refers to, as metainfo.

    Files that are not on this machine are left out, but for the official ones
    whose names are shipped.
    """
    loader = cfg.get('test_dataloader') or cfg.get('val_dataloader') or {}
    dataset = loader.get('dataset') or {}
    sources = dict(dataset.get('class_files') or {})
    if dataset.get('classes'):
        sources['classes'] = dataset['classes']
    meta = {}
    for key in KEYS.values():
        source = sources.get(key)
        if source is None:
            continue
        path = osp.join(dataset.get('data_root') or '', source)
        shipped = OFFICIAL.get(osp.basename(source), source)
        if path.endswith('.csv') and osp.isfile(path):
            # Here, because data sets import this module.
            from .datasets.epic_annotations import read_classes
            meta[key] = read_classes(path)['names']
        elif osp.isfile(path):
            meta[key] = read_class_names(path)
        elif (SHIPPED / f'{shipped}.txt').is_file():
            meta[key] = read_class_names(shipped)
    return meta
