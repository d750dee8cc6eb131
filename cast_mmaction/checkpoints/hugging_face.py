"""Names and shapes of Hugging Face's transformers, to this package's and
back.

One table per model, all pure: ``state_dict -> state_dict``. A number behind
``qkv`` or ``kv`` on the right says which part of that matrix it is: their
queries, keys and values lie apart, ours in one.
"""
import re
from typing import Dict, NamedTuple, Optional, Sequence, Tuple

import torch
from torch import Tensor

from .rename import (CheckpointError, Rules, StateDict, rename, reverse,
                     with_prefix)

CLASSIFIER = 'cls_head.fc_cls'
PART = re.compile(r'(.+\.)(qkv|kv)\.(\d)\.(weight|bias)')
JOINED = re.compile(r'(.+\.)(qkv|kv)\.(weight|bias)')


class Layout(NamedTuple):
    """How transformers names the tensors of a model.

    Attributes:
        source: Name of the converter that the same weights have elsewhere.
        model_types: What ``config.json`` calls the model.
        tell: Regular expression of a name that only this layout has.
        prefix: What stands before the encoder in a model that has more.
        rules: Their names and ours, of the encoder.
        head: Their names and ours, of what classifies.
        left_out: Their names for what has no use here.
        backbone: Where the encoder lies in our recognizer.
        dims: How many axes a tensor has there, by our name, where it has
            another number here.
    """
    source: str
    model_types: Tuple[str, ...]
    tell: str
    prefix: str
    rules: Rules
    head: Rules
    left_out: Tuple[str, ...] = ()
    backbone: str = 'backbone.'
    dims: Dict[str, int] = {}


def attention(theirs: Sequence[str], ours: str, joint: str = 'qkv') -> Rules:
    """Queries, keys and values (or the last two) that lie apart there."""
    return [(name, f'{ours}.{joint}.{i}') for i, name in enumerate(theirs)]


# The block of ViT as transformers has it in many models.
VIT_BLOCK: Rules = [
    ('layernorm_before', 'norm1'),
    ('attention.output.dense', 'attn.proj'),
    ('layernorm_after', 'norm2'),
    ('intermediate.dense', 'mlp.fc1'),
    ('output.dense', 'mlp.fc2'),
]
VIT_ATTENTION: Rules = attention(
    [f'attention.attention.{name}' for name in ('query', 'key', 'value')],
    'attn')
_PATCHES = 'embedding.patch_embed.projection'

VIDEOMAE = Layout(
    source='videomae',
    model_types=('videomae', ),
    tell=r'(.+\.)?encoder\.layer\.0\.attention\.attention\.q_bias',
    prefix='videomae.',
    rules=[
        ('embeddings.patch_embeddings.projection', _PATCHES),
        *with_prefix(
            [
                # Before the weights: on the way back the first rule counts.
                ('attention.attention.q_bias', 'attn.qkv.0.bias'),
                ('attention.attention.v_bias', 'attn.qkv.2.bias'),
                *VIT_ATTENTION,
                *VIT_BLOCK,
            ],
            'encoder.layer.{}.',
            'blocks.{}.'),
    ],
    head=[('fc_norm', 'norm'), ('classifier', CLASSIFIER)],
    # The norm of single tokens in the pre-training, see ``convert``.
    left_out=('layernorm', 'decoder', 'encoder_to_decoder', 'mask_token'))

CLIP = Layout(
    source='clip',
    model_types=('clip', 'clip_vision_model'),
    tell=r'(.+\.)?pre_layrnorm\.weight',
    prefix='vision_model.',
    rules=[
        ('embeddings.class_embedding', 'embedding.class_token'),
        ('embeddings.patch_embedding', _PATCHES),
        ('embeddings.position_embedding.weight', 'embedding.positions'),
        ('pre_layrnorm', 'embedding.norm'),  # their spelling
        *with_prefix([
            ('layer_norm1', 'norm1'),
            *attention([f'self_attn.{x}_proj' for x in 'qkv'], 'attn'),
            ('self_attn.out_proj', 'attn.proj'),
            ('layer_norm2', 'norm2'),
            ('mlp', 'mlp'),
        ], 'encoder.layers.{}.', 'blocks.{}.'),
        ('post_layernorm', 'norm'),
    ],
    head=[],
    left_out=('text_model', 'text_projection', 'visual_projection',
              'logit_scale', 'embeddings.position_ids'),
    dims={f'{_PATCHES}.weight': 4})

