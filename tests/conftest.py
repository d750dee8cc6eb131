from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope='session')
def shared() -> Path:
    """The folder of golden outputs and real clips beside the checkout."""
    path = ROOT.parent / 'shared'
    if not path.is_dir():
        pytest.skip('the folder ../shared is not beside this checkout')
    return path
