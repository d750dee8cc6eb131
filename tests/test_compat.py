"""Every test named ``..._defect`` fails once the host is mended; then the
remedy in compat can go, and its tests with it."""
import inspect
import subprocess
import sys
from types import SimpleNamespace

import mmaction
import numpy as np
import pytest
import torch
from mmaction.apis.inferencers import (ActionRecogInferencer,
                                       MMAction2Inferencer)
from mmaction.datasets.transforms import ColorJitter
from mmaction.models.heads import TSNHead
from mmaction.structures import ActionDataSample
from mmengine.config import Config
from mmengine._strategy.base import BaseStrategy
from mmengine.logging import MMLogger
from mmengine.optim import OptimWrapper
from mmengine.runner import LogProcessor, Runner

from cast_mmaction import compat
from cast_mmaction.host import installed
from tests.toy import ROOT, toy_config

QUIET = 'import warnings; warnings.simplefilter("ignore"); '


def host(code: str) -> str:
    """What a line of Python ends with where cast_mmaction is not imported."""
    run = subprocess.run([sys.executable, '-c', QUIET + code],
                         capture_output=True,
                         text=True)
    return run.stderr.strip().splitlines()[-1] if run.returncode else ''


def plugin(code: str) -> str:
    """The same where it is."""
    return host('import cast_mmaction; ' + code)


def test_applied_once():
    assert compat.apply() == compat.apply()
    assert set(compat.apply()) == {x.__name__ for x in compat.remedies()}


# mmaction.models.localizers.drn


def test_missing_drn_defect():
    assert 'localizers.drn' in host('import mmaction.models')


def test_the_wheel_can_be_imported():
    assert plugin('import mmaction.models, mmaction.apis') == ''


def test_the_stand_in_says_what_it_is():
    from mmaction.models.localizers import DRN
    with pytest.raises(ImportError, match='from source'):
        DRN()


def test_a_source_install_is_left_alone(tmp_path, monkeypatch):
    (tmp_path / 'models/localizers/drn').mkdir(parents=True)
    monkeypatch.setattr(mmaction, '__file__', str(tmp_path / '__init__.py'))
    monkeypatch.delitem(sys.modules, 'mmaction.models.localizers.drn')
    assert compat.packages.missing_drn() is False


def test_importlib_metadata_defect():
    """Fails once MMAction2 does without; then setup.cfg can, too."""
    from mmaction.utils import dependency
    assert 'from importlib_metadata import' in inspect.getsource(dependency)


# mmcv-lite


def test_mmcv_lite_warning_defect():
    code = ('warnings.filterwarnings("error", "Fail to"); '
            'import mmcv.cnn.bricks.transformer')
    if installed('mmcv-lite') is None:
        pytest.skip('the full mmcv is installed')
    assert 'MultiScaleDeformableAttention' in host(code)


