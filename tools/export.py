"""Write a model to a file that needs nothing of this package.

    tools/export.py cast.onnx --model work_dirs/cast_demo \\
        --clips data/demo/clips --dynamic-batch
    tools/export.py cast.pt2 --model cast-b-k400.safetensors --clips clips/
    tools/export.py cast-int8.onnx --config configs/cast_k400.py \\
        --checkpoint k400.pth --clips clips/ --precision int8

An .onnx file is for ONNX Runtime and others, a .pt2 file for
``torch.export.load``. Both hold, under the name ``cast_mmaction``, how a video
becomes their input, what their outputs mean, and how far they agree with the
model on the clips.
"""
import argparse
from pathlib import Path
from typing import Optional, Sequence

from model_arguments import add_model_arguments


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """The arguments of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('out', type=Path, help='file to write: .onnx or .pt2')
    add_model_arguments(parser)
    parser.add_argument(
        '--clips', required=True, help='a video, a folder or a list of them: '
        'the file is compared with the model on the first --num-clips')
    parser.add_argument('--num-clips', type=int, default=32)
    size = parser.add_mutually_exclusive_group()
    size.add_argument('--batch', type=int, default=1, help='views that the '
                      'file takes at a time (default: 1)')
    size.add_argument('--dynamic-batch', action='store_true', help='it takes '
                      'any number')
    parser.add_argument('--normalize', action='store_true', help='the file '
                        'takes colours from 0 to 255 and normalises itself')
    parser.add_argument('--precision', default='float32', help='.onnx: '
                        'float16, int8 (by the ranges met in use), '
                        'int8-static (by those of --clips); .pt2: float16, '
                        'bfloat16 (default: float32)')
    parser.set_defaults(device='cpu')
    args = parser.parse_args(argv)
    for name in ('batch', 'num_clips'):
        if getattr(args, name) < 1:
            parser.error(f'--{name.replace("_", "-")} must be at least 1')
    if args.device != 'cpu':
        parser.error('models are exported on the CPU: leave out --device')
    return args


def main(argv: Optional[Sequence[str]] = None) -> None:
    """The command."""
    args = parse_args(argv)
    from cast_mmaction.export.cli import run
    from cast_mmaction.one_line import refusals_in_one_line
    with refusals_in_one_line():
        run(args)


if __name__ == '__main__':
    main()
