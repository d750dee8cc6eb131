"""Sizes that several parts of a config state, compared before a run starts.

Classes, widths, frames and sides of pictures stand in model, data and
evaluators. Where two differ a run would end in the middle, or learn
something else.
"""
from typing import Any, Dict, Iterator, List, Optional, Tuple

from mmaction.registry import HOOKS
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from torch import nn

from ..datasets.deferring import Augmenting, look_at_no_frame
from ..models.expert import Expert
from ..models.fusion import EnsembleHead, LateFusion
from ..models.heads import CASTHead, LinearHead, VerbNounHead
from ..models.layouts import widths_of

CLASSES = ('num_classes', 'num_verbs', 'num_nouns')
VERBS_AND_NOUNS = dict(num_verbs=97, num_nouns=300)  # EPIC-KITCHENS-100
# What leaves them out means those of EPIC-KITCHENS-100.
OF_TWO_TASKS = ('VerbNounHead', 'EnsembleHead', 'VerbNounBlending',
                'EpicKitchensDataset')
SPLITS = ('train', 'val', 'test')
CROPS = dict(
    CenterCrop=1, RandomCrop=1, ThreeCrop=3, ThreeViewCrop=3, TenCrop=10)


@HOOKS.register_module()
class SizesHook(Hook):
    """Compares the sizes of model, data and evaluators.

    Raises:
        ValueError: Names both sides.
    """

    def before_run(self, runner) -> None:
        """Before anything is loaded."""
        model = runner.model
        model = model.module if is_model_wrapper(model) else model
        check_classes(runner.cfg)
        check_deferred(model, runner.cfg)
        check_model(model, runner.cfg)


def state_classes(cfg: Config) -> None:
    """Write a config's top-level ``num_classes`` (``num_verbs``,
    ``num_nouns``) into all parts that state one: the place to change it."""
    for _, part in _class_parts(cfg):
        for name in CLASSES:
            if name in cfg and (name in part or _type(part) in OF_TWO_TASKS
                                and name in VERBS_AND_NOUNS):
                part[name] = cfg[name]


def check_classes(cfg: Config) -> None:
    """Compare the numbers of classes with those of the head.

    Raises:
        ValueError: Names both places and numbers.
    """
    stated: Dict[str, Tuple[str, int]] = {}
    for place, part in _class_parts(cfg):
        defaults = VERBS_AND_NOUNS if _type(part) in OF_TWO_TASKS else {}
        for name in CLASSES:
            number = part.get(name, defaults.get(name))
            if number is None:
                continue
            first, expected = stated.setdefault(name, (place, number))
            if number != expected:
                raise ValueError(
                    f'{place}.{name}={number}, but {first}.{name}={expected}. '
                    f'tools/train.py takes it from one place, --cfg-options '
                    f'{name}=...')


def check_deferred(model: nn.Module, cfg: Config) -> None:
    """What the training pipeline defers, the model must do.

    Raises:
        ValueError: If there is `DeferClip`, and another preprocessor or
            nothing that carries its draws; if nobody has read
            ``augment_on_device``; or if frames are left as `Planes` to
            steps that cannot take them.
    """
    if cfg.get('augment_on_device'):
        raise ValueError('augment_on_device=True is read by the tools/train.py'
                         ' of this package alone: train with that')
    for split in ('train', 'val', 'test'):
        steps = _pipeline(cfg, split)
        kinds = [_type(step) for step in steps]
        for place, step in enumerate(steps):
            if kinds[place] != 'VideoDecode' or not step.get('planes'):
                continue
            end = kinds.index('DeferClip') if 'DeferClip' in kinds else None
            if end is None or not look_at_no_frame(steps[place + 1:end]):
                raise ValueError(
                    f'the {split} pipeline has VideoDecode with planes=True, '
                    'which is for pipelines with lazy steps and DeferClip '
                    'behind it: take it out')
    preprocessor = getattr(model, 'data_preprocessor', None)
    pipeline = _pipeline(cfg, 'train')
    if 'DeferClip' not in map(_type, pipeline):
        return
    if 'deferred' not in pipeline[-1].get('meta_keys', ()):
        raise ValueError(
            'the training pipeline has DeferClip: add \'deferred\' to the '
            f'meta_keys of its last step, {_type(pipeline[-1])}')
    if not isinstance(preprocessor, Augmenting):
        raise ValueError(
            'the training pipeline has DeferClip, so model.data_preprocessor '
            'must be an AugmentingActionDataPreprocessor (or '
            'AugmentingAudioVisualDataPreprocessor), not '
            f'{type(preprocessor).__name__}')


