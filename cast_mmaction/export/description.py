"""What whoever uses an exported file must know, as plain data."""
from typing import Any, Dict, List, Sequence, Tuple

from mmengine.config import Config
from torch import nn

from ..class_names import names_of
from ..prediction.predictor import model_input_pipeline
from ..version import __version__

KEY = 'cast_mmaction'  # under which it is in the file
SAMPLERS = ('ClipSampleFrames', 'CASTSampleFrames', 'SampleFrames',
            'UniformSample', 'UniformSampleFrames')
CROPS = dict(CenterCrop='centre', ThreeViewCrop='three along the long side',
             ThreeCrop='three along the long side')
# Of a step's own arguments, what means nothing outside of a pipeline.
PLUMBING = ('type', 'lazy', 'io_backend')
READING = ('VideoInit', 'VideoDecode', 'PyAVInit', 'PyAVDecode', 'DecordInit',
           'DecordDecode', 'FormatShape', 'PackActionInputs',
           'PackVerbNounInputs')
SCORES = 'softmax of every output, then the mean over the views of a video'


class NotExported(ValueError):
    """A model, or a request, that cannot become such a file."""


def describe(model: nn.Module, shape: Sequence[int], normalize: bool,
             precision: str) -> Dict[str, Any]:
    """Input, preprocessing and outputs of a model.

    Args:
        model: The recognizer, with its config.
        shape: Of its input, ``(views, 3, frames, H, W)``.
        normalize: Whether the file does that itself.
        precision: Of its weights.

    Returns:
        Plain data: ``input``, ``sampling``, ``resize``, ``crop``,
        ``normalise``, ``other_steps``, ``outputs`` with the names of the
        classes, and ``scores``, what to make of the outputs.
    """
    steps = model_input_pipeline(model.cfg)
    known, other = _steps(steps)
    mean, std = statistics(model)
    names = names_of(model)
    return dict(
        made_by=f'cast_mmaction {__version__}',
        precision=precision,
        input=dict(
            name='clips',
            layout='NCTHW: views, colours, frames, height, width',
            shape=['views', *shape[1:]],
            dtype='float32',
            colours='RGB',
            values='0 to 255' if normalize else
            '(0 to 255 - mean) / std, by colour'),
        **known,
        normalise=dict(mean=mean, std=std, inside=normalize),
        other_steps=other,
        outputs={
            task: dict(classes=names.get(task), values='logits')
            for task in tasks_of(model)
        },
        scores=SCORES)


def _steps(steps: List[dict]) -> Tuple[Dict[str, Any], List[dict]]:
    """The usual steps of a pipeline by what they do, and the rest."""
    known: Dict[str, Any] = dict(sampling=None, resize=None, crop=None)
    other = []
    for step in steps:
        kind = step['type']
        told = {k: v for k, v in step.items() if k not in PLUMBING}
        if kind in SAMPLERS:
            known['sampling'] = dict(dict(frame_interval=1, num_clips=1),
                                     rule=kind, **told)
        elif kind == 'ShortSideResize':
            known['resize'] = dict(short_side=told.get('size', 224),
                                   interpolation='bilinear, not smoothed',
                                   long_side='rounded down')
        elif kind in CROPS:
            known['crop'] = dict(size=told.get('crop_size', 224),
                                 where=CROPS[kind])
        elif kind not in READING:
            other.append(_plain(step))
    return known, other


def _plain(value: Any) -> Any:
    """JSON has neither tuples nor arrays nor infinity."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float) and abs(value) != float('inf'):
        return value
    return repr(value)


def statistics(model: nn.Module) -> Tuple[List[float], List[float]]:
    """Mean and deviation by colour, by which a recognizer normalises."""
    preprocessor = model.data_preprocessor
    if not hasattr(preprocessor, 'mean'):
        return [0.] * 3, [1.] * 3
    # Through text: 123.675 in float32 has 17 digits.
    mean, std = (
        [float(f'{x:.6g}') for x in getattr(preprocessor, name).flatten()]
        for name in ('mean', 'std'))
    return mean, std


def tasks_of(model: nn.Module) -> List[str]:
    """What the outputs are called."""
    two = type(model.cls_head).__name__ == 'VerbNounHead'
    return ['verb', 'noun'] if two else ['label']


def check_exportable(model: nn.Module) -> None:
    """Refuse what does not go from one clip to scores by itself.

    Raises:
        NotExported: Naming what is in the way.
    """
    kind = type(model).__name__
    if kind != 'Recognizer3D':
        raise NotExported(
            f'a {kind} is not exported; models of clips are, Recognizer3D')
    if getattr(model, 'with_neck', False):
        raise NotExported(f'its neck, {type(model.neck).__name__}, needs the '
                          'whole recognizer: it is not exported')
    if hears(model.cfg):
        raise NotExported('the model hears: its log-mel spectrograms cannot '
                          'be described in such a file. Only models of '
                          'frames alone are exported')


def hears(cfg: Config) -> bool:
    """Whether a model takes sound beside frames, or alone."""
    return any('audio' in str(key)
               for step in model_input_pipeline(cfg)
               for key in step.get('collect_keys') or ())
