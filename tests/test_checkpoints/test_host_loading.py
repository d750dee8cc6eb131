"""The host's own ways of loading. Tests named ``..._defect`` fail once the
host is mended; then the remedy in compat can go."""
import inspect

import pytest
import torch
from mmaction.apis import init_recognizer
from mmaction.apis.inferencers import ActionRecogInferencer
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.runner import CheckpointLoader, FlexibleRunner, Runner
from safetensors.torch import save_file

from cast_mmaction.checkpoints import CheckpointError
from cast_mmaction.checkpoints.host_loading import load_url
from tests.test_checkpoints.layouts import SIZES
from tests.toy import toy_config

OURS = dict(
    type='Recognizer3D',
    backbone=dict(type='VideoMAEExpert', **SIZES),
    cls_head=dict(type='LinearHead', in_channels=32, num_classes=5),
    data_preprocessor=dict(
        type='ActionDataPreprocessor', format_shape='NCTHW'))
HOST = dict(
    type='Recognizer2D',
    backbone=dict(type='ResNet', depth=18, pretrained=None),
    cls_head=dict(
        type='TSNHead',
        in_channels=512,
        num_classes=5,
        consensus=dict(type='AvgConsensus', dim=1)))
PIPELINE = [
    dict(type='DecordInit'),
    dict(type='SampleFrames', clip_len=4, num_clips=1, test_mode=True),
    dict(type='DecordDecode'),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs')
]


def config(model=OURS) -> Config:
    return Config(
        dict(
            model=model,
            test_pipeline=PIPELINE,
            test_dataloader=dict(dataset=dict(pipeline=PIPELINE))))


def program(victim) -> str:
    return f"__import__('os').mkdir({str(victim)!r})\nmodel = dict(type='x')"


@pytest.fixture
def trained(tmp_path):
    """A training of two epochs, and its first checkpoint changed."""
    cfg = toy_config(tmp_path / 'run', epochs=2, **{
        'default_hooks.checkpoint.trainable_only': False
    })
    Runner.from_cfg(cfg).train()
    path = tmp_path / 'run/epoch_1.pth'

    def resume(change, kind=Runner, **changes):
        content = torch.load(path, weights_only=True)
        change(content)
        torch.save(content, tmp_path / 'changed.pth')
        again = toy_config(tmp_path / 'again', epochs=2, **changes)
        again.resume, again.load_from = True, str(tmp_path / 'changed.pth')
        kind.from_cfg(again).train()

    return resume


@pytest.mark.parametrize('mended', [True, False])
@pytest.mark.parametrize('kind', [Runner, FlexibleRunner])
def test_program_in_checkpoint_defect(trained, tmp_path, monkeypatch, mended,
                                      kind):
    """Both runners run the text under ``config``, unless it is removed."""
    if not mended:
        monkeypatch.setattr(
            CheckpointLoader, 'load_checkpoint',
            staticmethod(inspect.unwrap(CheckpointLoader.load_checkpoint)))
    victim = tmp_path / 'ran'
    changes = {} if kind is Runner else dict(strategy=dict(
        type='SingleDeviceStrategy'))
    trained(lambda c: c['meta'].update(config=program(victim)), kind,
            **changes)
    assert victim.exists() != mended


@pytest.mark.parametrize('change, said', [
    (lambda c: c.pop('meta'), 'cannot be resumed, it lacks epoch'),
    (lambda c: c.update(meta=[]), 'is no checkpoint'),
    (lambda c: c['meta'].update(epoch='x'), 'its epoch is no number'),
    (lambda c: c.update(message_hub={}), 'it lacks log_scalars'),
    (lambda c: c.update(message_hub=dict(log_scalars=7)), 'it lacks runtime_info'),
    (lambda c: c['optimizer'].update(state=3), 'no training can be resumed'),
    (lambda c: c['optimizer'].update(param_groups=[]), 'cannot be resumed'),
    (lambda c: c.update(state_dict=[]), 'is no checkpoint'),
    (lambda c: c['state_dict'].update({'a.b': 'x'}), 'holds no state dict'),
])
def test_what_cannot_be_resumed(trained, change, said):
    with pytest.raises(CheckpointError, match=f'changed.pth.*{said}'):
        trained(change)


def test_resume_in_foreign_words_defect(tmp_path):
    runner = Runner.from_cfg(
        toy_config(tmp_path, without='strict_load'))
    torch.save(dict(state_dict={}), tmp_path / 'x.pth')
    with pytest.raises(KeyError):
        inspect.unwrap(Runner.resume)(runner, str(tmp_path / 'x.pth'))


