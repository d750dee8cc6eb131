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
import json
import sys
from pathlib import Path
from typing import List, NamedTuple, Optional, Sequence, Tuple

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import Tensor, nn

import cast_mmaction
from cast_mmaction.checkpoints import (CONVERTERS, REVERTERS, CheckpointError,
                                       complete, convert, kind_of, revert)
from cast_mmaction.checkpoints.convert import (CONVERTER_VERSION,
                                               strip_prefixes)
from cast_mmaction.checkpoints.hugging_face import (from_hugging_face,
                                                    recognise,
                                                    to_hugging_face)
from cast_mmaction.checkpoints.hugging_face_config import (class_names,
                                                           expert_of,
                                                           layout_for,
                                                           our_config,
                                                           their_config)
from cast_mmaction.checkpoints.hugging_face_files import (CONFIG, WEIGHTS,
                                                          find_repository,
                                                          is_repository,
                                                          read_config,
                                                          read_weights,
                                                          weight_files)
from cast_mmaction.checkpoints.infer import infer_model
from cast_mmaction.checkpoints.loading import (ALLOWED_MISSING, Fit,
                                               check_fixed_positions, fit,
                                               load_strictly, own_layout)
from cast_mmaction.checkpoints.reading import (TRUST, read_state_dict,
                                               sha256_of)
from cast_mmaction.checkpoints.rename import StateDict
from cast_mmaction.class_names import read_class_names
from cast_mmaction.atomic_write import atomic_write
from cast_mmaction.hub import save_tensors
from cast_mmaction.models.expert import Expert
from mmaction.registry import MODELS

OURS = 'cast_mmaction'
HF = 'hf'
LISTED = 40  # keys that the table lists of a kind


def parse_args(argv=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'source',
        choices=sorted(CONVERTERS) + [OURS],
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
        choices=[OURS, HF] + sorted(REVERTERS),
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
        help=f'read files that hold more than data: {TRUST}')
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
        try:
            args.classes = read_class_names(args.classes)
        except (FileNotFoundError, ValueError) as error:
            parser.error(str(error))
    if args.check and args.to != OURS:
        parser.error(f'--check runs a model of {OURS}; there is none with '
                     f'--to {args.to}')
    return args


class Weights(NamedTuple):
    """What was read.

    Attributes:
        files: The files.
        state_dict: Tensors by name.
        config: The ``config.json`` beside them, None if there is none.
    """
    files: List[Path]
    state_dict: StateDict
    config: Optional[dict]


def read(path: str, trust: bool) -> Weights:
    """Reads a file, a folder of transformers, or a model on its hub."""
    if is_repository(path):
        folder = find_repository(path)
        return Weights(
            weight_files(folder), read_weights(folder), read_config(folder))
    file = Path(path)
    config = None
    if (file.parent / CONFIG).is_file():
        config = read_config(file.parent)
    return Weights([file], read_state_dict(file, trust), config)


def find_part(model: nn.Module, source: str) -> nn.Module:
    """The part of a configured model that a source's weights are for: an
    expert for weights of an expert, else the whole."""
    if source not in ('ast', 'clip', 'videomae', 'vjepa2'):
        return model
    for module in model.modules():
        if getattr(module, 'source', None) == source:
            return module
    raise CheckpointError(f'the model of --config has no part for {source!r}')


def build_target(args: argparse.Namespace, weights: Weights,
                 converted: StateDict) -> Tuple[nn.Module, StateDict]:
    """The model that the converted weights are for, and what of them it
    takes."""
    classifies = 'cls_head.fc_cls.weight' in converted
    layout = recognise(strip_prefixes(weights.state_dict))
    if args.config:
        model = MODELS.build(Config.fromfile(args.config).model)
        if layout is None:
            return find_part(model, args.source), converted
        whole = getattr(expert_of(model), 'source', None) == layout.source
        if classifies and whole and hasattr(model, 'cls_head'):
            return model, converted
        return find_part(model, layout.source), own_layout(converted)
    if layout is None:
        return MODELS.build(infer_model(converted, args.source)), converted
    if weights.config is None:
        raise CheckpointError(f'there is no {CONFIG} beside it that has the '
                              'sizes of the model; give its --config')
    return MODELS.build(our_config(weights.config, classifies)), converted


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
    """Print what the model makes of inputs that are always the same."""
    backbone = getattr(model, 'backbone', model).eval()
    inputs = {}
    for expert in backbone.modules():
        if isinstance(expert, Expert):
            shape = (1, *expert.input_shape)
            values = torch.arange(torch.Size(shape).numel()).mul(.7).sin()
            inputs.setdefault(expert.modality, values.view(shape))
    with torch.no_grad():
        features = backbone(
            **inputs) if len(inputs) > 1 else backbone(*inputs.values())
    if isinstance(features, Tensor):
        features = (features, )
    elif isinstance(features, dict):
        features = features.values()
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


