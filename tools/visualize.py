"""Look inside a model while it watches a video; see ``--help``."""
from cast_mmaction.visualization.cli import main

if __name__ == '__main__':
    main()
