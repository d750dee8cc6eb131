"""Weights of the systems that CAST is compared with; see ``convert``.

All four converters give the names of a whole ``Recognizer3D``.
"""
from typing import Callable, Dict, Sequence

import torch

from .rename import Rules, StateDict, rename, with_prefix

_CLIP_BLOCK: Rules = [
    ('ln_1', 'norm1'),
    ('attn.in_proj_weight', 'attn.qkv.weight'),
    ('attn.in_proj_bias', 'attn.qkv.bias'),
    ('attn.out_proj', 'attn.proj'),
    ('ln_2', 'norm2'),
    ('mlp.c_fc', 'mlp.fc1'),
    ('mlp.c_proj', 'mlp.fc2'),
]

# The frozen image encoder inside AIM and ST-Adapter, in OpenAI's names.
_INNER_CLIP: Rules = [
    *with_prefix([
        ('conv1', 'embedding.patch_embed.projection'),
        ('class_embedding', 'embedding.class_token'),
        ('positional_embedding', 'embedding.positions'),
        ('ln_pre', 'embedding.norm'),
        ('ln_post', 'norm'),
    ], '', 'backbone.expert.'),
    *with_prefix(_CLIP_BLOCK, 'transformer.resblocks.{}.',
                 'backbone.expert.blocks.{}.'),
]

AIM_RULES: Rules = [
    *_INNER_CLIP,
    ('temporal_embedding', 'backbone.time_positions'),
    *with_prefix([
        ('T_Adapter_in.D_fc1', 'temporal_in.down'),
        ('T_Adapter_in.D_fc2', 'temporal_in.up'),
        ('T_Adapter.D_fc1', 'temporal.down'),
        ('T_Adapter.D_fc2', 'temporal.up'),
        ('S_Adapter.D_fc1', 'attn.down'),
        ('S_Adapter.D_fc2', 'attn.up'),
        ('MLP_Adapter.D_fc1', 'ffn.down'),
        ('MLP_Adapter.D_fc2', 'ffn.up'),
    ], 'transformer.resblocks.{}.', 'backbone.layers.{}.'),
    ('cls_head.fc_cls', 'cls_head.fc_cls'),
]

ST_ADAPTER_RULES: Rules = [
    *_INNER_CLIP,
    *with_prefix([
        ('adapter_pre_attn.fc1', 'attn.down'),
        ('adapter_pre_attn.conv', 'attn.conv'),
        ('adapter_pre_attn.fc2', 'attn.up'),
        ('adapter_pre_mlp.fc1', 'ffn.down'),
        ('adapter_pre_mlp.conv', 'ffn.conv'),
        ('adapter_pre_mlp.fc2', 'ffn.up'),
    ], 'transformer.resblocks.{}.', 'backbone.layers.{}.'),
    ('fc', 'cls_head.fc_cls'),
]

# After `_join` has put q, k and v together.
EVL_RULES: Rules = [
    *with_prefix([
        ('cls_token', 'embedding.class_token'),
        ('pos_embed', 'embedding.positions'),
        ('patch_embed.proj', 'embedding.patch_embed.projection'),
        ('ln_pre', 'embedding.norm'),
        ('blocks.{}.norm1', 'blocks.{}.norm1'),
        ('blocks.{}.attn.qkv', 'blocks.{}.attn.qkv'),
        ('blocks.{}.attn.out_proj', 'blocks.{}.attn.proj'),
        ('blocks.{}.norm2', 'blocks.{}.norm2'),
        ('blocks.{}.mlp', 'blocks.{}.mlp'),
    ], 'backbone.', 'backbone.expert.'),
    ('decoder.cls_token', 'backbone.query'),
    *with_prefix([
        ('norm1', 'norm1'),
        ('attn.q_proj', 'attn.q'),
        ('attn.kv', 'attn.kv'),
        ('attn.out_proj', 'attn.proj'),
        ('norm3', 'norm3'),
        ('norm2', 'norm2'),
        ('mlp', 'mlp'),
    ], 'decoder.decoder_layers.{}.', 'backbone.layers.{}.'),
    ('decoder.temporal_conv.{}', 'backbone.layers.{}.conv'),
    ('decoder.temporal_pos_embed.{}', 'backbone.layers.{}.time_positions'),
    ('decoder.cross_attention.{}.w1',
     'backbone.layers.{}.cross_frame.previous'),
    ('decoder.cross_attention.{}.w2', 'backbone.layers.{}.cross_frame.next'),
    ('proj.0', 'backbone.norm'),
    ('proj.2', 'cls_head.fc_cls'),
]

_TIMESFORMER_EMBEDDING: Rules = [
    ('cls_token', 'embedding.class_token'),
    ('pos_embed', 'embedding.positions'),
    ('time_embed', 'embedding.time_positions'),
    ('patch_embed.proj', 'embedding.patch_embed.projection'),
    ('patch_embed.projection', 'embedding.patch_embed.projection'),
    ('norm', 'norm'),
]

# The authors' code, and timm's image transformers.
TIMESFORMER_RULES: Rules = [
    *with_prefix(_TIMESFORMER_EMBEDDING, '', 'backbone.'),
    *with_prefix([
        ('temporal_norm1', 'steps.0.norm'),
        ('temporal_attn', 'steps.0.attn'),
        ('temporal_fc', 'steps.0.fc'),
        ('norm1', 'norm1'),
        ('attn', 'attn'),
        ('norm2', 'norm2'),
        ('mlp', 'mlp'),
    ], 'blocks.{}.', 'backbone.blocks.{}.'),
    ('head', 'cls_head.fc_cls'),
]


