"""Renaming of state dicts by a table of prefixes, in either direction."""
import re
from typing import Dict, Iterable, List, Optional, Sequence, Tuple

from torch import Tensor

StateDict = Dict[str, Tensor]
Rules = Sequence[Tuple[str, Optional[str]]]


class CheckpointError(ValueError):
    """A checkpoint does not fit: names what, and what to do.

    Attributes:
        unexpected: The keys that nothing is known about, if that is why.
    """

    def __init__(self, message: str, unexpected: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.unexpected = unexpected


def shorten(keys: Iterable[str], limit: int = 8) -> str:
    """The first few of many keys, for messages."""
    keys = sorted(keys)
    more = f', ... ({len(keys)} in all)' if len(keys) > limit else ''
    return ', '.join(keys[:limit]) + more


def rename(state_dict: StateDict, rules: Rules) -> StateDict:
    """Renames every key by the one rule that fits it.

    Args:
        state_dict: Tensors under their old names.
        rules: Pairs of an old and a new prefix, each a whole dotted name in
            which ``{}`` stands for a block number. A new prefix of None
            leaves the tensor out.

    Raises:
        CheckpointError: naming the keys that no rule fits, or two that would
            get one name.
    """
    patterns = [(re.compile(
        re.escape(old).replace(r'\{\}', r'(\d+)') + r'(\..+)?'), new)
                for old, new in rules]
    renamed: StateDict = {}
    unknown: List[str] = []
    for key, value in state_dict.items():
        for pattern, new in patterns:
            match = pattern.fullmatch(key)
            if match:
                if new is not None:
                    *numbers, rest = match.groups()
                    name = new.format(*numbers) + (rest or '')
                    if name in renamed:
                        raise CheckpointError(f'{key} is there twice, under '
                                              'another name as well')
                    renamed[name] = value
                break
        else:
            unknown.append(key)
    if unknown:
        raise CheckpointError(f'unexpected keys: {shorten(unknown)}', unknown)
    return renamed


def reverse(rules: Rules) -> Rules:
    """The table for the way back."""
    return [(new, old) for old, new in rules]


def with_prefix(rules: Rules, old: str = '', new: str = '') -> Rules:
    """The table for tensors that lie deeper on either side."""
    return [(old + a, None if b is None else new + b) for a, b in rules]