# optional packages that the host looks for


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Puts a package before all installed ones."""

    def make(package: str, version: str, code: str) -> None:
        (tmp_path / package).mkdir()
        (tmp_path / package / '__init__.py').write_text(code)
        facts = tmp_path / f'{package}-{version}.dist-info'
        facts.mkdir()
        (facts / 'METADATA').write_text(
            f'Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n')
        monkeypatch.setenv('PYTHONPATH', f'{tmp_path}:{ROOT}')

    return make


# What packages raise that do not fit the others: mmdet checks mmcv by assert,
# compiled ones fail in many ways.
BROKEN = {
    'mmdet': 'assert False, "MMCV==9 is used but incompatible"',
    'mmpretrain': 'None.version',
    'wandb': 'raise RuntimeError("descriptors cannot be created directly")',
    'nltk': 'raise OSError("no such library")',
    'lmdb': 'raise SystemError("initialization failed")',
    'mmpose': '1 / 0',
    'clip': '1 / 0',
    'imgaug': '1 / 0',
    'transformers': 'raise ValueError("numpy.dtype size changed")',
}


@pytest.mark.parametrize('package', ['transformers', 'mmdet', 'mmpretrain'])
def test_broken_optional_packages_defect(stand_in, package):
    stand_in(package, '5.0', BROKEN[package])
    assert 'Error' in host(
        'import sys; from types import ModuleType as M; '
        'n = "mmaction.models.localizers.drn"; p = M(n); p.__path__ = []; '
        'm = M(n + ".drn"); m.DRN = 0; sys.modules.update({n: p, m.__name__: '
        'm}); import mmaction.models')


@pytest.mark.parametrize('package', BROKEN)
def test_a_broken_optional_package(stand_in, package):
    stand_in(package, '5.0', BROKEN[package])
    assert plugin('') == ''


def test_a_transformers_that_is_too_new(stand_in):
    stand_in('transformers', '5.0', 'class BertTokenizer: pass')
    assert plugin('from mmaction.registry import MODELS; '
                  'MODELS.build(dict(type="VindLURetrieval"))').startswith(
                      'ImportError: VindLUVQA, VindLURetrievalMC, '
                      'VindLURetrieval of MMAction2 cannot work with')
    assert 'transformers' in plugin('raise SystemExit(str('
                                    'cast_mmaction.compat.left_out))')


def test_a_fault_of_the_host_itself_is_not_hidden(monkeypatch, tmp_path):
    (tmp_path / 'mmengine').mkdir()
    (tmp_path / 'mmengine/__init__.py').write_text('1 / 0')
    monkeypatch.setenv('PYTHONPATH', f'{tmp_path}:{ROOT}')
    assert 'ZeroDivisionError' in plugin('')


# distributed training without a GPU

DDP = ('import os; os.environ.update(RANK="0", WORLD_SIZE="1", LOCAL_RANK="0",'
       ' MASTER_ADDR="127.0.0.1", MASTER_PORT="0"); '
       'from mmengine.dist import init_dist; init_dist("pytorch"); '
       'import torch; from mmengine.model import MMDistributedDataParallel; '
       'MMDistributedDataParallel(torch.nn.Linear(1, 1), device_ids=[1])')


@pytest.mark.skipif(torch.cuda.is_available(), reason='about CPU machines')
def test_ddp_without_gpu_defect():
    assert 'NVIDIA' in host(DDP) or 'CUDA' in host(DDP)


@pytest.mark.skipif(torch.cuda.is_available(), reason='about CPU machines')
def test_ddp_on_the_cpu():
    assert plugin(DDP) == ''


# bfloat16


def head_and_scores():
    head = TSNHead(num_classes=3, in_channels=4)
    samples = [ActionDataSample().set_gt_label(x) for x in (0, 2)]
    return head, torch.rand(2, 3, dtype=torch.bfloat16), samples


def original(method):
    return inspect.unwrap(method)


@pytest.mark.parametrize('name', ['loss_by_feat', 'predict_by_feat'])
def test_bfloat16_scores_defect(name):
    head, scores, samples = head_and_scores()
    with pytest.raises(TypeError, match='BFloat16'):
        original(getattr(TSNHead, name))(head, scores, samples)
        samples[0].pred_score.numpy()


def test_bfloat16_scores():
    head, scores, samples = head_and_scores()
    assert head.loss_by_feat(scores, samples)['loss_cls'].dtype == \
        torch.float32
    head.average_clips = 'prob'
    predicted = head.predict_by_feat(scores, samples)
    assert predicted[0].pred_score.numpy().dtype == np.float32


@pytest.fixture
def amp(monkeypatch):
    """AmpOptimWrapper, which asserts a GPU."""
    from mmengine.optim import AmpOptimWrapper
    from mmengine.optim.optimizer import amp_optimizer_wrapper as module
    monkeypatch.setattr(module, 'is_cuda_available', lambda: True)
    monkeypatch.setattr(torch.cuda.amp.common, 'amp_definitely_not_available',
                        lambda: False)
    monkeypatch.setattr(
        module, 'GradScaler',
        lambda *args, enabled=True, **kwargs: ('scaler', enabled))
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.)
    return lambda init, **kwargs: init(
        wrapper := object.__new__(AmpOptimWrapper),
        optimizer=optimizer,
        **kwargs) or wrapper


def test_bfloat16_scaler_defect(amp):
    from mmengine.optim import AmpOptimWrapper
    wrapper = amp(original(AmpOptimWrapper.__init__), dtype='bfloat16')
    assert wrapper.loss_scaler == ('scaler', True)


@pytest.mark.parametrize('dtype, scaled', [('bfloat16', False),
                                           (torch.bfloat16, False),
                                           ('float16', True), (None, True)])
def test_bfloat16_is_not_scaled(amp, dtype, scaled):
    from mmengine.optim import AmpOptimWrapper
    wrapper = amp(AmpOptimWrapper.__init__, dtype=dtype)
    assert wrapper.loss_scaler == ('scaler', scaled)


# the learning rate with accumulation


def scaled_lr(tmp_path, scale_lr, **changes):
    cfg = toy_config(
        tmp_path, **{
            'optim_wrapper.accumulative_counts': 6,
            'auto_scale_lr.base_batch_size': 8
        }, **changes)
    runner = Runner.from_cfg(cfg)
    wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    scale_lr(runner, wrapper, runner.auto_scale_lr)
    return wrapper.optimizer.param_groups[-1]['lr']


def test_accumulation_in_auto_scale_lr_defect(tmp_path):
    lr = scaled_lr(tmp_path, original(Runner.scale_lr))
    assert lr == pytest.approx(1e-2 * 4 / 8)


def test_accumulation_counts(tmp_path):
    lr = scaled_lr(tmp_path, Runner.scale_lr)
    assert lr == pytest.approx(1e-2 * 4 * 6 / 8)


@pytest.mark.parametrize('off, factor', [('count_accumulation', 4 / 8),
                                         ('enable', 1)])
def test_other_configs_keep_their_meaning(tmp_path, off, factor):
    lr = scaled_lr(tmp_path, Runner.scale_lr, **{f'auto_scale_lr.{off}': False})
    assert lr == pytest.approx(1e-2 * factor)


def scaled_by_strategy(method, **changes):
    """The rate in a FlexibleRunner's strategy, of 4 x 6 clips a step."""
    wrapper = OptimWrapper(
        torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1e-2),
        accumulative_counts=6)
    strategy = SimpleNamespace(
        world_size=2,
        logger=MMLogger.get_instance('strategy'),
        dispatch_kwargs=dict(train_micro_batch_size_per_gpu=2),
        optim_wrapper=wrapper,
        _auto_scale_lr=dict(
            enable=True, base_batch_size=8, count_accumulation=True,
            **changes))
    stated = dict(strategy._auto_scale_lr)
    method(strategy)
    assert strategy._auto_scale_lr == stated
    return wrapper.optimizer.param_groups[-1]['lr']


