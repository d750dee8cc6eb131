"""The command ``cast-predict``: tools/predict.py of the installed package."""
import runpy
import sys
from pathlib import Path


def main() -> None:
    """Run the tool, under the name that it was called by."""
    tools = Path(__file__).parents[1] / '.mim/tools'
    sys.path.insert(0, str(tools))
    runpy.run_path(str(tools / 'predict.py'))['main']()
