"""What MMAction2 1.2.0 and MMEngine 0.10 lack on a current stack.

One function per defect. Each looks whether its defect is there, mends it if
so, and says what it did; none does anything to a host that is in order. The
tests of this file fail once a defect is fixed upstream: then the function and
its test can go.
"""
import builtins
import functools
import importlib.util
import sys
import warnings
from importlib import metadata
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Callable, Dict, List

import torch
import torch.nn.functional as F

from .host import installed

_remedies: List[Callable[[], bool]] = []
_applied: Dict[str, bool] = {}

# Optional packages that the host could not use, and why; see
# :func:`broken_optional_packages`.
left_out: Dict[str, str] = {}


def remedy(function: Callable[[], bool]) -> Callable[[], bool]:
    """Add a function to those that :func:`apply` runs, in their order."""
    _remedies.append(function)
    return function


def remedies() -> List[Callable[[], bool]]:
    """All remedies, in the order in which they are applied."""
    return list(_remedies)


def apply() -> Dict[str, bool]:
    """Run every remedy once.

    Returns:
        dict[str, bool]: For each remedy, by name, whether its defect was
        found (and mended).
    """
    for function in _remedies:
        if function.__name__ not in _applied:
            _applied[function.__name__] = function()
    return dict(_applied)


@remedy
def mmcv_lite_warning() -> bool:
    """mmcv-lite warns on every start of a module that nothing here uses."""
    if installed('mmcv-lite') is None:
        return False
    warnings.filterwarnings(
        'ignore', message='Fail to import ``MultiScaleDeformableAttention``')
    return True


@remedy
def missing_drn() -> bool:
    """The wheel of MMAction2 lacks `mmaction.models.localizers.drn`."""
    import mmaction
    name = 'mmaction.models.localizers.drn'
    folder = Path(mmaction.__file__).parent / 'models' / 'localizers' / 'drn'
    if folder.is_dir() or name in sys.modules:
        return False

    class DRN:
        """Stands in for a localizer that this MMAction2 does not contain."""

        def __init__(self, *args, **kwargs) -> None:
            raise ImportError('DRN is not part of the MMAction2 wheel; '
                              'install MMAction2 from source to use it')

    package, module = ModuleType(name), ModuleType(f'{name}.drn')
    package.__path__ = []
    package.drn, module.DRN = module, DRN
    sys.modules.update({name: package, f'{name}.drn': module})
    return True


@remedy
def broken_optional_packages() -> bool:
    """A package that the host tries, and that fails, stops the whole import.

    MMAction2 and MMEngine look for transformers, mmdet, mmpretrain, wandb and
    others, and go on without those that are absent. One that is there but too
    new (transformers 5 lacks names that VindLU imports) or broken (whatever
    its import raises) is treated as absent here, and noted in ``left_out``.
    """
    original = builtins.__import__

    def tolerant(name, globals=None, locals=None, fromlist=(), level=0):
        importer = (globals or {}).get('__name__', '')
        try:
            return original(name, globals, locals, fromlist, level)
        except Exception as error:
            if importer == VINDLU[0] and name == 'vindlu':
                left_out['transformers'] = _first_line(error)
                return _without_vindlu()
            package = name.partition('.')[0]
            of_host = importer.partition('.')[0] in HOST_PACKAGES
            if not of_host or level or package in HOST_PACKAGES:
                raise
            if isinstance(error, ModuleNotFoundError) and \
                    error.name == package:
                raise  # simply not installed
            left_out[package] = _first_line(error)
            raise ImportError(f'{package}: {error}') from error

    builtins.__import__ = tolerant
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', FutureWarning)  # VindLU's
            import mmaction.apis  # noqa: F401
            import mmaction.datasets  # noqa: F401
            import mmaction.engine  # noqa: F401
            import mmaction.models  # noqa: F401
            import mmaction.visualization  # noqa: F401
    finally:
        builtins.__import__ = original
    return bool(left_out)


