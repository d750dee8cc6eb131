"""Whether what is installed beside this package can be worked with.

Nothing of the host is imported here: a wrong version must be told before it
fails in its own words.
"""
import functools
from importlib.metadata import PackageNotFoundError, version
from typing import Optional

from packaging.specifiers import SpecifierSet

HOSTS = {'torch': '>=2.6', 'mmaction2': '==1.2.0', 'mmengine': '~=0.10.7'}
MMCV = '>=2.0.1,<2.2'
# Turns frames upright and takes an index of them; older ones do not.
TORCHCODEC = '>=0.17'
# Forks that install their files into the folders of these packages.
FORKS = {
    'onedl-mmaction2': ('mmaction2', f'mmaction2{HOSTS["mmaction2"]}'),
    'onedl-mmengine': ('mmengine', f'mmengine{HOSTS["mmengine"]}'),
    'onedl-mmcv': ('mmcv mmcv-lite', f'mmcv-lite{MMCV}'),
}


def installed(package: str) -> Optional[str]:
    """The installed version of a distribution, None if there is none."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def problem() -> Optional[str]:
    """Why the host cannot be used and the command that mends it, or None."""
    for fork, (packages, wanted) in FORKS.items():
        if installed(fork) is not None:
            # Whose files are there now cannot be told: both go, one comes.
            return (f'{fork} is installed, a fork that writes over the files '
                    f'of {packages.replace(" ", " and ")}. '
                    f'Run: pip uninstall -y {fork} {packages} && '
                    f"pip install '{wanted}'")
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
    try:
        import cv2  # noqa: F401
    except ImportError as error:
        return (f'OpenCV cannot be imported ({error}). On a machine without '
                'graphics, run: pip uninstall -y opencv-python '
                'opencv-contrib-python && pip install '
                'opencv-contrib-python-headless')
    return None


def check() -> None:
    """Stop before MMAction2 is imported if it cannot work.

    Raises:
        ImportError: If MMAction2, MMEngine or mmcv is missing or has another
            version than this package was written for; the message holds the
            command to run.
    """
    found = problem()
    if found:
        raise ImportError(f'cast_mmaction: {found}')


@functools.lru_cache(maxsize=None)
def torchcodec_problem() -> Optional[str]:
    """Why torchcodec, which nothing else needs, cannot read videos, or None.
    """
    found = installed('torchcodec')
    if found is None or found not in SpecifierSet(TORCHCODEC):
        return (f'torchcodec{TORCHCODEC} is needed, {found or "none"} is '
                "installed. Run: pip install 'cast-mmaction[torchcodec]'")
    try:
        import torchcodec
    except (ImportError, OSError, RuntimeError) as error:
        reason = str(error).strip().split('\n')[0]
        return (f'torchcodec {found} cannot be loaded ({reason}). It comes '
                'from the same index as torch and fits one built like it: '
                'with or without CUDA')
    if torchcodec.ffmpeg_major_version is None:
        return ('torchcodec finds no FFmpeg (4 to 9, as shared libraries). '
                'Run: apt-get install ffmpeg, or conda install ffmpeg')
    return None
