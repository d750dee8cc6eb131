"""Weights of CAST, CAVA and CA2ST in their authors' code; see ``convert``."""
import torch

from .audio import AUTHORS_RULES as AST_AUTHORS_RULES
from .audio import flat_tables
from .rename import (CheckpointError, Rules, StateDict, rename, reverse,
                     shorten, with_prefix)

_CONV = 'backbone.spatial.embedding.patch_embed.projection.weight'
_SPATIAL: Rules = [
    ('clip_conv1', 'backbone.spatial.embedding.patch_embed.projection'),
    ('clip_class_embedding', 'backbone.spatial.embedding.class_token'),
    ('clip_positional_embedding', 'backbone.spatial.embedding.positions'),
    ('clip_ln_pre', 'backbone.spatial.embedding.norm'),
    ('clip_ln_post', 'backbone.spatial.norm'),
    *with_prefix([
        ('clip_ln_1', 'norm1'),
        ('clip_attn.in_proj_weight', 'attn.qkv.weight'),
        ('clip_attn.in_proj_bias', 'attn.qkv.bias'),
        ('clip_attn.out_proj', 'attn.proj'),
        ('clip_ln_2', 'norm2'),
        ('clip_mlp.c_fc', 'mlp.fc1'),
        ('clip_mlp.c_proj', 'mlp.fc2'),
    ], 'blocks.{}.', 'backbone.spatial.blocks.{}.'),
]
_TEMPORAL: Rules = [
    ('patch_embed.proj', 'backbone.temporal.embedding.patch_embed.projection'),
    ('vmae_fc_norm', 'backbone.temporal.norm'),
    *with_prefix([
        ('norm1', 'norm1'),
        ('attn.qkv', 'attn.qkv'),
        ('attn.q_bias', 'attn.q_bias'),
        ('attn.v_bias', 'attn.v_bias'),
        ('attn.proj', 'attn.proj'),
        ('norm2', 'norm2'),
        ('mlp.fc1', 'mlp.fc1'),
        ('mlp.fc2', 'mlp.fc2'),
    ], 'blocks.{}.', 'backbone.temporal.blocks.{}.'),
]
_LABELS: Rules = [
    ('head', 'cls_head.fc_cls'),
    ('head_verb', 'cls_head.fc_verb'),
    ('head_noun', 'cls_head.fc_noun'),
]


def _adapter(theirs: str, ours: str) -> Rules:
    return [(f'{theirs}.D_fc1', f'{ours}.down'),
            (f'{theirs}.D_fc2', f'{ours}.up')]


def _attention(theirs: str, ours: str, name: str = '',
               proj: str = 'proj') -> Rules:
    """One direction of an exchange."""
    return [(f'{theirs}.{name}q_bias', f'{ours}.attn.q.bias'),
            (f'{theirs}.{name}q', f'{ours}.attn.q'),
            (f'{theirs}.{name}kv_bias', f'{ours}.attn.kv.bias'),
            (f'{theirs}.{name}kv', f'{ours}.attn.kv'),
            (f'{theirs}.{proj}', f'{ours}.attn.proj')]


def _positions(theirs: str, ours: str, reader: str, source: str) -> Rules:
    """Learned positions of one direction, over patches and over time."""
    return [(f'{theirs}.{stream}_{axis}_pos', f'{ours}.{role}_positions.{own}')
            for role, stream in (('query', reader), ('key', source))
            for axis, own in (('space', 'space'), ('temporal', 'time'))]


# What CAST trains in a block, in the names of the authors' code.
_CAST_LAYER: Rules = [
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
    *_attention('t2s_cross', 'exchange.t2s', 't2s_', 't2s_proj'),
    ('s2t_cross.vmae_space_pos', 'exchange.s2t.query_positions.space'),
    ('s2t_cross.clip_space_pos', 'exchange.s2t.key_positions.space'),
    # The name of the projection is theirs, not a slip of this table.
    *_attention('s2t_cross', 'exchange.s2t', 's2t_', 't2s_proj'),
    ('cross_s_up', 'exchange.spatial_up'),
    ('cross_t_up', 'exchange.temporal_up'),
]

CAST_RULES: Rules = [
    *_SPATIAL,
    *_TEMPORAL,
    *with_prefix(_CAST_LAYER, 'blocks.{}.', 'backbone.layers.{}.'),
    *_adapter('noun_last_Adapter', 'cls_head.spatial_adapter'),
    *_adapter('verb_last_Adapter', 'cls_head.temporal_adapter'),
    *_LABELS,
]

_AUDIO: Rules = [
    *with_prefix(AST_AUTHORS_RULES[:4], 'ast_', 'backbone.audio.'),
    ('ast_norm', 'backbone.audio.norm'),
    *with_prefix([(name, name) for name in ('norm1', 'attn', 'norm2', 'mlp')],
                 'blocks.{}.ast_', 'backbone.audio.blocks.{}.'),
    ('audio_ln_post', None),  # stored, not used
]


