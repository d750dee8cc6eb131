"""Whether frozen products in float8 pay: ``tools/benchmarks/benchmark.py
float8``.

CAST with the Linears of its frozen experts in float8 against CAST with the
same weights in bfloat16, both under autocast to bfloat16. It is an option of
no model: the verdict says whether it should become one.
"""
import argparse
from typing import Any, Dict, List, NamedTuple, Tuple

import torch
import torch.nn.functional as F
from benchmark_model import Contender, describe, video_experts
from benchmarking import (CLOCKS, Figure, alternate, environment, json_path,
                          ratio, report)
from float8 import (BACKWARDS, SCALES, Float8Linear, hold_in_float8,
                    to_float8, why_not)
from torch import Tensor

BASELINE = 'bfloat16'
# What is asked: a training step in so much of the time, features that differ
# by so much of their norm.
MOST_TIME = .85
MOST_DIFFERENCE = .02

Row = Dict[str, Any]


class Result(NamedTuple):
    """What a model makes of the clips.

    Attributes:
        features: ``(B, D)`` of each expert, in evaluation.
        gradients: Of what the backbone trains, one vector.
    """
    features: Tuple[Tensor, ...]
    gradients: Tensor


def run(args: argparse.Namespace) -> None:
    """Prints a table with the casts as PyTorch's own kernels, and one with
    casts that are compiled."""
    device = torch.device(args.device)
    models = {BASELINE: _contender(args)}
    refused: List[Row] = []
    for scales in SCALES:
        reason = why_not(device, scales)
        for backward in BACKWARDS:
            name = f'float8 by {scales}, backward in {backward}'
            if reason is None:
                models[name] = _contender(args)
                hold_in_float8(models[name].model[0], scales, backward)
            else:
                refused.append({
                    'frozen products': name,
                    'verdict': f'not here: {reason}'
                })
    # Before the steps that are timed change the weights.
    results = {name: _result(model) for name, model in models.items()}
    _report('casts by PyTorch', _rows(models, results, args) + refused, args)
    if len(models) == 1:
        return
    # One program for all sizes: it only reads and writes.
    compiled = torch.compile(to_float8, dynamic=True, fullgraph=True)
    for model in models.values():
        for module in model.model.modules():
            if isinstance(module, Float8Linear):
                module.cast = compiled
    _report('casts compiled', _rows(models, results, args), args)


def _contender(args: argparse.Namespace) -> Contender:
    experts = video_experts(args)
    for expert, weights in zip(experts.values(), args.pretrained or ()):
        expert['pretrained'] = weights
    contender = Contender(
        dict(experts, type='CAST', frozen_dtype='bfloat16'), args,
        torch.bfloat16)
    for expert in contender.model[0].experts():
        expert.init_weights()  # what is pretrained, if it is
    return contender


def _result(contender: Contender) -> Result:
    backbone = contender.model[0].eval()
    with torch.no_grad(), torch.autocast(contender.device.type,
                                         contender.dtype):
        features = backbone(contender.clip)
    contender.model.train()
    torch.manual_seed(0)  # of the head's dropout
    F.cross_entropy(contender.scores().float(), contender.labels).backward()
    gradients = torch.cat([
        p.grad.flatten() for p in backbone.parameters()
        if p.grad is not None
    ])
    contender.optimizer.zero_grad()
    return Result(features, gradients)


def _rows(models: Dict[str, Contender], results: Dict[str, Result],
          args: argparse.Namespace) -> List[Row]:
    device, clock = torch.device(args.device), CLOCKS[args.clock]
    steps, forward = (
        alternate({n: getattr(model, kind)
                   for n, model in models.items()},
                  args.rounds,
                  device,
                  clock=clock) for kind in ('training', 'forward'))
    rows = []
    for name, model in models.items():
        row = {
            'frozen products': name,
            'training s': Figure.of(steps[name]),
            f'/ {BASELINE}': ratio(steps, name, BASELINE),
            'forward s': Figure.of(forward[name]),
            f'forward / {BASELINE}': ratio(forward, name, BASELINE),
            'training peak GB': f'{model.peak(model.training) / 1e9:.2f}'
        }
        if name != BASELINE:
            features, gradients = differences(results[name],
                                              results[BASELINE])
            row['features differ by'] = f'{features:.1e}'
            row['gradients differ by'] = f'{gradients:.1e}'
            row['verdict'] = (
                verdict(row[f'/ {BASELINE}'].median, features)
                if device.type == 'cuda' else 'only a GPU can tell')
        rows.append(row)
    return rows


def differences(actual: Result, expected: Result) -> Tuple[float, float]:
    """Of the features, the expert that changes most, and of the gradients:
    the norm of the difference over that of what is expected."""

    def difference(x: Tensor, y: Tensor) -> float:
        return ((x.float() - y.float()).norm() / y.float().norm()).item()

    features = max(map(difference, actual.features, expected.features))
    return features, difference(actual.gradients, expected.gradients)


def verdict(time: float, features: float) -> str:
    """Whether float8 should become an option.

    Args:
        time: Of a training step, as a share of bfloat16's.
        features: What they differ by.
    """
    kept = time <= MOST_TIME and features <= MOST_DIFFERENCE
    return (f'{"keep" if kept else "do not keep"}: step in {time:.2f} of the '
            f'time ({MOST_TIME} asked), features differ by '
            f'{100 * features:.1f} % ({100 * MOST_DIFFERENCE:.0f} allowed)')


def _report(casts: str, rows: List[Row], args: argparse.Namespace) -> None:
    weights = ' and '.join(args.pretrained or ['random weights'])
    report(
        f'frozen products in float8, {casts}: {describe(args)}, {weights}',
        rows, environment(torch.device(args.device), args.clock),
        json_path(args.json, casts.replace(' ', '_')))
