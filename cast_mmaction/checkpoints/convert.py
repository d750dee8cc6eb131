"""One pure function per source of weights: ``state_dict -> state_dict``.

Keys on the right of every table are those of this package's models; None
stands for what they have no use for.
"""
from typing import Callable, Dict

from .audio import convert_ast
from .cast_family import (CAST_RULES, conv_to_3d, convert_ca2st, convert_cast,
                          convert_cava, join_qkv_bias, revert_cast)
from .hugging_face import from_hugging_face, recognise
from .peers import PEER_CONVERTERS, convert_timesformer
from .rename import CheckpointError, Rules, StateDict, rename, with_prefix

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


def convert_clip(state_dict: StateDict) -> StateDict:
    """CLIP's image encoder -> ``CLIPExpert``."""
    full = any(key.startswith('visual.') for key in state_dict)
    converted = rename(state_dict, FULL_CLIP_RULES if full else CLIP_RULES)
    return conv_to_3d(converted, 'embedding.patch_embed.projection.weight')


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


CONVERTERS: Dict[str, Callable[[StateDict], StateDict]] = {
    'ast': convert_ast,
    'ca2st': convert_ca2st,
    'cast': convert_cast,
    'cava': convert_cava,
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
