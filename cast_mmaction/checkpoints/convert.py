"""One pure function per source of weights: ``state_dict -> state_dict``.

Keys on the right of every table are those of this package's models; None
stands for what they have no use for.
"""
from typing import Callable, Dict

import torch

from .hugging_face import from_hugging_face, recognise
from .peers import PEER_CONVERTERS, convert_timesformer
from .rename import (CheckpointError, Rules, StateDict, rename, reverse,
                     shorten, with_prefix)

# Raised when a table changes what comes out; recorded in converted files.
CONVERTER_VERSION = 1

# What training codes put in front of all names: data-parallel wrappers,
# torch.compile, a model that is one attribute of another.
PREFIXES = ('module.', '_orig_mod.', 'model.', 'backbone.', 'encoder.',
            'expert.')

# The image encoder of CLIP, as OpenAI and open_clip name it.
CLIP_RULES: Rules = [
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
    ('proj', None),  # into the space that images and texts share
]

# A whole CLIP: the image encoder, and the text encoder in either layout.
FULL_CLIP_RULES: Rules = with_prefix(CLIP_RULES, 'visual.') + [
    (name, None) for name in
    ('transformer', 'token_embedding', 'positional_embedding', 'ln_final',
     'text_projection', 'text', 'attn_mask', 'logit_scale', 'logit_bias',
     'input_resolution', 'context_length', 'vocab_size')
]

_VIDEOMAE_BLOCK: Rules = [
    ('norm1', 'norm1'),
    ('attn.qkv', 'attn.qkv'),
    ('attn.proj', 'attn.proj'),
    ('norm2', 'norm2'),
    ('mlp.fc1', 'mlp.fc1'),
    ('mlp.fc2', 'mlp.fc2'),
    ('mlp.layers.0.0', 'mlp.fc1'),  # MMAction2
    ('mlp.layers.1', 'mlp.fc2'),
]
_VIDEOMAE_ENCODER: Rules = [
    ('patch_embed.proj', 'embedding.patch_embed.projection'),
    ('patch_embed.projection', 'embedding.patch_embed.projection'),
    *with_prefix(_VIDEOMAE_BLOCK, 'blocks.{}.', 'blocks.{}.'),
    ('fc_norm', 'norm'),
    # Normalises single tokens in the pre-training; the read-out after the
    # mean has a norm of its own.
    ('norm', None),
    ('pos_embed', None),  # fixed: `load_pretrained` compares it
]

# VideoMAE, V2 and MVD, pre-trained (with decoders) or fine-tuned (with a
# classifier), after `join_qkv_bias`.
VIDEOMAE_RULES: Rules = [
    *_VIDEOMAE_ENCODER,
    *with_prefix(_VIDEOMAE_ENCODER, 'encoder.'),
    *with_prefix(_VIDEOMAE_ENCODER, 'backbone.'),
    *[(name, None) for name in
      ('head', 'cls_head', 'encoder_to_decoder', 'decoder', 'mask_token')],
    *[(f'{name}_{teacher}', None)  # MVD has a decoder for each teacher
      for name in ('down', 'decoder', 'mask_token', 'pos_embed')
      for teacher in ('img', 'vid')],
]

# MMAction2's recognizer with VideoMAE's transformer stays a recognizer.
MMACTION_VIDEOMAE_RULES: Rules = [
    *with_prefix(_VIDEOMAE_ENCODER, 'backbone.', 'backbone.'),
    ('cls_head', 'cls_head'),
]


def _adapter(theirs: str, ours: str) -> Rules:
    return [(f'{theirs}.D_fc1', f'{ours}.down'),
            (f'{theirs}.D_fc2', f'{ours}.up')]


