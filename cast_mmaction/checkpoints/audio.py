"""Weights of the Audio Spectrogram Transformer; see ``convert``.

Those in the layout of transformers are in ``hugging_face``.
"""
from .rename import Rules, StateDict, rename, with_prefix

# In the names of its authors' code.
AUTHORS_RULES: Rules = [
    ('cls_token', 'embedding.class_token'),
    ('dist_token', 'embedding.distillation_token'),
    ('pos_embed', 'embedding.spectrogram_positions'),
    ('patch_embed.proj', 'embedding.patch_embed.projection'),
    ('blocks.{}', 'blocks.{}'),
    ('norm', 'norm'),
    ('head', None),  # of the image transformer that it started as
    ('head_dist', None),
]
AST_RULES: Rules = [
    *with_prefix(AUTHORS_RULES, 'v.'),
    ('mlp_head', None),  # the 527 classes of AudioSet
]


def convert_ast(state_dict: StateDict) -> StateDict:
    """The authors' AST -> ``ASTExpert``."""
    return flat_tables(rename(state_dict, AST_RULES))


def flat_tables(state_dict: StateDict) -> StateDict:
    """Tokens (1, 1, D) become (D, ), positions (1, 2+N, D) become (2+N, D).
    """
    flat = dict(state_dict)
    for key, value in state_dict.items():
        if key.endswith(('embedding.class_token',
                         'embedding.distillation_token')):
            flat[key] = value.flatten()
        elif key.endswith('embedding.spectrogram_positions'):
            flat[key] = value.flatten(0, -2)
    return flat