HOST_PACKAGES = ('mmaction', 'mmengine', 'mmcv')
VINDLU = ('mmaction.models.multimodal', 'VindLUVQA', 'VindLURetrievalMC',
          'VindLURetrieval')


def _without_vindlu() -> ModuleType:
    """What the host does where transformers is not installed."""
    from mmaction.registry import MODELS

    def refuse(*args, **kwargs) -> None:
        raise ImportError(
            f'{", ".join(VINDLU[1:])} of MMAction2 cannot work with this '
            f'transformers ({left_out["transformers"]}). '
            "Run: pip install 'transformers>=4.28,<5'")

    for name in VINDLU[1:]:
        MODELS.register_module(name=name, module=refuse, force=True)
    return ModuleType('vindlu')


def _first_line(error: Exception) -> str:
    return f'{type(error).__name__}: {error}'.partition('\n')[0]


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
def bounded_log() -> bool:
    """The log's history grows: with each iteration, and in checkpoints.

    After 350,000 iterations an update of ten keys takes 11 ms, and their
    history 56 MB of each checkpoint.
    """
    from mmengine.logging import MessageHub
    from . import log_history
    log_history.mend()
    original = MessageHub.state_dict

    @functools.wraps(original)
    def state_dict(self) -> dict:
        scalars = self._log_scalars
        self._log_scalars = log_history.for_checkpoint(scalars)
        try:
            return original(self)
        finally:
            self._log_scalars = scalars

    MessageHub.state_dict = state_dict
    return True


@remedy
def log_without_waiting() -> bool:
    """Each iteration the log waits for the device to read every value."""
    from mmengine.logging import HistoryBuffer, MessageHub
    from mmengine.optim import OptimWrapper
    original = MessageHub.update_scalar

    @functools.wraps(original)
    def update_scalar(self, key, value, count=1, resumed=True) -> None:
        if not isinstance(value, torch.Tensor) or value.numel() != 1:
            return original(self, key, value, count, resumed)
        self._set_resumed_keys(key, resumed)
        buffer = self._log_scalars.setdefault(key, HistoryBuffer())
        # A copy: the value's owner may write into it before it is read.
        buffer.update(value.detach().clone().reshape(()), count)

    def _clip_grad(self) -> None:
        params = [
            parameter for group in self.optimizer.param_groups
            for parameter in group['params'] if parameter.grad is not None
        ]
        if params:
            norm = self.clip_func(params, **self.clip_grad_kwargs)
            if norm is not None:  # clipping by value has none
                self.message_hub.update_scalar(f'train/{self.grad_name}', norm)

    MessageHub.update_scalar = update_scalar
    OptimWrapper._clip_grad = _clip_grad
    return True


@remedy
def blocking_copies() -> bool:
    """Batches are copied to the device while the host waits.

    What pinned memory is for: uint8 clips travel while the device computes,
    and are normalised there.
    """
    from mmaction.models.data_preprocessors import data_preprocessor
    from mmengine.model import BaseDataPreprocessor
    original, pad = BaseDataPreprocessor.__init__, data_preprocessor.stack_batch

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

    def permutation(imgs: torch.Tensor) -> torch.Tensor:
        # Drawn on the host, as ever; an index there is copied with a wait.
        return torch.randperm(len(imgs)).to(imgs.device, non_blocking=True)

    def mixup(self, imgs, label) -> tuple:
        share = self.beta.sample()
        other = permutation(imgs)
        return tuple(share * x + (1 - share) * x[other] for x in (imgs, label))

    def cutmix(self, imgs, label) -> tuple:
        other, share = permutation(imgs), self.beta.sample()
        left, top, right, bottom = self.rand_bbox(imgs.size(), share)
        box = (..., slice(top, bottom), slice(left, right))
        imgs[box] = imgs[other][box]
        area = 1.0 * (right - left) * (bottom - top)
        share = 1 - area / (imgs.size(-1) * imgs.size(-2))
        return imgs, share * label + (1 - share) * label[other]

    for owner, name, method in (
        (host_module.BaseMiniBatchBlending, '__call__', call),
        (host_module.MixupBlending, 'do_blending', mixup),
        (host_module.CutmixBlending, 'do_blending', cutmix)):
        setattr(owner, name, functools.wraps(getattr(owner, name))(method))
    return True