TIMESFORMER = Layout(
    source='timesformer',
    model_types=('timesformer', ),
    tell=r'(.+\.)?encoder\.layer\.0\.attention\.attention\.qkv\.weight',
    prefix='timesformer.',
    rules=[
        ('embeddings.cls_token', 'embedding.class_token'),
        ('embeddings.position_embeddings', 'embedding.positions'),
        ('embeddings.time_embeddings', 'embedding.time_positions'),
        ('embeddings.patch_embeddings.projection', _PATCHES),
        *with_prefix([
            ('attention.attention.qkv', 'attn.qkv'),
            ('temporal_layernorm', 'steps.0.norm'),
            ('temporal_attention.attention.qkv', 'steps.0.attn.qkv'),
            ('temporal_attention.output.dense', 'steps.0.attn.proj'),
            ('temporal_dense', 'steps.0.fc'),
            *VIT_BLOCK,
        ], 'encoder.layer.{}.', 'blocks.{}.'),
        ('layernorm', 'norm'),
    ],
    head=[('classifier', CLASSIFIER)],
    dims={
        f'{_PATCHES}.weight': 4,
        'embedding.class_token': 3,
        'embedding.positions': 3,
        'embedding.time_positions': 3
    })

VJEPA2 = Layout(
    source='vjepa2',
    model_types=('vjepa2', ),
    tell=r'(.+\.)?encoder\.layer\.0\.attention\.query\.weight',
    prefix='vjepa2.',
    rules=[
        ('encoder.embeddings.patch_embeddings.proj', _PATCHES),
        *with_prefix([
            ('norm1', 'norm1'),
            *attention([f'attention.{x}' for x in ('query', 'key', 'value')],
                       'attn'),
            ('attention.proj', 'attn.proj'),
            ('norm2', 'norm2'),
            ('mlp', 'mlp'),
        ], 'encoder.layer.{}.', 'blocks.{}.'),
        ('encoder.layernorm', 'norm'),
    ],
    head=[
        ('pooler.query_tokens', 'neck.query'),
        *with_prefix([
            ('layer_norm1', 'norm1'),
            *attention([f'self_attn.{x}_proj' for x in 'qkv'], 'attn'),
            ('self_attn.out_proj', 'attn.proj'),
            ('layer_norm2', 'norm2'),
            ('mlp', 'mlp'),
        ], 'pooler.self_attention_layers.{}.', 'neck.blocks.{}.'),
        *with_prefix([
            ('layer_norm1', 'norm1'),
            ('cross_attn.q_proj', 'q'),
            ('cross_attn.k_proj', 'kv.0'),
            ('cross_attn.v_proj', 'kv.1'),
            ('layer_norm2', 'norm2'),
            ('mlp', 'mlp'),
        ], 'pooler.cross_attention_layer.', 'neck.read.'),
        ('classifier', CLASSIFIER),
    ],
    left_out=('predictor', ),
    backbone='backbone.expert.',
    dims={'neck.query': 3})

AST = Layout(
    source='ast',
    model_types=('audio-spectrogram-transformer', ),
    tell=r'(.+\.)?embeddings\.distillation_token',
    prefix='audio_spectrogram_transformer.',
    rules=[
        ('embeddings.cls_token', 'embedding.class_token'),
        ('embeddings.distillation_token', 'embedding.distillation_token'),
        ('embeddings.position_embeddings', 'embedding.spectrogram_positions'),
        ('embeddings.patch_embeddings.projection', _PATCHES),
        *with_prefix([*VIT_ATTENTION, *VIT_BLOCK], 'encoder.layer.{}.',
                     'blocks.{}.'),
        # What a model of transformers 5 calls the same in memory.
        *with_prefix([
            ('layernorm_before', 'norm1'),
            *attention([f'attention.{x}_proj' for x in 'qkv'], 'attn'),
            ('attention.o_proj', 'attn.proj'),
            ('layernorm_after', 'norm2'),
            ('mlp', 'mlp'),
        ], 'layers.{}.', 'blocks.{}.'),
        ('layernorm', 'norm'),
    ],
    head=[],
    left_out=('classifier', ),
    dims={
        'embedding.class_token': 3,
        'embedding.distillation_token': 3,
        'embedding.spectrogram_positions': 3
    })

# To add a model: its table here, its sizes in ``hugging_face_config``.
LAYOUTS: Sequence[Layout] = (VIDEOMAE, CLIP, TIMESFORMER, VJEPA2, AST)


def recognise(state_dict: StateDict) -> Optional[Layout]:
    """The layout of transformers that tensors are in, None if in none."""
    for layout in LAYOUTS:
        tell = re.compile(layout.tell)
        if any(tell.fullmatch(key) for key in state_dict):
            return layout
    return None


