"""Remedies are functions, each for one defect of the host."""
from typing import Callable, Dict, List

_remedies: List[Callable[[], bool]] = []
_applied: Dict[str, bool] = {}

# Optional packages that the host could not use, and why; see
# :func:`~cast_mmaction.compat.packages.broken_optional_packages`.
left_out: Dict[str, str] = {}


def remedy(function: Callable[[], bool]) -> Callable[[], bool]:
    """Add a function to those that :func:`apply` runs, in their order."""
    _remedies.append(function)
    return function


def remedies() -> List[Callable[[], bool]]:
    """All remedies, in the order in which they are applied."""
    return list(_remedies)


def apply() -> Dict[str, bool]:
    """Run every remedy once.

    Returns:
        dict[str, bool]: For each remedy, by name, whether its defect was
        found (and mended).
    """
    for function in _remedies:
        if function.__name__ not in _applied:
            _applied[function.__name__] = function()
    return dict(_applied)