def bring_in(args: argparse.Namespace, weights: Weights) -> StateDict:
    """Another codebase's weights under our names, compared with a model."""
    converted, unexpected = convert_known(weights.state_dict, args.source)
    target, converted = build_target(args, weights, converted)
    check_fixed_positions(target, weights.state_dict)
    source = getattr(target, 'source', args.source)
    report = fit(target, converted, ALLOWED_MISSING.get(source, ()))
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


def bring_out(args: argparse.Namespace, weights: Weights) -> StateDict:
    """Our weights under another codebase's names, proved by the way back."""
    state_dict = strip_module(weights.state_dict)
    if args.config:
        model = MODELS.build(Config.fromfile(args.config).model)
        state_dict = complete(model, state_dict)
    elif any(key.endswith('.frozen_identity') for key in state_dict):
        raise CheckpointError('holds what was trained alone; --config says '
                              'where its experts are')
    if args.to == HF:
        layout = layout_for(expert_of(model))
        load_strictly(model, state_dict, args.input)
        reverted = to_hugging_face(state_dict, layout)
        again = from_hugging_face(reverted, layout)
    else:
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


def write_folder(args: argparse.Namespace, state_dict: StateDict,
                 origin: dict) -> None:
    """Writes a folder as ``save_pretrained`` does, the config last: without
    one it is no model yet."""
    model = MODELS.build(Config.fromfile(args.config).model)
    config = dict(their_config(model, args.classes), cast_mmaction=origin)
    if args.output.exists():
        raise CheckpointError(f'{args.output} is there already; name another '
                              'folder')
    args.output.mkdir(parents=True)
    with atomic_write(args.output / WEIGHTS) as file:
        save_tensors(state_dict, file, dict(format='pt'))
    with atomic_write(args.output / CONFIG) as file:
        file.write_text(json.dumps(config, indent=2), encoding='utf-8')


def strip_module(state_dict: StateDict) -> StateDict:
    """Without what data-parallel training puts in front."""
    return {k.removeprefix('module.'): v for k, v in state_dict.items()}


def write(path: Path, state_dict: StateDict, origin: dict, to: str,
          classes: Optional[List[str]]) -> None:
    """Write a whole file, in the form that its reader expects; with the names
    of the classes, where they are known, as the runner writes them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        if path.suffix == '.safetensors':
            save_tensors(state_dict, file,
                         {k: str(v) for k, v in origin.items()})
        else:
            name = 'state_dict' if to == OURS else 'model'
            meta = dict(converted=origin)
            if classes is not None:
                meta['dataset_meta'] = dict(classes=classes)
            torch.save({name: state_dict, 'meta': meta}, file)


def main(argv: Optional[list] = None) -> None:
    args = parse_args(argv)
    init_default_scope('mmaction')
    if args.trust:
        print(f'--trust: {TRUST}.')
    try:
        weights = read(args.input, args.trust)
        origin = dict(
            source=args.source,
            to=args.to,
            file=args.input if is_repository(args.input) else Path(
                args.input).name,
            sha256=','.join(sha256_of(file) for file in weights.files),
            converter=CONVERTER_VERSION,
            cast_mmaction=cast_mmaction.__version__)
        layout = recognise(strip_prefixes(weights.state_dict))
        if 'videomae' in (args.source, layout and layout.source):
            origin['kind'] = kind_of(weights.state_dict)
        print(f'{args.input}: {len(weights.state_dict)} tensors, '
              f'{origin.get("kind", args.source)}, '
              f'SHA-256 {origin["sha256"]}')
        bring = bring_in if args.to == OURS else bring_out
        converted = bring(args, weights)
        if args.dry_run:
            print('dry run: nothing written')
            return
        if args.to == HF:
            write_folder(args, converted, origin)
        else:
            classes = None
            if weights.config and 'cls_head.fc_cls.weight' in converted:
                classes = class_names(weights.config)
            write(args.output, converted, origin, args.to, classes)
    except (CheckpointError, ImportError) as error:
        message = str(error)
        if not message.startswith(args.input):
            message = f'{args.input}: {message}'
        sys.exit(f'refused: {message}')
    print(f'wrote {args.output}: {len(converted)} tensors')


if __name__ == '__main__':
    main()