def from_hugging_face(state_dict: StateDict,
                      layout: Optional[Layout] = None) -> StateDict:
    """Weights of transformers under this package's names.

    Args:
        state_dict: Tensors by name.
        layout: Their layout; None to recognise it.

    Returns:
        Of a model with a classifier, the names of a ``Recognizer3D``; of any
        other, those of the expert.

    Raises:
        CheckpointError: if they are in no known layout, or naming the keys
            that the layout does not have.
    """
    layout = layout or recognise(state_dict)
    if layout is None:
        known = ', '.join(x for y in LAYOUTS for x in y.model_types)
        raise CheckpointError('these are no weights of transformers that are '
                              f'known here; known are {known}')
    rules = [
        *layout.rules, *layout.head,
        *((name, None) for name in layout.left_out)
    ]
    renamed = _join(
        rename({
            key.removeprefix(layout.prefix): value
            for key, value in state_dict.items()
        }, rules), layout)
    own = {
        key: _our_shape(key, value, layout)
        for key, value in renamed.items()
    }
    if not any(key.startswith(CLASSIFIER) for key in own):
        return own
    return {
        key if key.startswith(('cls_head.', 'neck.')) else layout.backbone +
        key: value
        for key, value in own.items()
    }


def to_hugging_face(state_dict: StateDict, layout: Layout) -> StateDict:
    """The way back of :func:`from_hugging_face`.

    What the layout cannot hold is left out: VideoMAE's bias of keys, which
    moves all scores of a query alike, so that softmax cannot see it; and its
    read-out norm where there is no classifier behind it.

    Args:
        state_dict: Of an expert, or of a ``Recognizer3D``.
        layout: The layout to bring it to.

    Raises:
        CheckpointError: naming the keys that the layout has no place for.
    """
    parts = _split(
        {k.removeprefix(layout.backbone): v
         for k, v in state_dict.items()}, layout)
    if layout is VIDEOMAE:
        parts = {
            key: value
            for key, value in parts.items()
            if not key.endswith('qkv.1.bias')
        }
    parts = {
        key: _their_shape(value, layout.dims.get(key, value.dim()))
        for key, value in parts.items()
    }
    head = {k: v for k, v in parts.items() if _in(k, layout.head)}
    encoder = rename({k: v
                      for k, v in parts.items() if k not in head},
                     reverse(layout.rules))
    if not any(key.startswith(CLASSIFIER) for key in head):
        # Only CLIP's encoder alone has a prefix too.
        prefix, head = layout.prefix if layout is CLIP else '', {}
    else:
        prefix = layout.prefix
    return {
        **{prefix + key: value
           for key, value in encoder.items()},
        **rename(head, reverse(layout.head))
    }


def _in(key: str, rules: Rules) -> bool:
    """Whether one of our names in a table is the start of a key."""
    return any(
        re.match(re.escape(ours).replace(r'\{\}', r'\d+') + r'(\.|$)', key)
        for _, ours in rules)


def _join(state_dict: StateDict, layout: Layout) -> StateDict:
    """Parts of a matrix into one, see the module's first lines."""
    joined: StateDict = {}
    found: Dict[str, Dict[int, Tensor]] = {}
    for key, value in state_dict.items():
        match = PART.fullmatch(key)
        if match is None:
            joined[key] = value
            continue
        stem, whole, part, leaf = match.groups()
        found.setdefault(f'{stem}{whole}.{leaf}', {})[int(part)] = value
    for key, parts in found.items():
        count = 3 if '.qkv.' in key else 2
        if layout is VIDEOMAE and key.endswith('bias') and 0 in parts:
            # It has no bias of keys, and zero is the same.
            parts.setdefault(1, torch.zeros_like(parts[0]))
        if len(parts) < count:
            raise CheckpointError(f'parts of {key} are missing: only '
                                  f'{sorted(parts)} of {count} are there')
        shapes = {tuple(part.shape) for part in parts.values()}
        if len(shapes) > 1:
            raise CheckpointError(f'the parts of {key} have different shapes: '
                                  f'{sorted(shapes)}')
        joined[key] = torch.cat([parts[i] for i in range(count)])
    return joined


def _split(state_dict: StateDict, layout: Layout) -> StateDict:
    """The way back of :func:`_join`; copies, since a slice would be saved
    with the whole."""
    if not any('.qkv.0' in ours for _, ours in layout.rules):
        return state_dict
    split: StateDict = {}
    for key, value in state_dict.items():
        match = JOINED.fullmatch(key)
        if match is None:
            split[key] = value
            continue
        stem, whole, leaf = match.groups()
        for i, part in enumerate(value.chunk(len(whole))):
            split[f'{stem}{whole}.{i}.{leaf}'] = part.clone()
    return split


def _our_shape(key: str, value: Tensor, layout: Layout) -> Tensor:
    if key.endswith(('class_token', 'distillation_token', 'neck.query')):
        return value.flatten()
    if key.endswith('positions') and value.dim() == 3:
        return value[0]
    if key.endswith(f'{_PATCHES}.weight') and value.dim() == 4:
        if layout is not AST:
            return value.unsqueeze(2)  # a patch is a tubelet of one frame
    return value


def _their_shape(value: Tensor, dims: int) -> Tensor:
    if value.dim() > dims:
        return value.squeeze(2)
    return value.reshape((1, ) * (dims - value.dim()) + value.shape)