@remedy
def loaders_without_limit() -> bool:
    """A worker that hangs stops a training for ever, without a word."""
    from mmengine.runner import runner
    from .watched_loader import WatchedLoader
    runner.DataLoader = WatchedLoader
    return True


@remedy
def find_loader() -> bool:
    """`pkgutil.find_loader`, which MMEngine and mmcv call, went in 3.14."""
    import pkgutil
    if hasattr(pkgutil, 'find_loader'):
        return False
    from mmcv.utils import ext_loader
    from mmengine.utils.dl_utils import misc

    def find(name: str):
        spec = importlib.util.find_spec(name)
        return spec and spec.loader

    for module in (misc, ext_loader):
        module.pkgutil = SimpleNamespace(find_loader=find)
    return True


@remedy
def pkg_resources() -> bool:
    """`pkg_resources`, which MMEngine looks packages up with, has gone.

    setuptools 82 has none; bases such as `mmaction::...` need it.
    """
    if importlib.util.find_spec('pkg_resources') is not None:
        return False
    from mmengine.utils import package_utils

    def is_installed(package: str) -> bool:
        if installed(package) is not None:
            return True
        spec = importlib.util.find_spec(package)
        return spec is not None and spec.origin is not None

    def package2module(package: str) -> str:
        names = metadata.distribution(package).read_text('top_level.txt')
        if not names:
            raise ValueError(f'can not infer the module name of {package}')
        return names.split()[0]

    def get_installed_path(package: str) -> str:
        spec = importlib.util.find_spec(package)
        if spec is None:
            if installed(package) is None:
                raise metadata.PackageNotFoundError(package)
            spec = importlib.util.find_spec(package2module(package))
        if spec.origin is None:
            raise RuntimeError(
                f'{package} is a namespace package, which has no path')
        return str(Path(spec.origin).parent)

    for new in (is_installed, package2module, get_installed_path):
        old = getattr(package_utils, new.__name__)
        for name, module in list(sys.modules.items()):
            if name.partition('.')[0] in HOST_PACKAGES and \
                    getattr(module, new.__name__, None) is old:
                setattr(module, new.__name__, new)
    return True


@remedy
def accumulation_in_auto_scale_lr() -> bool:
    """`auto_scale_lr` ignores gradient accumulation.

    With `count_accumulation=True` in `auto_scale_lr`, `base_batch_size` is
    compared with all samples of an optimizer step. Other configs keep the
    host's meaning.
    """
    from mmengine.runner import Runner
    original = Runner.scale_lr

    @functools.wraps(original)
    def scale_lr(self, optim_wrapper, auto_scale_lr=None) -> None:
        cfg = dict(auto_scale_lr or {})
        if not (cfg.pop('count_accumulation', False) and cfg.get('enable')):
            return original(self, optim_wrapper, auto_scale_lr)
        times = optim_wrapper._accumulative_counts
        cfg['base_batch_size'] /= times
        self.logger.info(f'auto_scale_lr: {times} batches make an optimizer '
                         'step, the base batch size is divided by that')
        groups = optim_wrapper.optimizer.param_groups
        before = groups[-1]['lr']
        original(self, optim_wrapper, cfg)
        if optim_wrapper.base_param_settings:  # what the log calls base_lr
            ratio = groups[-1]['lr'] / before
            optim_wrapper.base_param_settings['lr'] *= ratio

    Runner.scale_lr = scale_lr
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


@remedy
def results_file_of_every_process() -> bool:
    """After a test all processes write the same results file at once."""
    from mmengine.dist import master_only
    from mmengine.hooks import logger_hook
    logger_hook.dump = master_only(logger_hook.dump)
    return True


