"""Convert the weights of another codebase, or this package's to another's.

    TOOL=tools/checkpoints/convert_checkpoint.py
    python $TOOL clip ViT-B-16.pt clip-b16.pth
    python $TOOL cast theirs.pth ours.pth --check
    python $TOOL cast_mmaction ours.pth theirs.pth --to cast
    python $TOOL hf hf://facebook/vjepa2-vitl-fpc16-256-ssv2 vjepa2-l.pth
    python $TOOL cast_mmaction ours.pth folder --to hf --config ours.py

Every tensor must find its place, or nothing is written. What comes out holds
the SHA-256 of what went in. Models of Hugging Face's transformers (``hf``) are
addresses on its hub or folders, and are recognised under the name of the model
too; ``--to hf`` writes a folder that its ``from_pretrained`` opens.
"""
import argparse
from pathlib import Path
from typing import Optional, Sequence

OURS, HF = 'cast_mmaction', 'hf'
# Those that the package converts; naming them here needs no import of it.
FROM = ('aim', 'ast', 'ca2st', 'cast', 'cava', 'clip', 'evl', 'hf', 'mmaction',
        'st_adapter', 'timesformer', 'videomae', 'vjepa2')
TO = ('cast', )


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """The arguments of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'source',
        choices=[*FROM, OURS],
        help='codebase that the weights come from')
    parser.add_argument(
        'input',
        help='checkpoint to read; also a folder of transformers, or '
        'hf://OWNER/NAME[@REVISION]')
    parser.add_argument(
        'output',
        type=Path,
        help='.pth or .safetensors file to write; the folder with --to hf')
    parser.add_argument(
        '--to',
        choices=[OURS, HF, *TO],
        default=OURS,
        help=f'codebase that they are for (default: {OURS})')
    parser.add_argument(
        '--config',
        help='config of the model they are for; without one it is read off '
        'the shapes')
    parser.add_argument(
        '--classes',
        help='with --to hf, the names of the classes: a text file with one a '
        "line, or a shipped list such as 'kinetics400'")
    parser.add_argument(
        '--dry-run', action='store_true', help='write nothing')
    parser.add_argument(
        '--check',
        action='store_true',
        help='run the converted model on a fixed clip and print a '
        'fingerprint of its features')
    parser.add_argument(
        '--trust',
        action='store_true',
        help='read files that hold more than data, such as programs, which '
        'run then with all your rights')
    args = parser.parse_args(argv)
    if (args.source == OURS) == (args.to == OURS):
        parser.error(f'one of the two sides must be {OURS}: give a SOURCE of '
                     f'another codebase, or {OURS} and --to')
    if args.to == HF and not args.config:
        parser.error('--to hf needs --config: the sizes of the model are '
                     'written too, and shapes do not tell them all')
    if args.classes and args.to != HF:
        parser.error('--classes is for --to hf')
    if args.classes:
        from cast_mmaction.class_names import read_class_names
        try:
            args.classes = read_class_names(args.classes)
        except (FileNotFoundError, ValueError) as error:
            parser.error(str(error))
    if args.check and args.to != OURS:
        parser.error(f'--check runs a model of {OURS}; there is none with '
                     f'--to {args.to}')
    return args


def main(argv: Optional[Sequence[str]] = None) -> None:
    """The command."""
    args = parse_args(argv)
    from cast_mmaction.checkpoints.conversion import convert_file
    from cast_mmaction.one_line import refusals_in_one_line
    with refusals_in_one_line('refused'):
        convert_file(args)


if __name__ == '__main__':
    main()
