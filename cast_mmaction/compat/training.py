"""What a training on a current stack meets."""
import copy
import functools
from types import SimpleNamespace
from typing import Callable

import torch
import torch.nn.functional as F

from .registry import remedy


@remedy
def ddp_without_gpu() -> bool:
    """MMEngine's DDP asks for a GPU, also where there is none."""
    if torch.cuda.is_available():
        return False
    from mmengine.dist import utils
    from mmengine.model import MMDistributedDataParallel as Wrapper

    def on_gloo(original: Callable) -> Callable:

        def init(backend, **kwargs) -> None:
            set_device = torch.cuda.set_device
            torch.cuda.set_device = lambda device: None
            try:
                original('gloo', **kwargs)
            finally:
                torch.cuda.set_device = set_device

        return init

    def wrap(self, module, detect_anomalous_params=False, **kwargs) -> None:
        kwargs['device_ids'] = None
        original_wrap(self, module, detect_anomalous_params, **kwargs)

    for launcher in ('pytorch', 'slurm', 'mpi'):
        name = f'_init_dist_{launcher}'
        setattr(utils, name, on_gloo(getattr(utils, name)))
    original_wrap, Wrapper.__init__ = Wrapper.__init__, wrap
    return True


@remedy
def bfloat16_scores() -> bool:
    """Host heads and metrics hand bfloat16 scores to NumPy, which has none."""
    try:
        torch.zeros(1, dtype=torch.bfloat16).numpy()
        return False
    except TypeError:
        pass
    from mmaction.models.heads import BaseHead

    def in_float32(original: Callable) -> Callable:

        @functools.wraps(original)
        def method(self, cls_scores, data_samples):
            return original(self, cls_scores.float(), data_samples)

        return method

    BaseHead.loss_by_feat = in_float32(BaseHead.loss_by_feat)
    BaseHead.predict_by_feat = in_float32(BaseHead.predict_by_feat)
    return True


@remedy
def bfloat16_scaler() -> bool:
    """AmpOptimWrapper scales bfloat16 losses, and may so skip steps unseen.

    bfloat16 has float32's range: there is nothing to scale.
    """
    from mmengine.optim import AmpOptimWrapper
    original = AmpOptimWrapper.__init__

    @functools.wraps(original)
    def init(self, loss_scale='dynamic', dtype=None, **kwargs) -> None:
        if dtype in ('bfloat16', torch.bfloat16):
            loss_scale = dict(enabled=False)
        original(self, loss_scale=loss_scale, dtype=dtype, **kwargs)

    load = AmpOptimWrapper.load_state_dict

    @functools.wraps(load)
    def load_state_dict(self, state_dict) -> None:
        # That of a bfloat16 training, which a scaler refuses.
        if not state_dict.get('loss_scaler', True):
            state_dict = {
                k: v
                for k, v in state_dict.items() if k != 'loss_scaler'
            }
        load(self, state_dict)

    AmpOptimWrapper.__init__ = init
    AmpOptimWrapper.load_state_dict = load_state_dict
    return True


@remedy
def blocking_copies() -> bool:
    """Batches are copied to the device while the host waits.

    What pinned memory is for: uint8 clips travel while the device computes,
    and are normalised there.
    """
    from mmaction.models.data_preprocessors import data_preprocessor
    from mmengine.model import BaseDataPreprocessor
    original = BaseDataPreprocessor.__init__
    pad = data_preprocessor.stack_batch

    @functools.wraps(original)
    def init(self, non_blocking=True) -> None:
        original(self, non_blocking)

    @functools.wraps(pad)
    def stack_batch(clips, *args, **kwargs) -> torch.Tensor:
        # The host computes with tensors, and reads one, to see the same.
        if not args and not kwargs and len({x.shape for x in clips}) == 1:
            return torch.stack(clips)
        return pad(clips, *args, **kwargs)

    BaseDataPreprocessor.__init__ = init
    data_preprocessor.stack_batch = stack_batch
    return True