def _exchange(theirs: str, ours: str, left: str, right: str,
              reads: Rules) -> Rules:
    """A module between two streams, which its code calls left and right."""
    ends = [(f'cross_{end}_{part}', f'{name}_{part}')
            for end, name in (('l', left), ('r', right))
            for part in ('down', 'up')]
    norms = [(f'ln_{end}_cross', f'{name}_norm')
             for end, name in (('l', left), ('r', right))]
    return with_prefix(ends + norms + list(reads), f'{theirs}.', f'{ours}.')


_CAVA_LAYER: Rules = [
    *_adapter('S_Adapter', 'audio.attn'),
    *_adapter('S_MLP_Adapter', 'audio.ffn'),
    *_adapter('T_Adapter', 'spatial.attn'),
    *_adapter('T_MLP_Adapter', 'spatial.ffn'),
    ('cross_s_down', 'exchange.audio_down'),
    ('cross_t_down', 'exchange.spatial_down'),
    ('ln_s_cross', 'exchange.audio_norm'),
    ('ln_t_cross', 'exchange.spatial_norm'),
    *_positions('t2s_cross', 'exchange.s2a', 'clip', 'vmae'),
    *_attention('t2s_cross', 'exchange.s2a', 't2s_', 't2s_proj'),
    *_positions('s2t_cross', 'exchange.a2s', 'vmae', 'clip'),
    *_attention('s2t_cross', 'exchange.a2s', 's2t_', 't2s_proj'),
    ('cross_s_up', 'exchange.audio_up'),
    ('cross_t_up', 'exchange.spatial_up'),
]

# The code of CAVA grew out of that of CAST: what it calls 's' and 'clip' in a
# layer is the sound, 't' and 'vmae' are the frames.
CAVA_RULES: Rules = [
    *_SPATIAL,
    *_AUDIO,
    *with_prefix(_CAVA_LAYER, 'blocks.{}.', 'backbone.layers.{}.'),
    *_adapter('noun_last_Adapter', 'cls_head.fusion.audio_adapter'),
    *_adapter('verb_last_Adapter', 'cls_head.fusion.spatial_adapter'),
    *_LABELS,
]

_CA2ST_LAYER: Rules = [
    *_adapter('S_Adapter', 'spatial.attn'),
    *_adapter('S_MLP_Adapter', 'spatial.ffn'),
    *_adapter('T_Adapter', 'temporal.attn'),
    *_adapter('T_MLP_Adapter', 'temporal.ffn'),
    *_adapter('Audio_Adapter', 'audio.attn'),
    *_adapter('Audio_MLP_Adapter', 'audio.ffn'),
    *_exchange('s_t_b_cast', 'exchange_spatial_temporal', 'spatial',
               'temporal', [
                   ('r2l_cross.clip_time_pos', 't2s.query_positions.time'),
                   ('r2l_cross.vmae_time_pos', 't2s.key_positions.time'),
                   *_attention('r2l_cross', 't2s', 't2s_', 't2s_proj'),
                   ('l2r_cross.vmae_space_pos', 's2t.query_positions.space'),
                   ('l2r_cross.clip_space_pos', 's2t.key_positions.space'),
                   *_attention('l2r_cross', 's2t', 's2t_', 't2s_proj'),
               ]),
    *_exchange('s_audio_b_cast', 'exchange_spatial_audio', 'spatial', 'audio',
               [
                   *_positions('r2l_cross', 'a2s', 'clip', 'audio'),
                   *_attention('r2l_cross', 'a2s'),
                   *_positions('l2r_cross', 's2a', 'audio', 'clip'),
                   *_attention('l2r_cross', 's2a'),
               ]),
    *_exchange('t_audio_b_cast', 'exchange_temporal_audio', 'temporal',
               'audio', [
                   *_positions('r2l_cross', 'a2t', 'vmae', 'audio'),
                   *_attention('r2l_cross', 'a2t'),
                   *_positions('l2r_cross', 't2a', 'audio', 'vmae'),
                   *_attention('l2r_cross', 't2a'),
               ]),
]


def _mlp(theirs: str, ours: str) -> Rules:
    return [(f'{theirs}.c_fc', f'{ours}.fc1'),
            (f'{theirs}.c_proj', f'{ours}.fc2')]


_CA2ST_HEAD: Rules = [
    *_adapter('noun_last_Adapter', 'cls_head.fusion.adapters.spatial'),
    *_adapter('verb_last_Adapter', 'cls_head.fusion.adapters.temporal'),
    *_mlp('audio_verb_last_Adapter', 'cls_head.fusion.audio_mlp'),
]
_CA2ST_VERB_NOUN_HEAD: Rules = [
    *_adapter('noun_last_Adapter', 'cls_head.noun_fusion.adapters.spatial'),
    *_adapter('verb_last_Adapter', 'cls_head.verb_fusion.adapters.temporal'),
    *_mlp('audio_noun_last_Adapter', 'cls_head.noun_fusion.audio_mlp'),
    *_mlp('audio_verb_last_Adapter', 'cls_head.verb_fusion.audio_mlp'),
]
CA2ST_RULES: Rules = [
    *_SPATIAL,
    *_TEMPORAL,
    *_AUDIO,
    *with_prefix(_CA2ST_LAYER, 'blocks.{}.', 'backbone.layers.{}.'),
    *_LABELS,
]