# What CAST trains in a block, in the names of the authors' code.
_LAYER_RULES: Rules = [
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

CAST_RULES: Rules = [
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
        ('attn.q_bias', 'attn.q_bias'),
        ('attn.v_bias', 'attn.v_bias'),
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
_CAST_CONV = 'backbone.spatial.embedding.patch_embed.projection.weight'


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


def convert_clip(state_dict: StateDict) -> StateDict:
    """CLIP's image encoder -> ``CLIPExpert``."""
    full = any(key.startswith('visual.') for key in state_dict)
    converted = rename(state_dict, FULL_CLIP_RULES if full else CLIP_RULES)
    return _conv_to_3d(converted, 'embedding.patch_embed.projection.weight')


def convert_videomae(state_dict: StateDict) -> StateDict:
    """VideoMAE's encoder -> ``VideoMAEExpert``, from a file of the
    pre-training, of the fine-tuning, or of MMAction2."""
    return rename(join_qkv_bias(state_dict), VIDEOMAE_RULES)


def convert_mmaction(state_dict: StateDict) -> StateDict:
    """MMAction2's recognizer of VideoMAE or TimeSformer -> ``Recognizer3D`` of
    ``VideoMAEExpert`` or ``SpaceTimeViT``, with a classifier of the same name.
    """
    if any('transformer_layers.' in key for key in state_dict):
        return convert_timesformer(state_dict)
    if not any(key.startswith('backbone.') for key in state_dict):
        state_dict = {f'backbone.{k}': v for k, v in state_dict.items()}
    return rename(join_qkv_bias(state_dict), MMACTION_VIDEOMAE_RULES)


def convert_cast(state_dict: StateDict) -> StateDict:
    """The authors' CAST -> ``Recognizer3D`` of ``CAST`` and ``CASTHead`` or
    ``VerbNounHead``."""
    return _conv_to_3d(
        rename(join_qkv_bias(state_dict), CAST_RULES), _CAST_CONV)


def revert_cast(state_dict: StateDict) -> StateDict:
    """``Recognizer3D`` of ``CAST`` -> the authors' CAST, which exchanges in
    every block. A bias of keys, which changes nothing, has no place there."""
    reverted = rename(split_qkv_bias(state_dict), reverse(CAST_RULES))
    blocks = {key.split('.')[1] for key in reverted if key[:7] == 'blocks.'}
    lacking = [
        name for block in blocks for theirs, _ in _LAYER_RULES
        for name in [f'blocks.{block}.{theirs}']
        if not any(key.startswith(name) for key in reverted)
    ]
    if lacking:
        raise CheckpointError(f'missing: {shorten(lacking)}')
    if 'clip_conv1.weight' in reverted:
        reverted['clip_conv1.weight'] = reverted['clip_conv1.weight'].squeeze(
            2)
    return reverted


def _conv_to_3d(state_dict: StateDict, key: str) -> StateDict:
    """An image patch is a tubelet of one frame: (D, 3, p, p) gets a time
    axis."""
    if key in state_dict and state_dict[key].dim() == 4:
        state_dict[key] = state_dict[key].unsqueeze(2)
    return state_dict


CONVERTERS: Dict[str, Callable[[StateDict], StateDict]] = {
    'cast': convert_cast,
    'clip': convert_clip,
    'hf': from_hugging_face,
    'mmaction': convert_mmaction,
    'videomae': convert_videomae,
    'vjepa2': from_hugging_face,  # published in no other layout
    **PEER_CONVERTERS,
}
REVERTERS: Dict[str, Callable[[StateDict], StateDict]] = {'cast': revert_cast}


def strip_prefixes(state_dict: StateDict) -> StateDict:
    """Takes off what stands in front of every name, see ``PREFIXES``."""
    for prefix in PREFIXES:
        if state_dict and all(key.startswith(prefix) for key in state_dict):
            return strip_prefixes(
                {k[len(prefix):]: v
                 for k, v in state_dict.items()})
    return state_dict


def convert(state_dict: StateDict, source: str) -> StateDict:
    """Brings the weights of another codebase into this package's names.

    Args:
        state_dict: Tensors by name. What stands in front of all names
            (``PREFIXES``) is taken off.
        source: Where they come from, one of ``CONVERTERS``. Weights in the
            layout of transformers are recognised under the name of their
            model and under 'hf'.

    Returns:
        A new state dict that the matching model loads strictly. The tensors
        are not copied where their shape is kept.

    Raises:
        CheckpointError: for an unknown source, or naming the keys that the
            source does not have.
    """
    _check_name(source, CONVERTERS)
    state_dict = strip_prefixes(state_dict)
    layout = recognise(state_dict)
    try:
        if layout is None:
            return CONVERTERS[source](state_dict)
        if source not in ('hf', layout.source):
            raise CheckpointError(f'they are of {layout.source!r}, in the '
                                  'layout of transformers')
        return from_hugging_face(state_dict, layout)
    except CheckpointError as error:
        raise CheckpointError(
            f'these are not weights of the source {source!r}: {error}',
            error.unexpected) from None


def revert(state_dict: StateDict, target: str) -> StateDict:
    """Brings this package's weights into the names of another codebase.

    Args:
        state_dict: Of a whole model of this package.
        target: Where they go, one of ``REVERTERS``.

    Returns:
        A new state dict; ``convert`` makes of it what came in, bit by bit.

    Raises:
        CheckpointError: for an unknown target, or naming the keys that the
            target has no place for, or that it needs besides.
    """
    _check_name(target, REVERTERS)
    try:
        return REVERTERS[target](state_dict)
    except CheckpointError as error:
        raise CheckpointError(
            f'this model is none of the target {target!r}: {error}'
        ) from None


def _check_name(name: str, known: dict) -> None:
    if name not in known:
        raise CheckpointError(
            f'{name!r} is unknown; use one of {", ".join(sorted(known))}')