@remedy
def blending_without_waiting() -> bool:
    """Mixup and cutmix wait for the device: for labels and permutations."""
    from mmaction.models.utils import blending_utils as host_module

    def call(self, imgs, batch_data_samples, **kwargs) -> tuple:
        labels = torch.stack([x.gt_label for x in batch_data_samples])
        labels = labels.to(imgs.device, non_blocking=True)
        if labels.shape[1] == 1:
            labels = F.one_hot(labels[:, 0], num_classes=self.num_classes)
        imgs, labels = self.do_blending(imgs, labels, **kwargs)
        for sample, label in zip(batch_data_samples, labels):
            sample.set_gt_label(label)
        return imgs, batch_data_samples

    def taken(x: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
        # Drawn on the host, as ever; an index there is copied with a wait.
        # Labels may be on another device than clips.
        return x[order.to(x.device, non_blocking=True)]

    def mixup(self, imgs, label) -> tuple:
        share = self.beta.sample()
        order = torch.randperm(len(imgs))
        return tuple(share * x + (1 - share) * taken(x, order)
                     for x in (imgs, label))

    def cutmix(self, imgs, label) -> tuple:
        order, share = torch.randperm(len(imgs)), self.beta.sample()
        left, top, right, bottom = self.rand_bbox(imgs.size(), share)
        box = (..., slice(top, bottom), slice(left, right))
        imgs[box] = taken(imgs, order)[box]
        area = 1.0 * (right - left) * (bottom - top)
        share = 1 - area / (imgs.size(-1) * imgs.size(-2))
        return imgs, share * label + (1 - share) * taken(label, order)

    for owner, name, method in (
        (host_module.BaseMiniBatchBlending, '__call__', call),
        (host_module.MixupBlending, 'do_blending', mixup),
        (host_module.CutmixBlending, 'do_blending', cutmix)):
        setattr(owner, name, functools.wraps(getattr(owner, name))(method))
    return True


@remedy
def loaders_without_limit() -> bool:
    """A worker that hangs stops a training for ever, without a word."""
    from mmengine.runner import _flexible_runner, runner
    from torch.utils.data import DataLoader
    from ..watched_loader import WatchedLoader

    class _AnyLoader(type):

        def __instancecheck__(cls, instance) -> bool:
            # The runner asks so whether it was given a loader or a config.
            return isinstance(instance, DataLoader)

    class Watched(WatchedLoader, metaclass=_AnyLoader):
        """What the runner builds."""

    for module in (runner, _flexible_runner):
        module.DataLoader = Watched
    return True


@remedy
def workers_by_number_only() -> bool:
    """`num_workers` is a number, but what fits depends on the machine.

    ``'auto'``: see :func:`cast_mmaction.workers.auto_workers`.
    """
    from mmengine.runner import FlexibleRunner, Runner
    from ..workers import auto_workers

    def counted(original: Callable) -> Callable:

        @functools.wraps(original)
        def build_dataloader(dataloader, *args, **kwargs):
            number = dataloader.get('num_workers') if isinstance(
                dataloader, dict) else None
            if isinstance(number, str):
                if number != 'auto':
                    raise ValueError(f'num_workers={number!r} of a data '
                                     "loader: use a number or 'auto'")
                dataloader = copy.copy(dataloader)
                dataloader['num_workers'] = auto_workers()
            return original(dataloader, *args, **kwargs)

        return build_dataloader

    for owner in (Runner, FlexibleRunner):
        owner.build_dataloader = staticmethod(counted(owner.build_dataloader))
    return True


@remedy
def accumulation_in_auto_scale_lr() -> bool:
    """`auto_scale_lr` ignores gradient accumulation.

    With `count_accumulation=True` in `auto_scale_lr`, `base_batch_size` is
    compared with all samples of an optimizer step. Other configs keep the
    host's meaning.
    """
    from mmengine._strategy.base import BaseStrategy
    from mmengine.runner import Runner
    original, of_strategy = Runner.scale_lr, BaseStrategy._scale_lr

    def counted(owner, wrapper, auto_scale_lr, scale: Callable) -> None:
        cfg = dict(auto_scale_lr or {})
        if not (cfg.pop('count_accumulation', False) and cfg.get('enable')):
            return scale(auto_scale_lr)
        times = getattr(wrapper, '_accumulative_counts', 1)
        cfg['base_batch_size'] /= times
        owner.logger.info(f'auto_scale_lr: {times} batches make an optimizer '
                          'step, the base batch size is divided by that')
        groups = wrapper.optimizer.param_groups
        before = groups[-1]['lr']
        scale(cfg)
        if wrapper.base_param_settings:  # what the log calls base_lr
            ratio = groups[-1]['lr'] / before
            wrapper.base_param_settings['lr'] *= ratio

    @functools.wraps(original)
    def scale_lr(self, optim_wrapper, auto_scale_lr=None) -> None:
        counted(self, optim_wrapper, auto_scale_lr,
                lambda cfg: original(self, optim_wrapper, cfg))

    @functools.wraps(of_strategy)
    def _scale_lr(self) -> None:

        def scale(cfg) -> None:
            stated, self._auto_scale_lr = self._auto_scale_lr, cfg
            try:
                of_strategy(self)
            finally:
                self._auto_scale_lr = stated

        counted(self, self.optim_wrapper, self._auto_scale_lr, scale)

    Runner.scale_lr, BaseStrategy._scale_lr = scale_lr, _scale_lr
    return True


@remedy
def weights_sent_twice() -> bool:
    """The first process sends all weights to all others, twice.

    Once when the model is wrapped, once when it has got its weights; of
    CAST-B 870 MB each time, four fifths of it frozen experts that every
    process has read from the same file. See :func:`send_what_differs`.
    """
    from mmengine._strategy.base import BaseStrategy
    from mmengine.model import MMDistributedDataParallel as Wrapper
    from mmengine.model import is_model_wrapper
    from mmengine.runner import Runner
    from ..same_weights import send_what_differs
    wrap = Wrapper.__init__

    @functools.wraps(wrap)
    def init(self, module, detect_anomalous_params=False, **kwargs) -> None:
        if kwargs.get('process_group') is None and kwargs.get(
                'init_sync', True):
            send_what_differs(module)
            kwargs['init_sync'] = False
        wrap(self, module, detect_anomalous_params, **kwargs)

    def initialise(model) -> None:
        model = model.module if is_model_wrapper(model) else model
        if hasattr(model, 'init_weights'):
            model.init_weights()
            send_what_differs(model)

    def of_runner(self) -> None:
        initialise(self.model)

    def of_strategy(self, model):
        if self.dispatch_kwargs.get('init_weights_for_test_or_val', True):
            initialise(model)
        return model

    Wrapper.__init__ = init
    Runner._init_model_weights = functools.wraps(
        Runner._init_model_weights)(of_runner)
    BaseStrategy._init_model_weights = functools.wraps(
        BaseStrategy._init_model_weights)(of_strategy)
    return True


@remedy
def constants_in_sync_buffers() -> bool:
    """SyncBuffersHook averages all buffers over the processes.

    Fixed tables, too: the mean of three equal numbers need not be that
    number, and integers cannot be averaged. Only the running statistics of
    norms differ between processes.
    """
    from mmengine.hooks import SyncBuffersHook

    def of_statistics(original: Callable) -> Callable:

        @functools.wraps(original)
        def method(self, runner) -> None:
            statistics = [
                buffer for name, buffer in runner.model.named_buffers()
                if name.endswith(('running_mean', 'running_var'))
            ]
            model = SimpleNamespace(buffers=lambda: statistics)
            original(self, SimpleNamespace(model=model))

        return method

    for name in ('before_val_epoch', 'after_train_epoch'):
        method = getattr(SyncBuffersHook, name)
        setattr(SyncBuffersHook, name, of_statistics(method))
    return True


@remedy
def color_jitter_hue() -> bool:
    """ColorJitter's hue arithmetic overflows with NumPy 2."""
    import cv2
    import numpy as np
    from mmaction.datasets.transforms import ColorJitter
    try:
        ColorJitter.adjust_hue(np.zeros((1, 1, 3), np.float32), -0.1)
        return False
    except OverflowError:
        pass

    def adjust_hue(img: 'np.ndarray', factor: float) -> 'np.ndarray':
        img = np.clip(img, 0, 255).astype(np.uint8)
        hsv = cv2.cvtColor(img, cv2.COLOR_RGB2HSV)
        hue = hsv[..., 0].astype(np.int16) + int(factor * 255)
        hsv[..., 0] = hue % 180
        return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB).astype(np.float32)

    ColorJitter.adjust_hue = staticmethod(adjust_hue)
    return True
