from pathlib import Path

import pytest
from mmengine.registry import init_default_scope

import cast_mmaction  # noqa: F401  (before any test imports the host)

from . import preforked

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope='session')
def shared() -> Path:
    """The folder of golden outputs and real clips beside the checkout."""
    path = ROOT.parent / 'shared'
    if not path.is_dir():
        pytest.skip('the folder ../shared is not beside this checkout')
    return path


@pytest.fixture(scope='session')
def commands(tmp_path_factory):
    """A folder of Python commands that need no time for imports."""
    folder = tmp_path_factory.mktemp('bin')
    with preforked.serving(folder):
        yield folder


@pytest.fixture(autouse=True)
def mmaction_scope():
    """What the runner does first: look names up in MMAction2's registries."""
    init_default_scope('mmaction')
