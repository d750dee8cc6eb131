import re
from pathlib import Path

import pytest
import torch
from mmaction.registry import MODELS
from mmengine.runner import Runner

from cast_mmaction.checkpoints import CheckpointError
from tests.toy import ToyModel, assert_same, toy_config, weights

EXPERT = dict(
    type='VideoMAEExpert',
    arch=dict(embed_dims=8, num_layers=1, num_heads=1),
    img_size=16,
    num_frames=2)
ONLY = {'default_hooks.checkpoint.trainable_only': True}


@MODELS.register_module()
class ToyAdapted(ToyModel):
    """The toy model over a frozen expert, which sees 8 grey pictures."""

    def __init__(self, pretrained: str) -> None:
        super().__init__(width=8)
        self.backbone = MODELS.build(
            dict(
                type='AdaptedExpert',
                expert=dict(EXPERT, pretrained=pretrained)))

    def init_weights(self) -> None:
        super().init_weights()
        self.backbone.init_weights()

    def forward(self, inputs, labels, mode='tensor'):
        if inputs.dim() == 2:  # (B, 8) -> (B, 3, 2, 16, 16)
            inputs = inputs.repeat(1, 192).view(-1, 3, 2, 16, 16)
        return super().forward(inputs, labels, mode)


@pytest.fixture
def train(tmp_path):
    """Trains in a folder of the test, from one file of the expert."""
    expert = tmp_path / 'expert.pth'
    torch.manual_seed(0)
    torch.save(MODELS.build(EXPERT).state_dict(), expert)

    def run(name, **changes):
        runner = Runner.from_cfg(
            toy_config(
                tmp_path / name,
                model=dict(
                    _delete_=True, type='ToyAdapted', pretrained=str(expert)),
                **changes))
        runner.train()
        return runner

    run.expert = expert
    return run


def names(folder):
    return {x.name for x in folder.glob('*.pth')}


def interrupted(train, name, **changes):
    """Two of three epochs; the schedule is that of three."""
    class Killed(Exception):
        pass

    def kill(self, runner):
        if runner.epoch == 2:
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('cast_mmaction.engine.StepSeedHook.before_train_epoch',
                      kill)
        with pytest.raises(Killed):
            train(name, **changes)


def test_what_a_run_leaves(train, tmp_path):
    runner = train('run', **ONLY)
    stored = weights(tmp_path / 'run/epoch_3.pth')
    trained = {n for n, p in runner.model.named_parameters()
               if p.requires_grad}
    assert stored.keys() - trained == {'backbone.expert.frozen_identity'}
    content = torch.load(tmp_path / 'run/epoch_3.pth', weights_only=True)
    assert 'optimizer' not in content
    assert {x for x in names(tmp_path / 'run') if 'state' in x} == {
        'epoch_2.state.pth', 'epoch_3.state.pth'
    }


@pytest.mark.parametrize('first', [True, False])
@pytest.mark.parametrize('then', [True, False])
def test_resumes_from_both_kinds(train, tmp_path, first, then):
    """With the optimizer's state: the weights end where they would have."""
    train('whole', **{'default_hooks.checkpoint.trainable_only': then})
    interrupted(train, 'part',
                **{'default_hooks.checkpoint.trainable_only': first})
    train(
        'part',
        resume=True,
        **{'default_hooks.checkpoint.trainable_only': then})
    assert_same(
        weights(tmp_path / 'whole/epoch_3.pth'),
        weights(tmp_path / 'part/epoch_3.pth'))


def test_a_resume_without_the_state_is_refused(train, tmp_path):
    interrupted(train, 'run', **ONLY)
    for state in (tmp_path / 'run').glob('*.state.pth'):
        state.unlink()
    with pytest.raises(CheckpointError, match='epoch_2.state.pth.*load_from'):
        train('run', resume=True, **ONLY)


def test_other_experts_are_refused(train, tmp_path):
    interrupted(train, 'run', **ONLY)
    torch.save(MODELS.build(EXPERT).state_dict(), train.expert)
    with pytest.raises(CheckpointError, match='backbone.expert.*SHA-256'):
        train('run', resume=True, **ONLY)