def test_what_the_net_gives_is_unpickled_defect():
    """mmengine's load_url is this function, called without the argument."""
    fetch = inspect.signature(torch.hub.load_state_dict_from_url)
    assert fetch.parameters['weights_only'].default is False


def test_the_net_gives_data(tmp_path, monkeypatch):
    source, victim = tmp_path / 'source.pth', tmp_path / 'ran'
    torch.save({'a': torch.ones(1)}, source)
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'home'))
    url = source.as_uri()
    assert load_url(url)['a'] == 1
    source.unlink()
    assert load_url(url)['a'] == 1  # kept

    class Attack:

        def __reduce__(self):
            return __import__('os').mkdir, (str(victim), )

    torch.save(Attack(), tmp_path / 'other.pth')
    with pytest.raises(CheckpointError, match='other.pth: refused'):
        load_url((tmp_path / 'other.pth').as_uri())
    assert not victim.exists()


NAME = 'cls_head.fc_cls.weight'
WRONG = {
    'empty': (lambda w: {}, 'holds no state dict'),
    'foreign': (lambda w: MODELS.build(HOST).state_dict(), 'does not fit'),
    'shape': (lambda w: {**w, NAME: torch.ones(7, 32)}, NAME),
    'lacking': (lambda w: {k: w[k] for k in w if k != NAME}, NAME),
    'more': (lambda w: {**w, 'x': torch.ones(1)}, 'unexpected: x'),
}


@pytest.mark.parametrize('which', WRONG)
@pytest.mark.parametrize('wrap', [True, False])
def test_our_models_want_their_weights(tmp_path, which, wrap):
    change, said = WRONG[which]
    weights = change(MODELS.build(OURS).state_dict())
    path = str(tmp_path / 'wrong.pth')
    torch.save(dict(state_dict=weights) if wrap else weights, path)
    with pytest.raises(CheckpointError, match=said):
        init_recognizer(config(), path, 'cpu')
    with pytest.raises(CheckpointError, match=said):
        ActionRecogInferencer(write(tmp_path), path, 'cpu')


def write(tmp_path, model=OURS) -> str:
    path = str(tmp_path / 'config.py')
    config(model).dump(path)
    return path


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_our_models_are_filled(tmp_path, suffix):
    wanted = MODELS.build(OURS).state_dict()
    path = str(tmp_path / f'weights{suffix}')
    if suffix == '.pth':
        torch.save({f'module.{k}': v for k, v in wanted.items()}, path)
    else:
        save_file(wanted, path)
    for model in (init_recognizer(config(), path, 'cpu'),
                  ActionRecogInferencer(write(tmp_path), path, 'cpu').model):
        for name, tensor in model.state_dict().items():
            assert torch.equal(tensor, wanted[name])


def test_any_checkpoint_for_any_model_defect(tmp_path):
    """The host's own models keep its ways: a line is printed."""
    torch.save(dict(state_dict={'x': torch.ones(1)}), tmp_path / 'wrong.pth')
    init_recognizer(config(HOST), str(tmp_path / 'wrong.pth'), 'cpu')
    from mmaction.apis import inference
    load = inspect.unwrap(inference.load_checkpoint)
    load(MODELS.build(OURS), str(tmp_path / 'wrong.pth'))


def carrying(tmp_path, text) -> str:
    path = str(tmp_path / 'carrying.pth')
    content = dict(state_dict=MODELS.build(OURS).state_dict())
    torch.save(dict(content, meta=dict(cfg=text)), path)
    return path


def test_an_inferencer_takes_the_config_of_a_checkpoint(tmp_path):
    path = carrying(tmp_path, config().pretty_text)
    model = ActionRecogInferencer(None, path, 'cpu').model
    assert model.cls_head.num_classes == 5


@pytest.mark.parametrize('change, said', [
    (lambda text: "__import__('os').mkdir('ran')\n" + text, 'no plain data'),
    (lambda text: text.replace('Recognizer3D', 'this'), "'this', which"),
    (lambda text: text.replace('DecordInit', 'mmengine.load'), 'which is no'),
    (lambda text: text.replace('num_classes=5', 'num_classes=6'),
     'does not fit'),
    (lambda text: text.replace('embed_dims=32', 'embed_dims=4096'),
     'larger than its weights'),
    (lambda text: 'x = 1', 'has no model'),
    (lambda text: None, 'holds no config'),
    (lambda text: 7, 'no plain data'),
])
def test_but_does_not_run_it(tmp_path, monkeypatch, change, said):
    monkeypatch.chdir(tmp_path)
    path = carrying(tmp_path, change(config().pretty_text))
    with pytest.raises(CheckpointError, match=said):
        ActionRecogInferencer(None, path, 'cpu')
    assert not (tmp_path / 'ran').exists()
