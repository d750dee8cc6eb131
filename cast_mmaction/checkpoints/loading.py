"""Filling models with weights, strictly."""
from pathlib import Path
from typing import Dict, List, NamedTuple, Sequence

import torch
from mmengine.logging import MMLogger
from torch import nn

from .convert import convert, strip_prefixes
from .hugging_face import recognise
from .hugging_face_config import is_known, layout_of, our_config
from .hugging_face_files import is_repository, read_repository
from .kinds import check_kind
from .positions import fit_positions
from .reading import read_state_dict
from .rename import CheckpointError, StateDict, shorten

# What a source may lack as a whole, by the start of the names; it then starts
# as the model has it.
ALLOWED_MISSING: Dict[str, Sequence[str]] = {
    'videomae': ('norm.', ),  # a pre-training has no read-out
    'evl': ('backbone.expert.', ),  # published files leave the encoder out
}


class Fit(NamedTuple):
    """How a state dict fits a model.

    Attributes:
        state_dict: The tensors, position tables resized.
        matched: Names in both.
        missing: Names that only the model has, and may not lack.
        left_fresh: Names that only the model has, and may lack.
        unexpected: Names that only the state dict has.
        wrong_shape: Both shapes of tensors that differ in them, by name.
        resized: What was done to position tables, by name.
    """
    state_dict: StateDict
    matched: List[str]
    missing: List[str]
    left_fresh: List[str]
    unexpected: List[str]
    wrong_shape: Dict[str, str]
    resized: Dict[str, str]

    def problems(self) -> str:
        """Why it cannot be loaded; empty if it can."""
        return '; '.join(
            f'{what}: {shorten(keys)}'
            for what, keys in (('missing', self.missing),
                               ('unexpected', self.unexpected),
                               ('wrong shape',
                                [f'{k} {v}'
                                 for k, v in self.wrong_shape.items()]))
            if keys)


def fit(module: nn.Module,
        state_dict: StateDict,
        allowed_missing: Sequence[str] = ()) -> Fit:
    """Compares a state dict with a model and resizes position tables.

    Args:
        module: The model.
        state_dict: Tensors under this package's names.
        allowed_missing: Starts of names that the state dict may lack, all
            with one start or none.
    """
    lacking = tuple(start for start in allowed_missing
                    if not any(key.startswith(start) for key in state_dict))
    own = {k: tuple(v.shape) for k, v in module.state_dict().items()}
    state_dict, resized = fit_positions(state_dict, own)
    missing = own.keys() - state_dict.keys()
    left_fresh = {key for key in missing if key.startswith(lacking)}
    shared = own.keys() & state_dict.keys()
    wrong_shape = {
        key: f'{tuple(state_dict[key].shape)} instead of {own[key]}'
        for key in shared if tuple(state_dict[key].shape) != own[key]
    }
    return Fit(state_dict, sorted(shared - wrong_shape.keys()),
               sorted(missing - left_fresh), sorted(left_fresh),
               sorted(state_dict.keys() - own.keys()), wrong_shape, resized)


def load_strictly(module: nn.Module,
                  state_dict: StateDict,
                  name: str,
                  allowed_missing: Sequence[str] = ()) -> None:
    """Fills a model; nothing may be left over on either side.

    Args:
        module: The model.
        state_dict: Tensors under this package's names. Position tables are
            resized where needed, and that is logged.
        name: Where they come from, for messages.
        allowed_missing: See :func:`fit`.

    Raises:
        CheckpointError: naming the keys that do not fit.
    """
    report = fit(module, state_dict, allowed_missing)
    if report.problems():
        raise CheckpointError(
            f'{name} does not fit {type(module).__name__}; '
            f'{report.problems()}. Is it of another architecture (arch, '
            'patch_size, num_frames)?')
    module.load_state_dict(report.state_dict, strict=not report.left_fresh)
    logger = MMLogger.get_current_instance()
    for key, how in report.resized.items():
        logger.info(f'{name}: resized {key} {how}')
    logger.info(f'{type(module).__name__}: loaded {len(report.matched)} '
                f'tensors from {name}')


def load_pretrained(expert: nn.Module, pretrained: str, source: str) -> None:
    """Fills an expert with weights, strictly.

    Args:
        expert: The module to fill.
        pretrained: See :func:`read_pretrained`.
        source: See :func:`read_pretrained`.

    Raises:
        CheckpointError: naming the file and the keys that do not fit.
    """
    weights = read_pretrained(expert, pretrained, source)
    if not getattr(expert, 'pretrained_norm', True):
        weights = {
            key: value
            for key, value in weights.items() if not key.startswith('norm.')
        }
    load_strictly(expert, weights, pretrained, ALLOWED_MISSING.get(source, ()))