def test_tests_without_init_weights(train, tmp_path):
    """The host's test loop initialises nothing."""
    runner = train('run', **ONLY)
    cfg = runner.cfg
    cfg.load_from = str(tmp_path / 'run/epoch_3.pth')
    tested = Runner.from_cfg(cfg)
    expected = runner.val_loop.run()
    assert tested.test() == expected
    assert_same(tested.model.state_dict(), runner.model.state_dict())


def test_a_missing_adapter_is_refused(train, tmp_path):
    train('run', **ONLY)
    path = tmp_path / 'run/epoch_3.pth'
    content = torch.load(path, weights_only=True)
    del content['state_dict']['backbone.layers.0.attn.up.bias']
    torch.save(content, path)
    with pytest.raises(ValueError, match='layers.0.attn.up.bias'):
        train('other', load_from=str(path))


@pytest.mark.slow
def test_cast_b_is_small_and_needs_little_memory(tmp_path):
    """182 MB of weights; nothing is copied that is not stored."""
    experts = {}
    for name, kind in (('spatial', 'CLIPExpert'),
                       ('temporal', 'VideoMAEExpert')):
        path = tmp_path / f'{name}.pth'
        experts[name] = dict(type=kind, pretrained=str(path))
        torch.save(MODELS.build(dict(type=kind)).state_dict(), path)
    model = dict(
        _delete_=True,
        type='Recognizer3D',
        backbone=dict(type='CAST', **experts),
        cls_head=dict(type='CASTHead', in_channels=768, num_classes=400))
    runner = Runner.from_cfg(toy_config(tmp_path, model=model, **ONLY))
    runner.model.backbone.init_weights()
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    for parameter in runner.model.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.zeros_like(parameter)
    runner.optim_wrapper.optimizer.step()
    hook = next(x for x in runner.hooks if hasattr(x, 'trainable_only'))
    assert runner.train_loop
    hook.before_train(runner)
    Path('/proc/self/clear_refs').write_text('5')  # forget the peak so far
    before = memory('VmRSS')
    hook._write(
        runner,
        'epoch_1.pth',
        save_optimizer=True,
        save_param_scheduler=False,
        meta={})
    assert memory('VmHWM') - before < 500e6
    assert (tmp_path / 'epoch_1.pth').stat().st_size < 190e6


def memory(field):
    """A figure of this process's memory, bytes."""
    status = Path('/proc/self/status').read_text()
    return 1024 * int(re.search(rf'{field}:\s+(\d+) kB', status)[1])


def test_random_experts_are_refused(train):
    train.expert.unlink()
    with pytest.raises(ValueError, match='backbone.expert: frozen.*random.*'
                       'allow_random_experts'):
        train('run', **{'model.pretrained': None})
    train('run', **{
        'model.pretrained': None,
        'default_hooks.strict_load.allow_random_experts': True
    })


def test_a_checkpoint_fills_random_experts(train, tmp_path):
    """A full one; it may also be tested without any word."""
    train('run', **{'default_hooks.checkpoint.trainable_only': False})
    changes = {
        'model.pretrained': None,
        'load_from': str(tmp_path / 'run/epoch_3.pth')
    }
    train('more', **changes)


def test_the_hosts_way_to_name_weights(train, tmp_path):
    train('run', **ONLY)
    host = dict(type='Pretrained', checkpoint=str(train.expert))
    expert = MODELS.build(dict(EXPERT, init_cfg=host))
    expert.init_weights()
    assert_same(expert.state_dict(),
                torch.load(train.expert, weights_only=True))
    for wrong in (dict(type='TruncNormal', layer='Linear'), [host],
                  dict(host, prefix='backbone.')):
        with pytest.raises(ValueError, match='init_cfg.*Pretrained'):
            MODELS.build(dict(EXPERT, init_cfg=wrong))
    with pytest.raises(ValueError, match='leave one out'):
        MODELS.build(dict(EXPERT, init_cfg=host, pretrained='a.pth'))


def test_loading_is_reported_once(train, tmp_path):
    train('run', log_level='INFO', **ONLY)
    log, = (tmp_path / 'run').rglob('*.log')
    assert log.read_text().count(f'tensors from {train.expert}') == 1
