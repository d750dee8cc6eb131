"""Which attention each window gets: ``tools/benchmarks/benchmark.py kernels``.

PyTorch chooses among its fused kernels by shape, type and device; this asks
it for the windows of our models, and times the choice against attention that
is written out.
"""
import argparse
from functools import partial
from typing import Any, Dict, List, NamedTuple

import torch
from benchmarking import (CLOCKS, FULL, alternate, environment, fits,
                          json_path, ratio, report)
from torch.nn.attention import SDPBackend

from cast_mmaction.models.attention import Kernel, eager_kernel, sdpa_kernel


class Shape(NamedTuple):
    """Attention of one clip of 16 x 224 x 224 in a window.

    Attributes:
        who: Where it is.
        sequences: Windows of a clip.
        heads: Heads H.
        queries: Tokens that ask, Lq.
        keys: Tokens that are read, Lk.
        dims: Width of a head, d.
    """
    who: str
    sequences: int
    heads: int
    queries: int
    keys: int
    dims: int


WINDOWS = [
    Shape('CLIP, ST-Adapter: space', 8, 12, 197, 197, 64),
    Shape('VideoMAE: space and time', 1, 12, 1568, 1568, 64),
    Shape('B-CAST T2S: time', 196, 12, 8, 8, 32),
    Shape('B-CAST S2T: space', 8, 12, 196, 196, 32),
    Shape('B-CAST, sound to frames: all', 1, 12, 1568, 468, 32),
    Shape('AIM, TimeSformer: time', 197, 12, 8, 8, 64),
    Shape('TimeSformer axial: row', 112, 12, 14, 15, 64),
    Shape('EVL in training: one query reads', 1, 1, 12, 1576, 768),
]


def run(args: argparse.Namespace) -> None:
    """Prints the table."""
    device = torch.device(args.device)
    rows = [
        _row(shape, getattr(torch, dtype), args, device) for dtype in
        args.dtypes for shape in WINDOWS
    ]
    report(f'Attention by window, {args.batch} clips of 16 x 224 x 224', rows,
           environment(device, args.clock), json_path(args.json, 'kernels'))


def _row(shape: Shape, dtype: torch.dtype, args: argparse.Namespace,
         device: torch.device) -> Dict[str, Any]:
    q, k, v = _tensors(shape, args.batch, dtype, device)
    fused = partial(_often, device, sdpa_kernel, q, k, v)
    written = partial(_often, device, eager_kernel, q, k, v)
    with torch.no_grad():
        compared = FULL
        if fits(written):
            times = alternate(
                dict(fused=fused, written=written),
                args.rounds,
                device,
                clock=CLOCKS[args.clock])
            compared = ratio(times, 'fused', 'written')
    return {
        'window': shape.who,
        'dtype': str(dtype).removeprefix('torch.'),
        'S x H x Lq x Lk x d': ' x '.join(
            map(str, (args.batch * shape.sequences, *shape[2:]))),
        'backend': backend_of(q, k, v),
        'time / written out': compared,
    }


def _often(device: torch.device, kernel: Kernel, *qkv: torch.Tensor) -> None:
    # A GPU takes less time for one than the host does to ask for it.
    for _ in range(50 if device.type == 'cuda' else 1):
        kernel(*qkv)


def _tensors(shape: Shape, batch: int, dtype: torch.dtype,
             device: torch.device) -> List[torch.Tensor]:
    return [
        torch.randn(
            batch * shape.sequences,
            shape.heads,
            length,
            shape.dims,
            device=device,
            dtype=dtype) for length in (shape.queries, shape.keys, shape.keys)
    ]


def backend_of(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> str:
    """The kernel that PyTorch chooses for these tensors."""
    choice = torch._fused_sdp_choice(q, k, v)
    return SDPBackend(choice).name.lower()