def read_pretrained(expert: nn.Module, pretrained: str,
                    source: str) -> StateDict:
    """Reads weights for an expert.

    Args:
        expert: The module that they are for.
        pretrained: A file; a model of transformers, 'hf://OWNER/NAME
            [@REVISION]' on the hub or its folder; for the source 'clip' also
            an open_clip tag.
        source: Name of the converter, see ``convert``. Files in this
            package's own layout are taken as well.

    Returns:
        Tensors under the expert's names.

    Raises:
        CheckpointError: naming the file and the keys that the source does
            not have, or its kind if the expert wants another.
    """
    if is_repository(pretrained):
        config, state_dict = read_repository(pretrained)
        try:
            # Others may carry their authors' names, as VideoMAE V2's do.
            if is_known(config) or recognise(state_dict) is not None:
                check_hugging_face(expert, config, source)
        except CheckpointError as error:
            raise CheckpointError(f'{pretrained}: {error}') from None
    elif source == 'clip' and not Path(pretrained).exists():
        state_dict = _open_clip_state_dict(expert, pretrained)
    else:
        state_dict = read_state_dict(pretrained)
    try:
        check_kind(state_dict, getattr(expert, 'pretrained_kind', None))
        check_fixed_positions(expert, state_dict)
        return own_layout(state_dict) or own_layout(
            convert(state_dict, source))
    except CheckpointError as error:
        raise CheckpointError(f'{pretrained}: {error}') from None


def own_layout(state_dict: StateDict) -> StateDict:
    """The expert of a file of this package, bare or of a recognizer; empty
    if there is none."""
    bare = strip_prefixes({
        key: value
        for key, value in state_dict.items()
        if not key.startswith(('cls_head.', 'neck.'))
    })
    return bare if 'embedding.patch_embed.projection.weight' in bare else {}


def check_fixed_positions(expert: nn.Module, state_dict: StateDict) -> None:
    """Compares fixed positions that some files carry with the expert's.

    Raises:
        CheckpointError: if the weights were trained with other positions.
    """
    own = dict(expert.named_buffers()).get('embedding.positions')
    for name in ('pos_embed', 'encoder.pos_embed', 'backbone.pos_embed'):
        stored = strip_prefixes(state_dict).get(name)
        if own is None or stored is None or stored.numel() != own.numel():
            continue
        if not torch.allclose(
                stored.float().flatten(), own.cpu().flatten(), atol=1e-3):
            raise CheckpointError(
                f'{name} differs from the fixed positions of the expert: '
                'the weights were trained with others. Those of MVD want '
                "positions='axes'")


def check_hugging_face(expert: nn.Module, config: dict, source: str) -> None:
    """Compares a model of transformers with the expert where the shapes of
    its tensors would not tell.

    Raises:
        CheckpointError: if it is another model, or has other heads or
            activations.
    """
    layout = layout_of(config)
    if layout.source != source:
        raise CheckpointError(
            f'it is a model of the type {config["model_type"]!r}, whose '
            f'weights are of {layout.source!r}; {type(expert).__name__} '
            f'takes those of {source!r}')
    theirs = our_config(config, classifies=False)
    num_heads = theirs['arch']['num_heads']
    if num_heads != expert.num_heads:
        raise CheckpointError(
            f'it has {num_heads} heads, {type(expert).__name__} '
            f'{expert.num_heads}: set arch')
    if theirs.get('act') not in (None, getattr(expert, 'act', None)):
        raise CheckpointError(f'it was trained with act={theirs["act"]!r}; '
                              'set it in the expert')


def _open_clip_state_dict(expert: nn.Module, tag: str) -> StateDict:
    """Weights that open_clip knows by a tag, fetched and read by it."""
    import open_clip
    size = {768: 'B', 1024: 'L'}.get(expert.embed_dims)
    model = f'ViT-{size}-{expert.patch_size}'
    larger = f'{model}-{expert.img_size}'  # trained at another resolution
    if tag in open_clip.list_pretrained_tags_by_model(larger):
        model = larger
    tags = open_clip.list_pretrained_tags_by_model(model)
    if tag not in tags:
        raise CheckpointError(
            f'pretrained={tag!r} is neither a file nor an open_clip tag of '
            f'{model}; its tags: {", ".join(tags) or "none"}')
    config = open_clip.get_pretrained_cfg(model, tag)
    act = 'quick_gelu' if config.get('quick_gelu') else 'gelu'
    if act != expert.act:
        raise CheckpointError(f'open_clip trained {model} {tag!r} with '
                              f'act={act!r}; set it in the expert')
    return open_clip.create_model(
        model, pretrained=tag, force_quick_gelu=act == 'quick_gelu',
        load_weights=True).visual.state_dict()
