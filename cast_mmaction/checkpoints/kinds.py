"""Which of the two trainings a VideoMAE file comes from, and its classifier.

A self-supervised pre-training reconstructs hidden tubelets; a fine-tuning
then learns labels. Both are called pre-trained elsewhere.
"""
from typing import Optional

from torch import nn

from .convert import strip_prefixes
from .hugging_face_files import is_repository, read_repository
from .reading import read_state_dict
from .rename import CheckpointError, StateDict

PRE_TRAINED, FINE_TUNED = KINDS = ('pre-trained', 'fine-tuned')

# What only a training with labels leaves; the read-out norm bears another
# name, or none, in this package's layout.
_LABELLED = ('fc_norm.', 'head.', 'cls_head.', 'classifier.')
_OWN, _OWN_NORM = 'embedding.patch_embed.', 'norm.weight'

# A classifier in VideoMAE's names, in MMAction2's and this package's, in those
# of transformers.
_CLASSIFIERS = ('head', 'cls_head.fc_cls', 'classifier')


def kind_of(state_dict: StateDict) -> str:
    """One of ``KINDS``.

    Args:
        state_dict: Of a VideoMAE, in any layout that ``convert`` takes from
            'videomae', or in this package's.
    """
    bare = {
        key.removeprefix('backbone.')
        for key in strip_prefixes(state_dict)
    }
    labelled = any(key.startswith(_LABELLED) for key in bare) or (
        _OWN_NORM in bare and any(key.startswith(_OWN) for key in bare))
    return FINE_TUNED if labelled else PRE_TRAINED


def check_kind(state_dict: StateDict, wanted: Optional[str]) -> None:
    """Compares the kind of a file with the one that a recipe wants.

    Args:
        state_dict: See :func:`kind_of`.
        wanted: One of ``KINDS``, or None for either.

    Raises:
        CheckpointError: if the file is of the other kind.
    """
    kind = kind_of(state_dict)
    if wanted not in (None, kind):
        raise CheckpointError(
            f'these weights are {kind} ({_MEANING[kind]}), the recipe starts '
            f'from {wanted} ones ({_MEANING[wanted]}). Give such a file, or '
            'set pretrained_kind=None to train from this one, which is '
            'another experiment')


_MEANING = {
    PRE_TRAINED: 'self-supervised, without labels',
    FINE_TUNED: 'trained with labels'
}


def load_classifier(linear: nn.Linear, path: str) -> None:
    """Fills a classifier with the one of a fine-tuned file.

    Args:
        linear: The classifier.
        path: The file, or a model of transformers: 'hf://OWNER/NAME
            [@REVISION]' or its folder.

    Raises:
        CheckpointError: naming the file, if it holds no classifier, or one of
            other sizes.
    """
    if is_repository(path):
        state_dict = read_repository(path)[1]
    else:
        state_dict = strip_prefixes(read_state_dict(path))
    names = [name for name in _CLASSIFIERS if f'{name}.weight' in state_dict]
    if not names:
        raise CheckpointError(
            f'{path}: holds no classifier (head.weight): it is '
            f'{kind_of(state_dict)}, or was converted. Give the fine-tuned '
            'file as its authors publish it, or leave out '
            'cls_head.pretrained')
    weights = {
        part: state_dict[f'{names[0]}.{part}']
        for part in ('weight', 'bias')
    }
    shape, own = tuple(weights['weight'].shape), tuple(linear.weight.shape)
    if shape != own:
        raise CheckpointError(
            f'{path}: its classifier is of shape {shape}, the one of the '
            f'model of {own}; leave out cls_head.pretrained for other classes')
    linear.load_state_dict(weights)
