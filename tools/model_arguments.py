"""How a tool is told which model to use."""
import argparse


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that :func:`cast_mmaction.prediction.cli.load_model`
    reads."""
    parser.add_argument('--config', help='config of a training')
    parser.add_argument('--checkpoint', help='checkpoint of that training')
    parser.add_argument(
        '--model',
        help='a published file, a hub id, or the work dir of a training, '
        'instead of config and checkpoint')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action='extend',
        default=[],
        metavar='KEY=VALUE',
        help='change the config: key=value ..., as tools/train.py')
    parser.add_argument(
        '--device', help='default: the GPU, if there is one')
