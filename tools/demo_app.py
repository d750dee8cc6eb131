"""A page that shows what a model sees in a video; see ``--help``."""
from cast_mmaction.demo.cli import main

if __name__ == '__main__':
    main()