def test_accumulation_of_strategies_defect():
    lr = scaled_by_strategy(original(BaseStrategy._scale_lr))
    assert lr == pytest.approx(1e-2 * 4 / 8)


def test_accumulation_counts_in_strategies():
    lr = scaled_by_strategy(BaseStrategy._scale_lr)
    assert lr == pytest.approx(1e-2 * 4 * 6 / 8)


# weights at the start, and the log, of several processes


def test_weights_sent_twice_defect():
    """Whatever everybody has; see `starts` in tests/engines.py."""
    for owner in (Runner, BaseStrategy):
        source = inspect.getsource(original(owner._init_model_weights))
        assert 'broadcast(params)' in source


def test_losses_of_one_process_defect():
    """See test_engines.py."""
    source = inspect.getsource(original(LogProcessor._collect_scalars))
    assert 'reduce' not in source and 'gather' not in source


# ColorJitter


def test_color_jitter_hue_defect():
    code = ('import numpy as np; '
            'from mmaction.datasets.transforms import ColorJitter; '
            'ColorJitter.adjust_hue(np.zeros((1, 1, 3), np.float32), -0.1)')
    assert 'OverflowError' in host(code)


def test_color_jitter_hue():
    img = np.random.default_rng(0).uniform(0, 255, (8, 8, 3))
    img = img.astype(np.float32)
    turned = ColorJitter.adjust_hue(img, -0.3)
    assert turned.dtype == np.float32 and not np.allclose(turned, img, atol=9)
    back = ColorJitter.adjust_hue(turned, 0.3)
    assert np.abs(back - img).mean() < 6
    red = np.array([[[255, 0, 0]]], np.float32)
    green = ColorJitter.adjust_hue(red, 60 / 255)
    assert green.tolist() == [[[0, 255, 0]]]


# buffers of several processes


class WithTables(torch.nn.BatchNorm1d):
    """Running statistics, fixed positions and an index."""

    def __init__(self):
        super().__init__(2)
        self.register_buffer('positions', torch.rand(3), persistent=False)
        self.register_buffer('offset', torch.arange(3), persistent=False)


def averaged(monkeypatch, *names, unwrap=lambda x: x):
    """The buffers that the hook averages, by name."""
    from mmengine.hooks import SyncBuffersHook, sync_buffer_hook
    model, found = WithTables(), []
    monkeypatch.setattr(sync_buffer_hook, 'all_reduce_params',
                        lambda buffers, op: found.extend(buffers))
    for name in names:
        hook = SyncBuffersHook()
        hook.distributed = True
        unwrap(getattr(SyncBuffersHook, name))(hook,
                                               SimpleNamespace(model=model))
    return {
        name
        for name, buffer in model.named_buffers()
        if any(buffer is other for other in found)
    }


MOMENTS = ('after_train_epoch', 'before_val_epoch')


@pytest.mark.parametrize('moment', MOMENTS)
def test_constants_in_sync_buffers_defect(monkeypatch, moment):
    assert 'offset' in averaged(monkeypatch, moment, unwrap=original)


@pytest.mark.parametrize('moment', MOMENTS)
def test_only_statistics_are_averaged(monkeypatch, moment):
    assert averaged(monkeypatch, moment) == {'running_mean', 'running_var'}


# the file with the results of a test


