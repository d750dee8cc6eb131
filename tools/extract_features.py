"""Features of videos instead of answers; see ``--help``."""
from cast_mmaction.prediction.features import main

if __name__ == '__main__':
    main()
