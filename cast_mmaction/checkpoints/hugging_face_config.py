"""Sizes of Hugging Face's models: their ``config.json``, our config, and
back.

What a config does not say has transformers' default, which is the base model
of the paper.
"""
from typing import Callable, Dict, List, Optional

from torch import nn

from .hugging_face import LAYOUTS, Layout
from .rename import CheckpointError

# Ours has its epsilons and activations from the models' authors.
_FIXED = dict(hidden_act=('gelu', ), qkv_bias=(True, ), qv_bias=(True, ))

_NUMBERS = ('hidden_size', 'num_hidden_layers', 'num_attention_heads',
            'intermediate_size', 'mlp_ratio', 'image_size', 'crop_size',
            'patch_size', 'num_frames', 'frames_per_clip', 'tubelet_size',
            'num_pooler_layers')


def is_known(config: dict) -> bool:
    """Whether a ``config.json`` is of a model that is known here."""
    return any(
        config.get('model_type') in layout.model_types for layout in LAYOUTS)


def layout_of(config: dict) -> Layout:
    """The layout that a ``config.json`` belongs to.

    Raises:
        CheckpointError: naming the model types that are known.
    """
    kind = config.get('model_type')
    for layout in LAYOUTS:
        if kind in layout.model_types:
            return layout
    known = ', '.join(x for y in LAYOUTS for x in y.model_types)
    raise CheckpointError(f'it is a model of the type {kind!r}; known here '
                          f'are {known}')


def class_names(config: dict) -> Optional[List[str]]:
    """The names of a classifier's classes, None if it has none."""
    names = config.get('id2label')
    if not isinstance(names, dict) or not names:
        return None
    return [names[key] for key in sorted(names, key=int)]


def our_config(config: dict, classifies: bool) -> dict:
    """The config of our model for a ``config.json``.

    Args:
        config: Its content.
        classifies: Whether the weights have a classifier.

    Returns:
        Of a ``Recognizer3D`` where there is a classifier, else of an expert.

    Raises:
        CheckpointError: for a model that is not known here, or a part of it
            that is not offered.
    """
    layout = layout_of(config)
    sizes = config.get('vision_config', config)
    for key in _NUMBERS:
        value = sizes.get(key, 1)
        if not isinstance(value, (int, float)) or value <= 0:
            raise CheckpointError(f'{key}={value!r} is no size')
    for key, offered in _FIXED.items():
        if layout.source != 'clip' and sizes.get(key,
                                                 offered[0]) not in offered:
            raise CheckpointError(f'{key}={sizes[key]!r} is not offered here')
    try:
        expert = _OURS[layout.source](sizes)
    except (ArithmeticError, LookupError, TypeError) as error:
        raise CheckpointError('its config.json states no sizes '
                              f'({type(error).__name__}: {error})') from error
    if not classifies:
        return expert
    head = dict(
        type='LinearHead',
        in_channels=expert['arch']['embed_dims'],
        num_classes=len(class_names(config) or ()) or 2)
    if layout.source != 'vjepa2':
        return dict(type='Recognizer3D', backbone=expert, cls_head=head)
    return dict(
        type='Recognizer3D',
        backbone=dict(type='ExpertTokens', expert=expert),
        neck=dict(
            type='AttentivePool',
            in_channels=expert['arch']['embed_dims'],
            num_heads=expert['arch']['num_heads'],
            num_layers=sizes.get('num_pooler_layers', 3)),
        cls_head=head)


def their_config(model: nn.Module,
                 classes: Optional[List[str]] = None) -> dict:
    """The ``config.json`` of one of our models.

    Args:
        model: An expert, or a ``Recognizer3D`` of one.
        classes: Names of the classes; None to number them.

    Raises:
        CheckpointError: if transformers has no such model.
    """
    expert = expert_of(model)
    layout = layout_for(expert)
    config = dict(
        _THEIRS[layout.source](expert),
        model_type=layout.model_types[-1],
        hidden_size=expert.embed_dims,
        num_hidden_layers=len(expert.blocks),
        num_attention_heads=expert.num_heads,
        patch_size=expert.patch_size,
        dtype='float32')
    head = getattr(model, 'cls_head', None)
    config['architectures'] = [_ARCHITECTURES[layout.source][head is not None]]
    if head is not None:
        classes = classes or [f'LABEL_{i}' for i in range(head.num_classes)]
        if len(classes) != head.num_classes:
            raise CheckpointError(f'{len(classes)} names for '
                                  f'{head.num_classes} classes')
        config['id2label'] = {str(i): name for i, name in enumerate(classes)}
        config['label2id'] = {name: i for i, name in enumerate(classes)}
    neck = getattr(model, 'neck', None)
    if neck is not None:
        config['num_pooler_layers'] = len(neck.blocks)
    return config


def expert_of(model: nn.Module) -> nn.Module:
    """The expert that a recognizer consists of."""
    backbone = getattr(model, 'backbone', model)
    return getattr(backbone, 'expert', backbone)


def layout_for(expert: nn.Module) -> Layout:
    """The layout in which transformers has an expert.

    Raises:
        CheckpointError: if it has none.
    """
    source = getattr(expert, 'source', None)
    for layout in LAYOUTS:
        if layout.source == source:
            return layout
    raise CheckpointError(
        f'transformers has no {type(expert).__name__}; it has '
        f'{", ".join(layout.source for layout in LAYOUTS)}, alone or with a '
        'classifier')


