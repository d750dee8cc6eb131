"""Say what is seen in videos; see ``--help``."""
from cast_mmaction.prediction.cli import main

if __name__ == '__main__':
    main()
