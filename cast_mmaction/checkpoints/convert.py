"""One pure function per source of weights: ``state_dict -> state_dict``.

Keys on the right of every table are those of this package's models.
"""
from typing import Callable, Dict

import torch

from .rename import CheckpointError, StateDict, rename, with_prefix

# The image encoder of CLIP, as OpenAI and open_clip name it.
CLIP_RULES = [
    ('conv1', 'embedding.patch_embed.projection'),
    ('class_embedding', 'embedding.class_token'),
    ('positional_embedding', 'embedding.positions'),
    ('ln_pre', 'embedding.norm'),
    ('transformer.resblocks.{}.ln_1', 'blocks.{}.norm1'),
    ('transformer.resblocks.{}.attn.in_proj_weight',
     'blocks.{}.attn.qkv.weight'),
    ('transformer.resblocks.{}.attn.in_proj_bias', 'blocks.{}.attn.qkv.bias'),
    ('transformer.resblocks.{}.attn.out_proj', 'blocks.{}.attn.proj'),
    ('transformer.resblocks.{}.ln_2', 'blocks.{}.norm2'),
    ('transformer.resblocks.{}.mlp.c_fc', 'blocks.{}.mlp.fc1'),
    ('transformer.resblocks.{}.mlp.c_proj', 'blocks.{}.mlp.fc2'),
    ('ln_post', 'norm'),
]

# The encoder of VideoMAE, after `_join_qkv_bias`.
VIDEOMAE_RULES = [
    ('patch_embed.proj', 'embedding.patch_embed.projection'),
    ('patch_embed.projection', 'embedding.patch_embed.projection'),
    ('blocks.{}.norm1', 'blocks.{}.norm1'),
    ('blocks.{}.attn.qkv', 'blocks.{}.attn.qkv'),
    ('blocks.{}.attn.proj', 'blocks.{}.attn.proj'),
    ('blocks.{}.norm2', 'blocks.{}.norm2'),
    ('blocks.{}.mlp.fc1', 'blocks.{}.mlp.fc1'),
    ('blocks.{}.mlp.fc2', 'blocks.{}.mlp.fc2'),
    ('blocks.{}.mlp.layers.0.0', 'blocks.{}.mlp.fc1'),
    ('blocks.{}.mlp.layers.1', 'blocks.{}.mlp.fc2'),
    ('fc_norm', 'norm'),
]


def _adapter(theirs: str, ours: str) -> list:
    return [(f'{theirs}.D_fc1', f'{ours}.down'),
            (f'{theirs}.D_fc2', f'{ours}.up')]


# What CAST trains in a block, in the names of the authors' code.
_LAYER_RULES = [
    *_adapter('S_Adapter', 'spatial.attn'),
    *_adapter('S_MLP_Adapter', 'spatial.ffn'),
    *_adapter('T_Adapter', 'temporal.attn'),
    *_adapter('T_MLP_Adapter', 'temporal.ffn'),
    ('cross_s_down', 'exchange.spatial_down'),
    ('cross_t_down', 'exchange.temporal_down'),
    ('ln_s_cross', 'exchange.spatial_norm'),
    ('ln_t_cross', 'exchange.temporal_norm'),
    ('t2s_cross.clip_time_pos', 'exchange.t2s.query_positions.time'),
    ('t2s_cross.vmae_time_pos', 'exchange.t2s.key_positions.time'),
    ('t2s_cross.t2s_q_bias', 'exchange.t2s.attn.q.bias'),
    ('t2s_cross.t2s_q', 'exchange.t2s.attn.q'),
    ('t2s_cross.t2s_kv_bias', 'exchange.t2s.attn.kv.bias'),
    ('t2s_cross.t2s_kv', 'exchange.t2s.attn.kv'),
    ('t2s_cross.t2s_proj', 'exchange.t2s.attn.proj'),
    ('s2t_cross.vmae_space_pos', 'exchange.s2t.query_positions.space'),
    ('s2t_cross.clip_space_pos', 'exchange.s2t.key_positions.space'),
    ('s2t_cross.s2t_q_bias', 'exchange.s2t.attn.q.bias'),
    ('s2t_cross.s2t_q', 'exchange.s2t.attn.q'),
    ('s2t_cross.s2t_kv_bias', 'exchange.s2t.attn.kv.bias'),
    ('s2t_cross.s2t_kv', 'exchange.s2t.attn.kv'),
    ('s2t_cross.t2s_proj', 'exchange.s2t.attn.proj'),  # their name, not ours
    ('cross_s_up', 'exchange.spatial_up'),
    ('cross_t_up', 'exchange.temporal_up'),
]