def _arch(config: dict, mlp: str = 'intermediate_size') -> dict:
    dims = config.get('hidden_size', 768)
    hidden = config.get(mlp, 4 * dims)
    arch = dict(
        embed_dims=dims,
        num_layers=config.get('num_hidden_layers', 12),
        num_heads=config.get('num_attention_heads', 12))
    return arch if hidden == 4 * dims else dict(arch, mlp_dims=hidden)


def _our_videomae(config: dict) -> dict:
    return dict(
        type='VideoMAEExpert',
        arch=_arch(config),
        img_size=config.get('image_size', 224),
        patch_size=config.get('patch_size', 16),
        num_frames=config.get('num_frames', 16),
        tubelet_size=config.get('tubelet_size', 2))


def _our_clip(config: dict) -> dict:
    return dict(
        type='CLIPExpert',
        arch=_arch(config),
        img_size=config.get('image_size', 224),
        patch_size=config.get('patch_size', 32),
        act=config.get('hidden_act', 'quick_gelu'))


def _our_timesformer(config: dict) -> dict:
    scheme = config.get('attention_type', 'divided_space_time')
    return dict(
        type='SpaceTimeViT',
        scheme=scheme.partition('_')[0],
        arch=_arch(config),
        img_size=config.get('image_size', 224),
        patch_size=config.get('patch_size', 16),
        num_frames=config.get('num_frames', 8))


def _our_vjepa2(config: dict) -> dict:
    dims = config.get('hidden_size', 1024)
    sizes = dict(
        hidden_size=dims,
        num_hidden_layers=config.get('num_hidden_layers', 24),
        num_attention_heads=config.get('num_attention_heads', 16),
        intermediate_size=int(dims * config.get('mlp_ratio', 4)))
    return dict(
        type='VJEPA2Expert',
        arch=_arch(sizes),
        img_size=config.get('crop_size', 256),
        patch_size=config.get('patch_size', 16),
        num_frames=config.get('frames_per_clip', 64),
        tubelet_size=config.get('tubelet_size', 2))


def _our_ast(config: dict) -> dict:
    strides = {config.get(f'{axis}_stride', 10)
               for axis in ('frequency', 'time')}
    if len(strides) > 1:
        raise CheckpointError('frequency_stride and time_stride differ, '
                              'which is not offered here')
    return dict(
        type='ASTExpert',
        arch=_arch(config),
        num_mel_bins=config.get('num_mel_bins', 128),
        num_frames=config.get('max_length', 1024),
        patch_size=config.get('patch_size', 16),
        stride=strides.pop())


def _mlp_dims(expert: nn.Module) -> int:
    return expert.blocks[0].mlp.fc1.out_features


def _their_videomae(expert: nn.Module) -> dict:
    return dict(
        intermediate_size=_mlp_dims(expert),
        image_size=expert.img_size,
        num_frames=expert.num_frames,
        tubelet_size=expert.tubelet_size,
        layer_norm_eps=expert.norm_eps,
        use_mean_pooling=True)


def _their_clip(expert: nn.Module) -> dict:
    return dict(
        intermediate_size=_mlp_dims(expert),
        image_size=expert.img_size,
        hidden_act=expert.act,
        layer_norm_eps=expert.norm_eps)


def _their_timesformer(expert: nn.Module) -> dict:
    types = dict(
        space='space_only',
        joint='joint_space_time',
        divided='divided_space_time')
    if expert.scheme not in types:
        raise CheckpointError('transformers has no TimeSformer of the scheme '
                              f'{expert.scheme!r}; it has {", ".join(types)}')
    return dict(
        intermediate_size=_mlp_dims(expert),
        image_size=expert.img_size,
        num_frames=expert.num_steps,
        attention_type=types[expert.scheme],
        layer_norm_eps=expert.norm.eps)


def _their_vjepa2(expert: nn.Module) -> dict:
    return dict(
        mlp_ratio=_mlp_dims(expert) / expert.embed_dims,
        crop_size=expert.img_size,
        frames_per_clip=expert.num_frames,
        tubelet_size=expert.tubelet_size,
        layer_norm_eps=expert.norm_eps)


def _their_ast(expert: nn.Module) -> dict:
    return dict(
        intermediate_size=_mlp_dims(expert),
        num_mel_bins=expert.num_mel_bins,
        max_length=expert.num_frames,
        frequency_stride=expert.stride,
        time_stride=expert.stride,
        layer_norm_eps=expert.norm.eps)


_OURS: Dict[str, Callable[[dict], dict]] = dict(
    videomae=_our_videomae,
    clip=_our_clip,
    timesformer=_our_timesformer,
    vjepa2=_our_vjepa2,
    ast=_our_ast)
_THEIRS: Dict[str, Callable[[nn.Module], dict]] = dict(
    videomae=_their_videomae,
    clip=_their_clip,
    timesformer=_their_timesformer,
    vjepa2=_their_vjepa2,
    ast=_their_ast)
# Their class: an encoder alone, and with a classifier.
_ARCHITECTURES = dict(
    videomae=('VideoMAEModel', 'VideoMAEForVideoClassification'),
    clip=('CLIPVisionModel', 'CLIPVisionModel'),
    timesformer=('TimesformerModel', 'TimesformerForVideoClassification'),
    vjepa2=('VJEPA2Model', 'VJEPA2ForVideoClassification'),
    ast=('ASTModel', 'ASTModel'))
