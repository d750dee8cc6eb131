"""Convert the weights of another codebase, or this package's to another's.

    python tools/checkpoints/convert_checkpoint.py clip ViT-B-16.pt clip-b16.pth
    python tools/checkpoints/convert_checkpoint.py cast theirs.pth ours.pth --check
    python tools/checkpoints/convert_checkpoint.py cast_mmaction ours.pth theirs.pth \
        --to cast

Every tensor must find its place, or nothing is written. What comes out holds
the SHA-256 of what went in.
"""
import argparse
import sys
from pathlib import Path
from typing import Optional, Sequence, Tuple

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import Tensor, nn

import cast_mmaction
from cast_mmaction.checkpoints import (CONVERTERS, REVERTERS, CheckpointError,
                                       complete, convert, kind_of, revert)
from cast_mmaction.checkpoints.convert import (CONVERTER_VERSION,
                                               strip_prefixes)
from cast_mmaction.checkpoints.infer import infer_model
from cast_mmaction.checkpoints.loading import (ALLOWED_MISSING, Fit,
                                               check_fixed_positions, fit)
from cast_mmaction.checkpoints.reading import (TRUST, read_state_dict,
                                               sha256_of)
from cast_mmaction.checkpoints.rename import StateDict
from cast_mmaction.atomic_write import atomic_write
from cast_mmaction.hub import save_tensors
from mmaction.registry import MODELS

OURS = 'cast_mmaction'
LISTED = 40  # keys that the table lists of a kind


def parse_args(argv=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'source',
        choices=sorted(CONVERTERS) + [OURS],
        help='codebase that the weights come from')
    parser.add_argument('input', type=Path, help='checkpoint to read')
    parser.add_argument(
        'output', type=Path, help='.pth or .safetensors file to write')
    parser.add_argument(
        '--to',
        choices=[OURS] + sorted(REVERTERS),
        default=OURS,
        help=f'codebase that they are for (default: {OURS})')
    parser.add_argument(
        '--config',
        help='config of the model they are for; without one it is read off '
        'the shapes')
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
        help=f'read files that hold more than data: {TRUST}')
    args = parser.parse_args(argv)
    if (args.source == OURS) == (args.to == OURS):
        parser.error(f'one of the two sides must be {OURS}: give a SOURCE of '
                     f'another codebase, or {OURS} and --to')
    if args.check and args.to != OURS:
        parser.error(f'--check runs a model of {OURS}; there is none with '
                     f'--to {args.to}')
    return args


def find_part(model: nn.Module, source: str) -> nn.Module:
    """The part of a configured model that a source's weights are for: an
    expert for weights of an expert, else the whole."""
    if source not in ('clip', 'videomae'):
        return model
    for module in model.modules():
        if getattr(module, 'source', None) == source:
            return module
    raise CheckpointError(f'the model of --config has no part for {source!r}')


def build_target(args: argparse.Namespace, converted: StateDict) -> nn.Module:
    """The model that the converted weights are for."""
    if args.config:
        model = MODELS.build(Config.fromfile(args.config).model)
        return find_part(model, args.source)
    return MODELS.build(infer_model(converted, args.source))


def print_table(report: Fit) -> None:
    """How many tensors fit, and which do not."""
    rows = (('matched', report.matched, False),
            ('resized', [f'{k}: {v}' for k, v in report.resized.items()],
             True),
            ('missing, may be', report.left_fresh, False),
            ('missing', report.missing, True),
            ('unexpected', report.unexpected, True),
            ('wrong shape', [f'{k}: {v}'
                             for k, v in report.wrong_shape.items()], True))
    for name, keys, listed in rows:
        print(f'{name:<16}{len(keys):>6}')
        if listed:
            print_keys(keys)


def print_keys(keys: Sequence[str]) -> None:
    for key in keys[:LISTED]:
        print(f'    {key}')
    if len(keys) > LISTED:
        print(f'    ... and {len(keys) - LISTED} more')


def fingerprint(model: nn.Module) -> None:
    """Print what the model makes of a clip that is always the same."""
    backbone = getattr(model, 'backbone', model).eval()
    expert = next(m for m in backbone.modules() if hasattr(m, 'num_frames'))
    shape = (1, 3, expert.num_frames, expert.img_size, expert.img_size)
    clip = torch.arange(torch.Size(shape).numel()).mul(.7).sin().view(shape)
    with torch.no_grad():
        features = backbone(clip)
    if isinstance(features, Tensor):
        features = (features, )
    for feature in features:
        first = ' '.join(f'{x:.4f}' for x in feature.flatten()[:4].tolist())
        print(f'feature {tuple(feature.shape)}: norm {feature.norm():.4f}, '
              f'first {first}')


