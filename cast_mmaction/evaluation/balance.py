"""How balanced a method is over data sets that need space and that need
time: harmonic means, as in table 2 of the CAST paper."""
import json
from pathlib import Path
from typing import Dict, Optional, Union

from .verb_noun import harmonic_mean

# What a test's log calls the figures, and what makes them per cent.
NAMES = dict(
    ek100={
        'all/verb_top1': ('verb', 1),
        'all/noun_top1': ('noun', 1),
        'all/action_top1': ('action', 1)
    },
    ssv2={'acc/top1': ('ssv2', 100)},
    k400={'acc/top1': ('k400', 100)})
MEANS = dict(
    ek100=('verb', 'noun'),
    ssv2_k400=('ssv2', 'k400'),
    all=('verb', 'noun', 'ssv2', 'k400'))


def newest_log(path: Union[str, Path]) -> Dict[str, float]:
    """The figures that a test logged.

    Args:
        path: The work dir of a test (the newest of its
            ``TIMESTAMP/TIMESTAMP.json`` is read), or such a file.

    Raises:
        FileNotFoundError: if there is none.
    """
    path = Path(path)
    files = [path] if path.is_file() else sorted(
        path.glob('[0-9]*_[0-9]*/[0-9]*_[0-9]*.json'))
    if not files:
        raise FileNotFoundError(
            f'{path}: no test left its figures here; give the work dir of '
            'tools/test.py')
    return json.loads(files[-1].read_text())


def read_figures(dataset: str, path: Union[str, Path]) -> Dict[str, float]:
    """Top-1 figures of a test, in per cent.

    Args:
        dataset: 'ek100', 'ssv2' or 'k400'.
        path: See :func:`newest_log`.

    Returns:
        'verb', 'noun' and 'action', or the name of the data set, to figure.

    Raises:
        ValueError: if the test was of another kind.
    """
    logged = newest_log(path)
    missing = NAMES[dataset].keys() - logged.keys()
    if missing:
        raise ValueError(f'{path} holds no {", ".join(sorted(missing))}: is '
                         f'it a test on {dataset}?')
    return {
        name: scale * logged[key]
        for key, (name, scale) in NAMES[dataset].items()
    }


def balance(figures: Dict[str, float]) -> Dict[str, Optional[float]]:
    """Harmonic means of what a method reaches.

    Args:
        figures: Any of 'verb', 'noun', 'ssv2' and 'k400' to top-1.

    Returns:
        'ek100' (of verb and noun), 'ssv2_k400' and 'all' (of the four) to
        the harmonic mean; None where a figure is missing.
    """
    return {
        name: harmonic_mean(*(figures[part] for part in parts))
        if figures.keys() >= set(parts) else None
        for name, parts in MEANS.items()
    }