def results_written_by(rank, folder, monkeypatch, dump):
    from mmengine.dist import utils
    from mmengine.hooks import LoggerHook, logger_hook
    monkeypatch.setattr(utils, 'get_rank', lambda group=None: rank)
    monkeypatch.setattr(logger_hook, 'dump', dump)
    hook = LoggerHook()
    hook.json_log_path = 'results.json'
    hook.after_test_epoch(
        SimpleNamespace(
            test_dataloader=[],
            log_dir=str(folder),
            logger=MMLogger.get_current_instance(),
            log_processor=SimpleNamespace(
                get_log_after_epoch=lambda *args, **kwargs: (dict(acc=1), '')
            )))
    return (folder / 'results.json').exists()


def test_results_file_of_every_process_defect(tmp_path, monkeypatch):
    from mmengine.hooks import logger_hook
    assert results_written_by(1, tmp_path, monkeypatch,
                              original(logger_hook.dump))


@pytest.mark.parametrize('rank', [0, 1])
def test_one_process_writes_the_results(tmp_path, monkeypatch, rank):
    from mmengine.hooks import logger_hook
    written = results_written_by(rank, tmp_path, monkeypatch, logger_hook.dump)
    assert written == (rank == 0)


# verb and noun in the inferencer


def named_scores():
    return ActionDataSample().set_pred_score(
        dict(verb=torch.tensor([.2, .8]), noun=torch.tensor([.5, .1, .4])))


def test_named_scores_in_inferencer_defect():
    with pytest.raises(AttributeError):
        original(ActionRecogInferencer.pred2dict)(None, named_scores())


def test_named_scores_in_inferencer():
    result = ActionRecogInferencer.pred2dict(None, named_scores())
    assert result['pred_labels'] == dict(verb=1, noun=0)
    assert result['pred_scores']['verb'] == pytest.approx([.2, .8])
    plain = ActionDataSample().set_pred_score(torch.tensor([.2, .8]))
    plain.set_pred_label(1)
    assert ActionRecogInferencer.pred2dict(None, plain)['pred_labels'] == [1]


def test_names_in_inferencers():
    model = SimpleNamespace(
        dataset_meta=dict(verb_classes=['cut', 'put'],
                          noun_classes=['bread', 'tap', 'hand']))
    inner = SimpleNamespace(model=model)
    best = ActionRecogInferencer.pred2dict(inner, named_scores())['pred_top']
    assert [guess['name'] for guess in best['verb']] == ['put', 'cut']
    assert best['action'][0]['name'] == 'put bread'

    inner.pred2dict = lambda sample: ActionRecogInferencer.pred2dict(
        inner, sample)
    outer = SimpleNamespace(mode='rec', actionrecog_inferencer=inner)
    results = MMAction2Inferencer.postprocess(
        outer, dict(rec=[[named_scores()]]))
    top, = results['predictions'][0]['rec_top']
    assert top['noun'][0] == dict(name='bread', score=pytest.approx(.5))


# names of configs and models

CAST = ('cast-base-p16_clip-videomae-k400-pre_16xb6-dense-16x4x1-70e_'
        'kinetics400-rgb')


def test_fixed_list_of_packages_defect():
    assert compat.apply()['fixed_list_of_packages']


def test_configs_of_this_package(tmp_path):
    from mmengine.hub import get_config
    demo = get_config('cast_mmaction::demo/cast_demo.py')
    (tmp_path / 'mine.py').write_text(
        "_base_ = 'cast_mmaction::demo/cast_demo.py'\n"
        'head = _base_.model.cls_head\n')
    mine = Config.fromfile(str(tmp_path / 'mine.py'))
    # Of what its configs are made is looked up in MMAction2's registries.
    assert mine.model.pop('_scope_') == 'mmaction'
    assert mine.model == demo.model


def test_names_of_one_package_in_inferencer_defect():
    with pytest.raises(ValueError, match='Cannot find model'):
        original(ActionRecogInferencer.__init__)(
            ActionRecogInferencer.__new__(ActionRecogInferencer), CAST)


def test_names_in_inferencer():
    with pytest.raises(ValueError, match=f'{CAST} has no published weights'):
        ActionRecogInferencer(CAST)
    with pytest.raises(FileNotFoundError, match='mine.pth'):
        ActionRecogInferencer(CAST, 'mine.pth')
    with pytest.raises(ValueError, match='Cannot find model'):
        ActionRecogInferencer('cast-b')


# machines without a common disk; tests/test_machines.py has them do without


def test_results_through_a_folder_defect():
    from mmengine.dist import dist
    assert "mkdir_or_exist('.dist_test')" in inspect.getsource(
        dist.collect_results_cpu)


def test_a_checkpoint_on_every_machine_defect():
    source = inspect.getsource(original(Runner.load_checkpoint))
    assert '_load_checkpoint(filename, map_location' in source
    assert 'broadcast' not in source and 'is_main_process' not in source


def test_other_configs_in_one_run_defect():
    source = inspect.getsource(original(Runner.setup_env))
    assert 'all_gather' not in source and 'cfg.dump' not in source