def convert_known(state_dict: StateDict,
                  source: str) -> Tuple[StateDict, Sequence[str]]:
    """Converts what a source has, and says what it does not have."""
    try:
        return convert(state_dict, source), ()
    except CheckpointError as error:
        known = {
            key: value
            for key, value in strip_prefixes(state_dict).items()
            if key not in error.unexpected
        }
        if not error.unexpected or not known:
            raise
        return convert(known, source), error.unexpected


def bring_in(args: argparse.Namespace, state_dict: StateDict) -> StateDict:
    """Another codebase's weights under our names, compared with a model."""
    converted, unexpected = convert_known(state_dict, args.source)
    target = build_target(args, converted)
    check_fixed_positions(target, state_dict)
    report = fit(target, converted, ALLOWED_MISSING.get(args.source, ()))
    report.unexpected.extend(unexpected)
    print_table(report)
    if report.problems():
        raise CheckpointError(f'does not fit {type(target).__name__}; '
                              f'{report.problems()}')
    if args.check:
        if args.config:
            target.init_weights()  # what the file may lack
        elif report.left_fresh:
            print('features below depend on what the file lacks: '
                  f'{len(report.left_fresh)} tensors as a new model has them')
        target.load_state_dict(report.state_dict, strict=False)
        fingerprint(target)
    return report.state_dict


def bring_out(args: argparse.Namespace, state_dict: StateDict) -> StateDict:
    """Our weights under another codebase's names, proved by the way back."""
    state_dict = strip_module(state_dict)
    if args.config:
        model = MODELS.build(Config.fromfile(args.config).model)
        state_dict = complete(model, state_dict)
    elif any(key.endswith('.frozen_identity') for key in state_dict):
        raise CheckpointError('holds what was trained alone; --config says '
                              'where its experts are')
    reverted = revert(state_dict, args.to)
    again = convert(reverted, args.to)
    lost = [
        key for key, value in state_dict.items()
        if not torch.equal(again.get(key, torch.empty(0)), value)
    ]
    print(f'{len(reverted)} tensors under the names of {args.to}; '
          f'{len(lost)} of {len(state_dict)} differ on the way back')
    print_keys(lost)
    return reverted


def strip_module(state_dict: StateDict) -> StateDict:
    """Without what data-parallel training puts in front."""
    return {k.removeprefix('module.'): v for k, v in state_dict.items()}


def write(path: Path, state_dict: StateDict, origin: dict, to: str) -> None:
    """Write a whole file, in the form that its reader expects."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        if path.suffix == '.safetensors':
            save_tensors(state_dict, file,
                         {k: str(v) for k, v in origin.items()})
        else:
            name = 'state_dict' if to == OURS else 'model'
            torch.save({name: state_dict, 'meta': dict(converted=origin)},
                       file)


def main(argv: Optional[list] = None) -> None:
    args = parse_args(argv)
    init_default_scope('mmaction')
    if args.trust:
        print(f'--trust: {TRUST}.')
    try:
        state_dict = read_state_dict(args.input, args.trust)
        origin = dict(
            source=args.source,
            to=args.to,
            file=args.input.name,
            sha256=sha256_of(args.input),
            converter=CONVERTER_VERSION,
            cast_mmaction=cast_mmaction.__version__)
        if args.source == 'videomae':
            origin['kind'] = kind_of(state_dict)
        print(f'{args.input}: {len(state_dict)} tensors, '
              f'{origin.get("kind", args.source)}, '
              f'SHA-256 {origin["sha256"]}')
        bring = bring_in if args.to == OURS else bring_out
        converted = bring(args, state_dict)
    except CheckpointError as error:
        message = str(error)
        if not message.startswith(str(args.input)):
            message = f'{args.input}: {message}'
        sys.exit(f'refused: {message}')
    if args.dry_run:
        print('dry run: nothing written')
    else:
        write(args.output, converted, origin, args.to)
        print(f'wrote {args.output}: {len(converted)} tensors')


if __name__ == '__main__':
    main()
