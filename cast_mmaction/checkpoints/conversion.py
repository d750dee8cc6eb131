"""The weights of a file under other names: what
``tools/checkpoints/convert_checkpoint.py`` does."""
import argparse
import json
from pathlib import Path
from typing import List, NamedTuple, Optional, Sequence, Tuple

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import Tensor, nn

from mmaction.registry import MODELS
from ..atomic_write import atomic_write
from ..hub import save_tensors
from ..models.expert import Expert
from ..version import __version__
from . import CheckpointError, complete, convert, kind_of, revert
from .convert import CONVERTER_VERSION, strip_prefixes
from .hugging_face import from_hugging_face, recognise, to_hugging_face
from .hugging_face_config import (class_names, expert_of, layout_for,
                                  our_config, their_config)
from .hugging_face_files import (CONFIG, WEIGHTS, find_repository,
                                 is_repository, read_config, read_weights,
                                 weight_files)
from .infer import infer_model
from .loading import (ALLOWED_MISSING, Fit, check_fixed_positions, fit,
                      load_strictly, own_layout)
from .reading import TRUST, read_state_dict, sha256_of
from .rename import StateDict

OURS = 'cast_mmaction'
HF = 'hf'
LISTED = 40  # keys that the table lists of a kind


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


def convert_file(args: argparse.Namespace) -> None:
    """Read, convert, compare and write what the command line says.

    Raises:
        CheckpointError: If a tensor does not find its place, or what is read
            is no such file; it begins with the name of the file.
        ImportError: If a package that reads it is missing, likewise.
    """
    init_default_scope('mmaction')
    if args.trust:
        print(f'--trust: {TRUST}.')
    try:
        count = _converted(args)
    except (CheckpointError, ImportError) as error:
        if str(error).startswith(args.input):
            raise
        raise type(error)(f'{args.input}: {error}') from error
    if args.dry_run:
        print('dry run: nothing written')
    else:
        print(f'wrote {args.output}: {count} tensors')


def _converted(args: argparse.Namespace) -> int:
    # Writes, unless it is a dry run; the number of tensors.
    weights = read(args.input, args.trust)
    origin = dict(
        source=args.source,
        to=args.to,
        file=args.input if is_repository(args.input) else Path(
            args.input).name,
        sha256=','.join(sha256_of(file) for file in weights.files),
        converter=CONVERTER_VERSION,
        cast_mmaction=__version__)
    layout = recognise(strip_prefixes(weights.state_dict))
    if 'videomae' in (args.source, layout and layout.source):
        origin['kind'] = kind_of(weights.state_dict)
    print(f'{args.input}: {len(weights.state_dict)} tensors, '
          f'{origin.get("kind", args.source)}, '
          f'SHA-256 {origin["sha256"]}')
    bring = bring_in if args.to == OURS else bring_out
    converted = bring(args, weights)
    if args.dry_run:
        return len(converted)
    if args.to == HF:
        write_folder(args, converted, origin)
    else:
        classes = None
        if weights.config and 'cls_head.fc_cls.weight' in converted:
            classes = class_names(weights.config)
        write(args.output, converted, origin, args.to, classes)
    return len(converted)