@remedy
def named_scores_in_inferencer() -> bool:
    """Inferencers know one vector of scores, and classes by number.

    Their answers get the best five by name (``pred_top`` and ``rec_top``)
    where the model knows its classes.
    """
    from mmaction.apis.inferencers import (ActionRecogInferencer,
                                           MMAction2Inferencer)
    pred2dict = ActionRecogInferencer.pred2dict
    postprocess = MMAction2Inferencer.postprocess

    def top(inferencer, scores) -> dict:
        from .class_names import names_by_task
        from .prediction import best_guesses
        model = getattr(inferencer, 'model', None)
        names = names_by_task(getattr(model, 'dataset_meta', None))
        guesses = best_guesses(scores, names, 5) if names else {}
        return {
            task: [guess._asdict() for guess in best]
            for task, best in guesses.items()
        }

    @functools.wraps(pred2dict)
    def named(self, data_sample) -> dict:
        scores = data_sample.pred_score
        if isinstance(scores, dict):
            result = dict(
                pred_labels={t: int(x.argmax()) for t, x in scores.items()},
                pred_scores={t: x.tolist() for t, x in scores.items()})
        else:
            result = pred2dict(self, data_sample)
        best = top(self, scores)
        return dict(result, pred_top=best) if best else result

    @functools.wraps(postprocess)
    def with_names(self, preds, *args, **kwargs):
        results = postprocess(self, preds, *args, **kwargs)
        for result, samples in zip(results['predictions'],
                                   preds.get('rec', [])):
            best = [top(self.actionrecog_inferencer, sample.pred_score)
                    for sample in samples]
            if any(best):
                result['rec_top'] = best
        return results

    ActionRecogInferencer.pred2dict = named
    MMAction2Inferencer.postprocess = with_names
    return True


@remedy
def program_in_checkpoint() -> bool:
    """Runners and inferencers run the config inside a checkpoint as Python,
    and what is fetched from the net is unpickled without a limit."""
    from mmengine.infer import BaseInferencer
    from mmengine.runner import checkpoint as module

    from .checkpoints import host_loading
    from .foreign_config import no_larger_than
    load = module.CheckpointLoader.load_checkpoint
    init_model = BaseInferencer._init_model

    @functools.wraps(load)
    def load_checkpoint(filename, map_location=None, logger='current'):
        return host_loading.without_program(
            load(filename, map_location, logger), filename)

    @functools.wraps(init_model)
    def from_data(self, cfg, weights, device='cpu'):
        if cfg:
            return init_model(self, cfg, weights, device)
        content = load_checkpoint(weights, 'cpu')
        cfg.update(host_loading.config_of(content, weights))
        with no_larger_than(content.get('state_dict', {}), weights):
            return init_model(self, cfg, weights, device)

    module.CheckpointLoader.register_scheme(
        '', host_loading.load_from_local, force=True)
    module.load_url = host_loading.load_url
    module.CheckpointLoader.load_checkpoint = staticmethod(load_checkpoint)
    BaseInferencer._init_model = from_data
    return True


@remedy
def any_checkpoint_for_any_model() -> bool:
    """`init_recognizer` and inferencers print what does not fit, and go on
    with random weights. Models with parts of this package are filled, or
    refuse; others keep the host's ways."""
    from mmaction.apis import inference
    from mmengine.infer import BaseInferencer

    from .checkpoints import host_loading
    load_checkpoint = inference.load_checkpoint
    load_weights = BaseInferencer._load_weights_to_model

    @functools.wraps(load_checkpoint)
    def load_to_use(model, filename, *args, **kwargs):
        if not host_loading.is_ours(model):
            return load_checkpoint(model, filename, *args, **kwargs)
        from mmengine.runner import CheckpointLoader
        content = CheckpointLoader.load_checkpoint(filename, 'cpu')
        host_loading.fill(model, content, filename)
        return content

    @functools.wraps(load_weights)
    def load_weights_to_use(self, model, checkpoint, cfg) -> None:
        if checkpoint is None or not host_loading.is_ours(model):
            return load_weights(self, model, checkpoint, cfg)
        host_loading.fill(model, checkpoint, 'the weights')

    inference.load_checkpoint = load_to_use
    BaseInferencer._load_weights_to_model = load_weights_to_use
    return True


