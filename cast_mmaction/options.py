"""Misspelt names among a config's top-level options.

A config is a program: any name may stand at its top, as a variable that its
other parts use. So MMEngine ignores a name that it does not know, and a
training with ``optim_wraper`` runs with another optimizer.
"""
import argparse
import inspect
from difflib import get_close_matches
from typing import Any, Dict, Iterable, Optional, Sequence, Set

from mmengine.config import Config, DictAction
from mmengine.runner import FlexibleRunner, Runner

# What MMEngine's runners read from the config besides their arguments.
READ_FROM_CONFIG = ('runner_type', 'custom_imports', 'model_wrapper_cfg',
                    'find_unused_parameters', 'activation_checkpointing',
                    'efficient_conv_bn_eval',
                    # read by this package's tools, see `state_classes`
                    'num_classes', 'num_verbs', 'num_nouns',
                    # likewise, see `defer_augmentation`
                    'augment_on_device')
# How alike a name must be to be taken for a misspelt option. No name in the
# configs of MMAction2 or of this package comes near this.
ALIKE = 0.85


def known_options() -> Set[str]:
    """The top-level names that mean something to MMEngine."""
    known = set(READ_FROM_CONFIG)
    for runner in (Runner, FlexibleRunner):
        known.update(inspect.signature(runner.__init__).parameters)
    return known - {'self', 'cfg'}


def misspelt(name: str, known: Iterable[str]) -> Optional[str]:
    """The known name that ``name`` seems to mean; None if it is known, or
    like none."""
    known = set(known)
    near = get_close_matches(name, known, n=1, cutoff=ALIKE)
    return near[0] if near and name not in known else None


def as_options(words: Sequence[str]) -> Dict[str, Any]:
    """What ``--cfg-options`` was given, for tools whose ``--help`` does not
    wait for MMEngine.

    Args:
        words (Sequence[str]): Such as ``a.b=1``, ``c="[2,3]"``.

    Raises:
        ValueError: If one is no ``key=value``.
    """
    for word in words:
        if '=' not in word:
            raise ValueError(f'--cfg-options {word}: expected key=value')
    found = argparse.Namespace()
    DictAction([], 'options')(None, found, words)
    return found.options


def check_options(cfg: Config, changes: Iterable[str] = ()) -> None:
    """Refuses misspelt options. Call it before the changes are made.

    Args:
        cfg (Config): A config as it was read.
        changes (Iterable[str]): Keys of ``--cfg-options``, ``a.b.c``.

    Raises:
        ValueError: If a top-level name looks like a misspelt option, or a
            change begins with a name that the config does not have.
    """
    known = known_options()
    for name in cfg:
        meant = misspelt(name, known)
        if meant:
            raise ValueError(f'{cfg.filename}: {name!r} would have no effect; '
                             f'is {meant!r} meant?')
    for key in changes:
        name = key.partition('.')[0]
        if name in known or name in cfg:
            continue
        near = get_close_matches(name, known | set(cfg), n=1)
        hint = f'is {near[0]!r} meant?' if near else (
            f'the config has {", ".join(sorted(cfg))}')
        raise ValueError(f'--cfg-options {key}=...: there is no option '
                         f'{name!r}; {hint}')