def check_model(model: nn.Module, cfg: Config) -> None:
    """Compare a model's widths, frames and sides with head and pipelines.

    Raises:
        ValueError: Names both sides.
    """
    experts = experts_of(getattr(model, 'backbone', None))
    head = getattr(model, 'cls_head', None)
    if not experts:
        return
    layout = getattr(model.backbone, 'out_layout', None)
    _check_widths(widths_of(layout, [x.embed_dims for x in experts.values()]),
                  getattr(model, 'neck', None), head)
    for split in SPLITS:
        pipeline = _pipeline(cfg, split)
        for name, expert in experts.items():
            if expert.spec.modality == 'audio':
                continue
            for what, wanted, found in (
                ('frames a clip', expert.num_frames, _clip_len(pipeline)),
                ('pixels a side', expert.img_size, _side(pipeline))):
                if found not in (None, wanted):
                    raise ValueError(
                        f'the pipeline of {split}_dataloader makes {found} '
                        f'{what}, {name} of the model takes {wanted}')
        views = _views(pipeline)
        if split != 'train' and views > 1 and getattr(
                head, 'average_clips', 'prob') is None:
            raise ValueError(
                f'{split}_dataloader makes {views} views of a video, and '
                'cls_head.average_clips=None leaves them apart: set it to '
                "'prob' or 'score'")


def experts_of(backbone: Optional[nn.Module]) -> Dict[str, Expert]:
    """What makes a backbone's features, by name; empty if it is not of this
    package."""
    if hasattr(backbone, 'named_experts'):
        return dict(backbone.named_experts())
    expert = getattr(backbone, 'expert', backbone)
    return {'backbone': expert} if isinstance(expert, Expert) else {}


def clip_size(cfg: Config, split: str) -> Tuple[Optional[int], Optional[int]]:
    """Frames of a clip and the side of a picture, pixels, that the pipeline
    of a split makes; None where it does not say."""
    pipeline = _pipeline(cfg, split)
    return _clip_len(pipeline), _side(pipeline)


def _check_widths(widths: List[int], neck: Optional[nn.Module],
                  head: Optional[nn.Module]) -> None:
    if isinstance(neck, LateFusion):
        widths = [sum(widths) if neck.how == 'concat' else widths[0]]
    elif neck is not None:
        return
    if not isinstance(head,
                      (CASTHead, EnsembleHead, LinearHead, VerbNounHead)):
        return
    if getattr(head, 'concat', False):
        widths = [sum(widths)]
    stated = head.in_channels
    if isinstance(stated, int):
        stated = [stated] * len(widths)
    if list(stated) != widths:
        raise ValueError(
            f'cls_head.in_channels={head.in_channels}, but the features of '
            f'the backbone are {" and ".join(map(str, widths))} wide')


def _class_parts(cfg: Config) -> Iterator[Tuple[str, dict]]:
    """The parts of a config that may state classes, the head first."""
    model = cfg.get('model') or {}
    yield 'model.cls_head', model.get('cls_head') or {}
    blending = (model.get('data_preprocessor') or {}).get('blending')
    yield from _walk('model.data_preprocessor.blending', blending)
    for split in SPLITS:
        loader = cfg.get(f'{split}_dataloader') or {}
        yield from _walk(f'{split}_dataloader.dataset', loader.get('dataset'))
        yield from _walk(f'{split}_evaluator', cfg.get(f'{split}_evaluator'))


def _walk(place: str, part: Any) -> Iterator[Tuple[str, dict]]:
    """A part and those inside it; pipelines state no classes."""
    if isinstance(part, (list, tuple)):
        for i, item in enumerate(part):
            yield from _walk(f'{place}[{i}]', item)
    elif isinstance(part, dict):
        yield place, part
        # The parts of a VerbNounBlending get their number from it.
        if _type(part) != 'VerbNounBlending':
            for key in ('dataset', 'datasets', 'augments'):
                yield from _walk(f'{place}.{key}', part.get(key))


def _pipeline(cfg: Config, split: str) -> List[dict]:
    dataset = (cfg.get(f'{split}_dataloader') or {}).get('dataset') or {}
    while 'dataset' in dataset:
        dataset = dataset['dataset']
    steps = dataset.get('pipeline') or []
    return [step for step in steps if isinstance(step, dict)]


def _type(part: dict) -> str:
    name = part.get('type', '')
    name = name if isinstance(name, str) else name.__name__
    return name.rpartition('.')[2]


def _clip_len(pipeline: List[dict]) -> Optional[int]:
    lengths = [step.get('clip_len', 16) for step in pipeline
               if _type(step) in ('ClipSampleFrames', 'CASTSampleFrames',
                                  'SampleFrames', 'UniformSample')]
    return lengths[-1] if lengths else None


def _side(pipeline: List[dict]) -> Optional[int]:
    """The side of the pictures behind the last step that fixes it."""
    side = None
    for step in pipeline:
        size = None
        if _type(step) in CROPS:
            size = step.get('crop_size')
        elif _type(step) == 'Resize' and not step.get('keep_ratio', True):
            size = step.get('scale')
        if isinstance(size, (list, tuple)) and len(set(size)) == 1:
            size = size[0]
        side = size if isinstance(size, int) else side
    return side


def _views(pipeline: List[dict]) -> int:
    views = 1
    for step in pipeline:
        views *= CROPS.get(_type(step), 1)
        if 'clip_len' in step or 'num_clips' in step:
            views *= step.get('num_clips', 1)
    return views
