"""Write a model to an .onnx or .pt2 file; see ``--help``."""
from cast_mmaction.export.cli import main

if __name__ == '__main__':
    main()
