import copy
import importlib.util
import logging
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import AmpOptimWrapper
from torch import nn

from cast_mmaction import precision
from cast_mmaction.engine import PrecisionHook
from tests.test_compat import original
from tests.toy import ROOT


@pytest.mark.parametrize('wrapper, expected', [
    (None, 'float32'),
    (dict(type='OptimWrapper'), 'float32'),
    (dict(type='AmpOptimWrapper'), 'float16'),
    (dict(type='AmpOptimWrapper', dtype='bfloat16'), 'bfloat16'),
    (dict(type='AmpOptimWrapper', dtype=torch.bfloat16), 'bfloat16'),
])
@pytest.mark.parametrize('gpu', [True, False])
def test_precision_of_the_training(monkeypatch, wrapper, expected, gpu):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: gpu)
    found = precision.of_config(dict(optim_wrapper=wrapper))
    assert found == (expected if gpu else 'float32')


@pytest.mark.parametrize('content, found', [
    (dict(meta=dict(precision='bfloat16')), 'bfloat16'),
    (dict(meta=dict(precision='exec')), None),
    (dict(meta=dict(precision=['float16'])), None),
    (dict(meta='none'), None),
    (dict(weight=1), None),
])
def test_precision_of_a_checkpoint(content, found):
    assert precision.of_checkpoint(content) == found


@pytest.fixture
def halves(monkeypatch):
    """The CPU's autocast stands in for the GPU's."""
    monkeypatch.setattr(precision, 'HALVES_ON', 'cpu')


def test_runs_in(halves):
    model, x = nn.Linear(2, 2), torch.ones(1, 2)
    precision.run_in(model, 'bfloat16')
    twin = copy.deepcopy(model)
    assert model(x).dtype == twin(x).dtype == torch.bfloat16
    assert not torch.is_autocast_enabled('cpu')
    precision.run_in(model, 'float32')
    assert model(x).dtype == torch.float32
    with precision.running_in(model, 'bfloat16'):
        assert model(x).dtype == torch.bfloat16
    assert model(x).dtype == torch.float32


def test_a_failing_model_leaves_no_autocast(halves):
    model = nn.Linear(2, 2)
    precision.run_in(model, 'bfloat16')
    with pytest.raises(RuntimeError):
        model(torch.ones(1, 3))
    assert not torch.is_autocast_enabled('cpu')


def test_a_cpu_computes_in_float32():
    model = nn.Linear(2, 2)
    precision.run_in(model, 'float16')
    assert model(torch.ones(1, 2)).dtype == torch.float32


@pytest.mark.parametrize('tf32, expected', [(True, 'high'),
                                            (False, 'highest')])
def test_tf32(monkeypatch, caplog, tf32, expected):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda: (8, 0))
    before = (torch.get_float32_matmul_precision(),
              torch.backends.cudnn.allow_tf32)
    try:
        with caplog.at_level(logging.INFO):
            PrecisionHook(tf32).before_run(
                SimpleNamespace(logger=logging.getLogger()))
        assert torch.get_float32_matmul_precision() == expected
        assert torch.backends.cudnn.allow_tf32 == tf32
        assert ('TF32' in caplog.text) == tf32
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


@pytest.mark.parametrize('gpu, capability', [(False, None), (True, (7, 5))])
def test_no_tf32(monkeypatch, gpu, capability):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: gpu)
    monkeypatch.setattr(torch.cuda, 'get_device_capability',
                        lambda: capability)
    before = torch.get_float32_matmul_precision()
    PrecisionHook().before_run(None)
    assert torch.get_float32_matmul_precision() == before


class Anything(nn.Linear):
    """A recognizer of somebody else."""


@pytest.mark.parametrize('meta, expected', [
    (dict(precision='bfloat16'), torch.bfloat16), ({}, torch.float32)])
@pytest.mark.parametrize('how', ['init_recognizer', 'inferencer'])
def test_inference_follows(halves, tmp_path, meta, expected, how):
    from mmaction.apis import inference
    from mmengine.infer import BaseInferencer
    model = Anything(2, 2)
    content = dict(state_dict=model.state_dict(), meta=meta)
    if how == 'init_recognizer':
        torch.save(content, tmp_path / 'a.pth')
        inference.load_checkpoint(model, str(tmp_path / 'a.pth'))
    else:
        BaseInferencer._load_weights_to_model(None, model, content, None)
    assert model(torch.ones(1, 2)).dtype == expected


# resumed in another one


def wrapper(enabled):
    """What float16 trains with, or bfloat16."""
    made = object.__new__(AmpOptimWrapper)
    made.optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.)
    made.base_param_settings = None
    made.loss_scaler = torch.amp.GradScaler(
        'cpu', init_scale=8., enabled=enabled)
    return made


@pytest.mark.parametrize('before', [True, False])
@pytest.mark.parametrize('after', [True, False])
def test_resumes_between_halves(before, after):
    state = wrapper(before).state_dict()
    resumed = wrapper(after)
    resumed.loss_scaler._init_scale = 16.
    resumed.load_state_dict(state)
    scale = resumed.loss_scaler.get_scale()
    assert scale == ((8. if before else 16.) if after else 1.)


def test_resumes_between_halves_defect():
    with pytest.raises(RuntimeError, match='empty'):
        original(AmpOptimWrapper.load_state_dict)(
            wrapper(True), wrapper(False).state_dict())


# --amp


@pytest.fixture
def train(monkeypatch):
    spec = importlib.util.spec_from_file_location('train',
                                                  ROOT / 'tools/train.py')
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)

    def config(*words):
        monkeypatch.setattr('sys.argv', ['train.py', *words])
        return tool.build_config(tool.parse_args())

    return config


DEMO = str(ROOT / 'configs/cast_demo.py')


@pytest.mark.parametrize('words, native, dtype', [
    ([DEMO, '--amp'], True, 'bfloat16'),
    ([DEMO, '--amp'], False, 'float16'),
    (['--amp', DEMO], True, 'bfloat16'),
    ([DEMO, '--amp', 'float16'], True, 'float16'),
    (['--amp', 'bfloat16', DEMO], False, 'bfloat16'),
    ([DEMO, '--amp=float16'], True, 'float16'),
    ([DEMO, '--amp', '--seed', '3'], True, 'bfloat16'),
])
def test_amp(train, monkeypatch, words, native, dtype):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'is_bf16_supported',
                        lambda including_emulation: native)
    wrapper = train(*words).optim_wrapper
    assert wrapper.type == 'AmpOptimWrapper' and wrapper.dtype == dtype


def test_amp_of_a_config_that_chooses(train, tmp_path):
    chosen = tmp_path / 'a.py'
    chosen.write_text(f'_base_ = {DEMO!r}\n'
                      'optim_wrapper = dict(dtype="float16")\n')
    assert train(str(chosen), '--amp').optim_wrapper.dtype == 'float16'
    found = train(str(chosen), '--amp', 'bfloat16').optim_wrapper.dtype
    assert found == 'bfloat16'


def test_without_amp(train):
    assert 'dtype' not in Config.fromfile(DEMO).optim_wrapper
    assert train(DEMO).optim_wrapper.get('type') != 'AmpOptimWrapper'
