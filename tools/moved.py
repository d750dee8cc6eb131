"""Serves the paths that tools had before they got rooms, for one release."""
import runpy
import sys
from pathlib import Path


def run(new: str) -> None:
    """Run a tool of another folder in place of the script that was called.

    Args:
        new: Its path from here.
    """
    script = Path(__file__).resolve().parent / new
    print(f'{sys.argv[0]} is now tools/{new}', file=sys.stderr)
    sys.argv[0] = str(script)
    sys.path[0] = str(script.parent)
    runpy.run_path(str(script), run_name='__main__')