# Whose projections another exchange may use: holder, user, stream.
_SHARED = [
    ('exchange_spatial_temporal', 'exchange_spatial_audio', 'spatial'),
    ('exchange_spatial_temporal', 'exchange_temporal_audio', 'temporal'),
    ('exchange_spatial_audio', 'exchange_temporal_audio', 'audio'),
]


def join_qkv_bias(state_dict: StateDict) -> StateDict:
    """VideoMAE stores biases of queries and values and none of the keys: a
    bias of the keys moves all scores of a query alike, so softmax cannot see
    it, and zero stands for it here."""
    joined = dict(state_dict)
    for key in state_dict:
        stem = key[:-len('q_bias')]
        if key.endswith('attn.q_bias') and f'{stem}v_bias' in joined:
            q, v = joined.pop(key), joined.pop(f'{stem}v_bias')
            joined[f'{stem}qkv.bias'] = torch.cat([q, torch.zeros_like(q), v])
    return joined


def split_qkv_bias(state_dict: StateDict) -> StateDict:
    """The way back of :func:`join_qkv_bias`, for the temporal expert."""
    split = dict(state_dict)
    for key in state_dict:
        if key.startswith('backbone.temporal.') and key.endswith('qkv.bias'):
            stem = key[:-len('qkv.bias')]
            q, _, v = split.pop(key).chunk(3)
            # Copies: a slice would be saved with the whole.
            split[f'{stem}q_bias'] = q.clone()
            split[f'{stem}v_bias'] = v.clone()
    return split


def convert_cast(state_dict: StateDict) -> StateDict:
    """The authors' CAST -> ``Recognizer3D`` of ``CAST`` and ``CASTHead`` or
    ``VerbNounHead``."""
    return conv_to_3d(rename(join_qkv_bias(state_dict), CAST_RULES), _CONV)


def revert_cast(state_dict: StateDict) -> StateDict:
    """``Recognizer3D`` of ``CAST`` -> the authors' CAST, which exchanges in
    every block. A bias of keys, which changes nothing, has no place there."""
    reverted = rename(split_qkv_bias(state_dict), reverse(CAST_RULES))
    blocks = {key.split('.')[1] for key in reverted if key[:7] == 'blocks.'}
    lacking = [
        name for block in blocks for theirs, _ in _CAST_LAYER
        for name in [f'blocks.{block}.{theirs}']
        if not any(key.startswith(name) for key in reverted)
    ]
    if lacking:
        raise CheckpointError(f'missing: {shorten(lacking)}')
    if 'clip_conv1.weight' in reverted:
        reverted['clip_conv1.weight'] = reverted['clip_conv1.weight'].squeeze(
            2)
    return reverted


def convert_cava(state_dict: StateDict) -> StateDict:
    """The authors' CAVA -> ``MMRecognizer3D`` of ``CAST`` with the experts
    ``spatial`` and ``audio``, and ``CAVAHead`` or ``CAVAVerbNounHead``."""
    renamed = rename(state_dict, CAVA_RULES)
    return conv_to_3d(flat_tables(renamed), _CONV)


def convert_ca2st(state_dict: StateDict) -> StateDict:
    """The authors' CA2ST -> ``MMRecognizer3D`` of ``CAST`` with the experts
    ``spatial``, ``temporal`` and ``audio``, and ``CA2STHead`` or
    ``CA2STVerbNounHead``."""
    two_labels = any(key.startswith('head_verb') for key in state_dict)
    head = _CA2ST_VERB_NOUN_HEAD if two_labels else _CA2ST_HEAD
    renamed = rename(join_qkv_bias(state_dict), [*CA2ST_RULES, *head])
    return conv_to_3d(flat_tables(_drop_aliases(renamed)), _CONV)


def _drop_aliases(state_dict: StateDict) -> StateDict:
    """Shared projections stay under the name of the exchange that holds
    them; they are shared where all that could be are equal."""
    aliases = {}
    for key in state_dict:
        for owner, user, stream in _SHARED:
            if f'.{user}.{stream}_down.' in key or (f'.{user}.{stream}_up.'
                                                    in key):
                aliases[key] = key.replace(user, owner)
    if all(key in state_dict and torch.equal(state_dict[alias],
                                             state_dict[key])
           for alias, key in aliases.items()):
        return {k: v for k, v in state_dict.items() if k not in aliases}
    return state_dict


def conv_to_3d(state_dict: StateDict, key: str) -> StateDict:
    """An image patch is a tubelet of one frame: (D, 3, p, p) gets a time
    axis."""
    if key in state_dict and state_dict[key].dim() == 4:
        state_dict[key] = state_dict[key].unsqueeze(2)
    return state_dict
