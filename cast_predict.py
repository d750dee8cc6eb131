"""The command ``cast-predict``: tools/predict.py of the installed package.

It is no part of the package, which waits for torch: ``--help`` does not.
"""
import runpy
import sys
from importlib.util import find_spec
from pathlib import Path


def main() -> None:
    """Run the tool under the name that it was called by."""
    tools = Path(find_spec('cast_mmaction').origin).parent / '.mim/tools'
    sys.path.insert(0, str(tools))
    runpy.run_path(str(tools / 'predict.py'), run_name='__main__')
