"""What MMAction2 1.2.0 and MMEngine 0.10 lack on a current stack.

One function per defect. Each looks whether its defect is there, mends it if
so, and says what it did; none does anything to a host that is in order. The
tests of this file fail once a defect is fixed upstream: then the function and
its test can go.
"""
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Callable, Dict, List, Optional

from packaging.specifiers import SpecifierSet

HOSTS = {'mmaction2': '==1.2.0', 'mmengine': '~=0.10.7'}
MMCV = '>=2.0.1,<2.2'

_remedies: List[Callable[[], bool]] = []
_applied: Dict[str, bool] = {}


def installed(package: str) -> Optional[str]:
    """The installed version of a distribution, None if there is none."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def host_problem() -> Optional[str]:
    """Why the host cannot be used and the command that mends it, or None."""
    for package, wanted in HOSTS.items():
        found = installed(package)
        if found is None or found not in SpecifierSet(wanted):
            return (f'{package}{wanted} is needed, {found or "none"} is '
                    f"installed. Run: pip install '{package}{wanted}'")
    found = {name: installed(name) for name in ('mmcv', 'mmcv-lite')}
    found = {name: number for name, number in found.items() if number}
    if not found:
        return ('mmcv is missing; its light edition is enough. '
                f"Run: pip install 'mmcv-lite{MMCV}'")
    for name, number in found.items():
        if number not in SpecifierSet(MMCV):
            # Both editions own the folder `mmcv`: never one over the other.
            return (f'{name} {number} is installed, MMAction2 takes {MMCV}. '
                    f'Run: pip uninstall -y {" ".join(found)} && '
                    f"pip install 'mmcv-lite{MMCV}'")
    return None


def check_host() -> None:
    """Stop before MMAction2 is imported if it cannot work.

    Raises:
        ImportError: If MMAction2, MMEngine or mmcv is missing or has another
            version than this package was written for; the message holds the
            command to run.
    """
    problem = host_problem()
    if problem:
        raise ImportError(f'cast_mmaction: {problem}')


def remedy(function: Callable[[], bool]) -> Callable[[], bool]:
    """Add a function to those that :func:`apply` runs, in their order."""
    _remedies.append(function)
    return function


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


@remedy
def missing_drn() -> bool:
    """The wheel of MMAction2 lacks `mmaction.models.localizers.drn`."""
    import mmaction
    name = 'mmaction.models.localizers.drn'
    folder = Path(mmaction.__file__).parent / 'models' / 'localizers' / 'drn'
    if folder.is_dir() or name in sys.modules:
        return False

    class DRN:
        """Stands in for a localizer that this MMAction2 does not contain."""

        def __init__(self, *args, **kwargs) -> None:
            raise ImportError('DRN is not part of the MMAction2 wheel; '
                              'install MMAction2 from source to use it')

    package, module = ModuleType(name), ModuleType(f'{name}.drn')
    package.__path__ = []
    package.drn, module.DRN = module, DRN
    sys.modules.update({name: package, f'{name}.drn': module})
    return True
