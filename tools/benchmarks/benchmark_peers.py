"""Two published claims, measured on the machine at hand.

    python tools/benchmarks/benchmark_peers.py evl
    python tools/benchmarks/benchmark_peers.py timesformer

``evl``: what a frozen encoder saves in a training step of EVL (arXiv
2208.03550): time, memory, and how many clips fit into a given memory.
``timesformer``: what the schemes of attention cost for more frames and for
larger ones (arXiv 2102.05095, figure 3), as a table and a chart.
"""
import argparse
from typing import Optional, Sequence

from arguments import CLOCKS


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """The arguments of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--device', help='default: the GPU, if there is one')
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument(
        '--clock',
        choices=CLOCKS,
        default='wall',
        help="'cpu' suits a CPU that others use too")
    parser.add_argument('--out', help='JSON file for the figures')
    claims = parser.add_subparsers(dest='claim', required=True)
    evl = claims.add_parser('evl', help='frozen against end to end')
    evl.add_argument('--batch', type=int, default=1, help='clips')
    evl.add_argument('--num-frames', type=int, default=8)
    evl.add_argument('--img-size', type=int, default=224)
    evl.add_argument('--memory-gb', type=float, default=16.)
    cost = claims.add_parser('timesformer', help='cost of the schemes')
    cost.add_argument(
        '--frames', type=int, nargs='+', default=[8, 16, 32, 64, 96])
    cost.add_argument(
        '--sizes', type=int, nargs='+', default=[224, 336, 448, 560])
    cost.add_argument('--chart', default='timesformer_cost.svg')
    return parser.parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> None:
    """The command."""
    args = parse_args(argv)
    import peers
    import torch
    from mmengine.registry import init_default_scope
    args.device = args.device or (
        'cuda' if torch.cuda.is_available() else 'cpu')
    init_default_scope('mmaction')
    dict(
        evl=peers.benchmark_evl,
        timesformer=peers.benchmark_timesformer)[args.claim](args)


if __name__ == '__main__':
    main()