@remedy
def precision_of_inference() -> bool:
    """`init_recognizer` and inferencers compute in float32, always."""
    from mmaction.apis import inference
    from mmengine.infer import BaseInferencer

    from .precision import of_checkpoint, run_in
    load_checkpoint = inference.load_checkpoint
    load_weights = BaseInferencer._load_weights_to_model

    @functools.wraps(load_checkpoint)
    def load_and_follow(model, *args, **kwargs):
        content = load_checkpoint(model, *args, **kwargs)
        run_in(model, of_checkpoint(content) or 'float32')
        return content

    @functools.wraps(load_weights)
    def load_weights_and_follow(self, model, checkpoint, cfg) -> None:
        load_weights(self, model, checkpoint, cfg)
        if checkpoint is not None:
            run_in(model, of_checkpoint(checkpoint) or 'float32')

    inference.load_checkpoint = load_and_follow
    BaseInferencer._load_weights_to_model = load_weights_and_follow
    return True


@remedy
def resume_in_foreign_words() -> bool:
    """A checkpoint that cannot be resumed ends in a KeyError or the like."""
    from mmengine.runner import FlexibleRunner, Runner

    from .checkpoints import CheckpointError

    def named(original: Callable) -> Callable:

        @functools.wraps(original)
        def resume(self, filename, *args, **kwargs) -> None:
            try:
                original(self, filename, *args, **kwargs)
            except CheckpointError:
                raise
            except (ArithmeticError, AssertionError, AttributeError,
                    LookupError, TypeError, ValueError) as error:
                raise CheckpointError(
                    f'{filename}: no training can be resumed from it '
                    f'({type(error).__name__}: {error})') from error

        return resume

    Runner.resume = named(Runner.resume)
    FlexibleRunner.resume = named(FlexibleRunner.resume)
    return True


@remedy
def fixed_list_of_packages() -> bool:
    """`package::config` works for a fixed list of the host's packages alone,
    and not for one that was installed from a clone to work on.

    A plugin has no registries of its own either: what comes from its configs
    is looked up in MMAction2's.
    """
    from mmengine.config import Config
    from mmengine.config import config as config_module
    from mmengine.config.utils import MODULE2PACKAGE
    from mmengine.hub import hub as hub_module
    package = __package__
    if package in MODULE2PACKAGE:
        return False
    MODULE2PACKAGE[package] = package
    path_of, cfg_path_of = hub_module.get_installed_path, Config._get_cfg_path

    def get_installed_path(name: str) -> str:
        return str(
            Path(__file__).parent) if name == package else path_of(name)

    def get_cfg_path(cfg_path: str, filename: str) -> tuple:
        path, scope = cfg_path_of(cfg_path, filename)
        return path, 'mmaction' if scope == package else scope

    # Of which the host tells its user at every such name.
    warnings.filterwarnings('ignore', message='pkg_resources is deprecated')
    config_module.get_installed_path = get_installed_path
    hub_module.get_installed_path = get_installed_path
    Config._get_cfg_path = staticmethod(get_cfg_path)
    return True


@remedy
def names_of_one_package_in_inferencer() -> bool:
    """The inferencer knows the names of MMAction2's own models alone."""
    from mmaction.apis.inferencers import ActionRecogInferencer
    original = ActionRecogInferencer.__init__

    @functools.wraps(original)
    def init(self, model, weights=None, *args, **kwargs) -> None:
        from .config_names import indexed_models
        named = None
        if isinstance(model, str) and not Path(model).is_file():
            named = indexed_models().get(model.lower())
        if named is not None:
            model, weights = str(named.config), weights or named.weights
            if weights is None:
                raise ValueError(
                    f'{named.name} has no published weights; give rec_weights='
                    'a checkpoint of your own')
        original(self, model, weights, *args, **kwargs)

    ActionRecogInferencer.__init__ = init
    return True