CAST_RULES = [
    ('clip_conv1', 'backbone.spatial.embedding.patch_embed.projection'),
    ('clip_class_embedding', 'backbone.spatial.embedding.class_token'),
    ('clip_positional_embedding', 'backbone.spatial.embedding.positions'),
    ('clip_ln_pre', 'backbone.spatial.embedding.norm'),
    ('clip_ln_post', 'backbone.spatial.norm'),
    ('patch_embed.proj', 'backbone.temporal.embedding.patch_embed.projection'),
    ('vmae_fc_norm', 'backbone.temporal.norm'),
    *with_prefix([
        ('clip_ln_1', 'norm1'),
        ('clip_attn.in_proj_weight', 'attn.qkv.weight'),
        ('clip_attn.in_proj_bias', 'attn.qkv.bias'),
        ('clip_attn.out_proj', 'attn.proj'),
        ('clip_ln_2', 'norm2'),
        ('clip_mlp.c_fc', 'mlp.fc1'),
        ('clip_mlp.c_proj', 'mlp.fc2'),
    ], 'blocks.{}.', 'backbone.spatial.blocks.{}.'),
    *with_prefix([
        ('norm1', 'norm1'),
        ('attn.qkv', 'attn.qkv'),
        ('attn.proj', 'attn.proj'),
        ('norm2', 'norm2'),
        ('mlp.fc1', 'mlp.fc1'),
        ('mlp.fc2', 'mlp.fc2'),
    ], 'blocks.{}.', 'backbone.temporal.blocks.{}.'),
    *with_prefix(_LAYER_RULES, 'blocks.{}.', 'backbone.layers.{}.'),
    *_adapter('noun_last_Adapter', 'cls_head.spatial_adapter'),
    *_adapter('verb_last_Adapter', 'cls_head.temporal_adapter'),
    ('head', 'cls_head.fc_cls'),
    ('head_verb', 'cls_head.fc_verb'),
    ('head_noun', 'cls_head.fc_noun'),
]


def join_qkv_bias(state_dict: StateDict) -> StateDict:
    """VideoMAE stores biases of queries and values and none of the keys: a
    bias of the keys moves all scores of a query alike, so softmax cannot see
    it, and zero stands for it here."""
    joined = dict(state_dict)
    for key in state_dict:
        if key.endswith('attn.q_bias'):
            stem = key[:-len('q_bias')]
            q, v = joined.pop(key), joined.pop(stem + 'v_bias')
            joined[stem + 'qkv.bias'] = torch.cat([q, torch.zeros_like(q), v])
    return joined


def convert_clip(state_dict: StateDict) -> StateDict:
    """CLIP's image encoder -> ``CLIPExpert``. The text encoder and the
    projection into the common space are left out."""
    if any(key.startswith('visual.') for key in state_dict):
        state_dict = {
            key[len('visual.'):]: value
            for key, value in state_dict.items() if key.startswith('visual.')
        }
    state_dict = {k: v for k, v in state_dict.items() if k != 'proj'}
    converted = rename(state_dict, CLIP_RULES)
    return _conv_to_3d(converted, 'embedding.patch_embed.projection.weight')


def convert_videomae(state_dict: StateDict) -> StateDict:
    """VideoMAE's encoder -> ``VideoMAEExpert``, from a file of the
    pre-training (decoder, mask token and final norm are left out), of the
    fine-tuning (classifier left out), or of MMAction2."""
    prefixes = ('encoder.', 'backbone.')
    for prefix in prefixes:
        if any(key.startswith(prefix) for key in state_dict):
            state_dict = {
                key[len(prefix):]: value
                for key, value in state_dict.items()
                if key.startswith(prefix)
            }
            # Normalises single tokens, before they are averaged: the
            # read-out after the mean has a norm of its own.
            state_dict.pop('norm.weight', None)
            state_dict.pop('norm.bias', None)
    state_dict = {
        key: value
        for key, value in state_dict.items()
        if key not in ('head.weight', 'head.bias', 'pos_embed')
    }
    return rename(join_qkv_bias(state_dict), VIDEOMAE_RULES)


def convert_cast(state_dict: StateDict) -> StateDict:
    """The authors' CAST -> ``Recognizer3D`` of ``CAST`` and ``CASTHead`` or
    ``VerbNounHead``."""
    converted = rename(join_qkv_bias(state_dict), CAST_RULES)
    return _conv_to_3d(
        converted, 'backbone.spatial.embedding.patch_embed.projection.weight')


def _conv_to_3d(state_dict: StateDict, key: str) -> StateDict:
    """An image patch is a tubelet of one frame: (D, 3, p, p) gets a time
    axis."""
    if key in state_dict and state_dict[key].dim() == 4:
        state_dict[key] = state_dict[key].unsqueeze(2)
    return state_dict


CONVERTERS: Dict[str, Callable[[StateDict], StateDict]] = {
    'cast': convert_cast,
    'clip': convert_clip,
    'videomae': convert_videomae,
}


def convert(state_dict: StateDict, source: str) -> StateDict:
    """Brings the weights of another codebase into this package's names.

    Args:
        state_dict: Tensors by name. A ``module.`` in front of all names is
            taken off.
        source: Where they come from, one of ``CONVERTERS``.

    Returns:
        A new state dict that the matching model loads strictly. The tensors
        are not copied where their shape is kept.

    Raises:
        CheckpointError: for an unknown source, or naming the keys that the
            source does not have.
    """
    if source not in CONVERTERS:
        raise CheckpointError(f'unknown source {source!r}; use one of '
                              f'{sorted(CONVERTERS)}')
    if state_dict and all(key.startswith('module.') for key in state_dict):
        state_dict = {k[len('module.'):]: v for k, v in state_dict.items()}
    try:
        return CONVERTERS[source](state_dict)
    except CheckpointError as error:
        raise CheckpointError(
            f'these are not weights of the source {source!r}: {error}'
        ) from None