def _mmaction_attention(theirs: str, norm: str, attn: str) -> Rules:
    return [
        (f'{theirs}.norm', norm),
        (f'{theirs}.attn.in_proj_weight', f'{attn}.qkv.weight'),
        (f'{theirs}.attn.in_proj_bias', f'{attn}.qkv.bias'),
        (f'{theirs}.attn.out_proj', f'{attn}.proj'),
        (f'{theirs}.temporal_fc', 'steps.0.fc'),
    ]


def _mmaction_rules(block: Rules) -> Rules:
    return [
        *with_prefix(_TIMESFORMER_EMBEDDING, 'backbone.', 'backbone.'),
        *with_prefix([
            *block,
            ('norms.0', 'norm1'),
            ('norms.1', 'norm2'),
            ('ffns.0.norm', 'norm2'),
            ('ffns.0.layers.0.0', 'mlp.fc1'),
            ('ffns.0.layers.1', 'mlp.fc2'),
        ], 'backbone.transformer_layers.layers.{}.', 'backbone.blocks.{}.'),
        ('cls_head.fc_cls', 'cls_head.fc_cls'),
    ]


# MMAction2: one attention in a block, or time and then space.
_MMACTION_ONE = _mmaction_rules(
    _mmaction_attention('attentions.0', 'norm1', 'attn'))
_MMACTION_DIVIDED = _mmaction_rules([
    *_mmaction_attention('attentions.0', 'steps.0.norm', 'steps.0.attn'),
    *_mmaction_attention('attentions.1', 'norm1', 'attn'),
])


def convert_aim(state_dict: StateDict) -> StateDict:
    """AIM -> ``Recognizer3D`` of ``AIM`` and, if the file has a classifier,
    ``LinearHead``."""
    bare = {k.removeprefix('backbone.'): v for k, v in state_dict.items()}
    return _shape(rename(bare, AIM_RULES))


def convert_st_adapter(state_dict: StateDict) -> StateDict:
    """ST-Adapter -> ``Recognizer3D`` of ``STAdapter`` and ``LinearHead``.

    Its authors' code keeps the frozen encoder in half precision and computes
    in single, and so do the converted weights. (OpenAI's are halves anyway.)
    """
    converted = _shape(rename(state_dict, ST_ADAPTER_RULES))
    return {
        key: value.half().to(value.dtype)
        if key.startswith('backbone.expert.') else value
        for key, value in converted.items()
    }


def convert_evl(state_dict: StateDict) -> StateDict:
    """EVL -> ``Recognizer3D`` of ``EVL`` and ``LinearHead``.

    Published files leave the encoder out, and so does what is made of them.
    EVL has no use for CLIP's read-out norm: where the encoder is there, a
    norm that changes nothing stands for it.
    """
    joined = _join(state_dict, 'backbone.', ('q_proj', 'k_proj', 'v_proj'),
                   'qkv')
    joined = _join(joined, 'decoder.', ('k_proj', 'v_proj'), 'kv')
    converted = _shape(rename(joined, EVL_RULES))
    expert = 'backbone.expert.'
    # A bias on every patch is the same as a shift of their positions.
    bias = converted.pop(f'{expert}embedding.patch_embed.projection.bias',
                         None)
    if bias is not None:
        positions = converted[f'{expert}embedding.positions'].clone()
        positions[1:] += bias
        converted[f'{expert}embedding.positions'] = positions
        converted[f'{expert}norm.weight'] = torch.ones_like(bias)
        converted[f'{expert}norm.bias'] = torch.zeros_like(bias)
    return converted


def convert_timesformer(state_dict: StateDict) -> StateDict:
    """TimeSformer of its authors or of MMAction2, with or without the
    classifier -> ``Recognizer3D`` of ``SpaceTimeViT`` and ``LinearHead``."""
    if any('transformer_layers.' in key for key in state_dict):
        divided = any('.attentions.1.' in key for key in state_dict)
        if not any(key.startswith('backbone.') for key in state_dict):
            state_dict = {f'backbone.{k}': v for k, v in state_dict.items()}
        rules = _MMACTION_DIVIDED if divided else _MMACTION_ONE
    else:
        rules = TIMESFORMER_RULES
    return _shape(rename(state_dict, rules))


def _join(state_dict: StateDict, prefix: str, parts: Sequence[str],
          whole: str) -> StateDict:
    """Stacks separate projections of one input into one."""
    joined = dict(state_dict)
    for key in state_dict:
        stem, _, leaf = key.rpartition('.')
        stem, _, part = stem.rpartition('.')
        names = [f'{stem}.{name}.{leaf}' for name in parts]
        if key.startswith(prefix) and part == parts[0] and all(
                name in joined for name in names):
            joined[f'{stem}.{whole}.{leaf}'] = torch.cat(
                [joined.pop(name) for name in names])
    return joined


def _shape(state_dict: StateDict) -> StateDict:
    """The same numbers in the shapes of this package."""
    shaped = {}
    for key, value in state_dict.items():
        if key.endswith('embedding.class_token'):
            value = value.flatten()
        elif key.endswith('positions') and value.dim() == 3:
            value = value[0]
        elif key.endswith('patch_embed.projection.weight') and \
                value.dim() < 5:
            # (D, 3 p p) or (D, 3, p, p): a patch is a tubelet of one frame.
            dims, side = value.shape[0], round(
                (value[0].numel() / 3)**0.5)
            value = value.reshape(dims, 3, 1, side, side)
        elif key.endswith('conv.weight') and value.dim() == 5:
            value = value.flatten(2)  # (C, 1, 3, 1, 1)
        shaped[key] = value
    return shaped


PEER_CONVERTERS: Dict[str, Callable[[StateDict], StateDict]] = {
    'aim': convert_aim,
    'evl': convert_evl,
    'st_adapter': convert_st_adapter,
    'timesformer': convert_timesformer,
}
