import pytest
import torch
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch import nn

from cast_mmaction.engine import LayerDecayOptimWrapperConstructor
from tests.toy import toy_config


class Block(nn.Module):
    no_weight_decay = ('positions', )

    def __init__(self, frozen=False):
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.norm = nn.LayerNorm((2, 2))
        self.positions = nn.Parameter(torch.zeros(3, 4))
        self.linear.requires_grad_(not frozen)


class Backbone(nn.Module):

    def __init__(self):
        super().__init__()
        self.embedding = nn.Linear(4, 4)
        self.blocks = nn.ModuleList([Block(), Block(frozen=True)])
        self.read_out = nn.Linear(4, 4, bias=False)

    def layer_groups(self):
        return [[self.embedding]] + [[x] for x in self.blocks]


class Model(nn.Module):

    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone
        self.cls_head = nn.Linear(4, 2)


def build(model, **paramwise):
    cfg = dict(
        type='OptimWrapper',
        accumulative_counts=2,
        optimizer=dict(type='AdamW', lr=1., weight_decay=.05))
    return LayerDecayOptimWrapperConstructor(cfg, paramwise)(model)


def test_layers_and_decay():
    model = Model(Backbone())
    wrapper = build(model, layer_decay_rate=.5)
    assert type(wrapper) is OptimWrapper
    found = {}
    for group in wrapper.optimizer.param_groups:
        for parameter in group['params']:
            found[parameter] = (group['lr'], group['weight_decay'])
    names = {
        name: found[x]
        for name, x in model.named_parameters() if x in found
    }
    # two blocks: embedding 0, blocks 1 and 2, the rest 3
    assert names == {
        'backbone.embedding.weight': (.125, .05),
        'backbone.embedding.bias': (.125, 0),
        'backbone.blocks.0.linear.weight': (.25, .05),
        'backbone.blocks.0.linear.bias': (.25, 0),
        'backbone.blocks.0.norm.weight': (.25, 0),
        'backbone.blocks.0.norm.bias': (.25, 0),
        'backbone.blocks.0.positions': (.25, 0),
        'backbone.blocks.1.norm.weight': (.5, 0),
        'backbone.blocks.1.norm.bias': (.5, 0),
        'backbone.blocks.1.positions': (.5, 0),
        'backbone.read_out.weight': (1., .05),
        'cls_head.weight': (1., .05),
        'cls_head.bias': (1., 0),
    }
    assert len(wrapper.optimizer.param_groups) == 7
    assert len({x['name'] for x in wrapper.optimizer.param_groups}) == 7


def test_frozen_is_left_out():
    model = Model(Backbone())
    wrapper = build(model)
    held = {x for g in wrapper.optimizer.param_groups for x in g['params']}
    assert held == {x for x in model.parameters() if x.requires_grad}


def test_any_backbone_of_the_host():
    wrapper = build(Model(nn.Conv3d(3, 4, 3)), layer_decay_rate=.75)
    assert [(x['lr'], x['weight_decay'])
            for x in wrapper.optimizer.param_groups] == [(1., 0), (1., .05)]


def test_timm_names_what_must_not_decay_in_a_method():
    model = Model(nn.Linear(4, 4, bias=False))
    model.backbone.no_weight_decay = lambda: {'weight'}
    sizes = {
        x['weight_decay']: len(x['params'])
        for x in build(model).optimizer.param_groups
    }
    assert sizes == {0.: 2, .05: 1}


@pytest.mark.parametrize('undecayed, kept', [
    ([], set()),
    (['norms'], {'norm.weight', 'norm.bias'}),
    (['named'], {'positions'}),
    (['norms', 'vectors', 'named'],
     {'norm.weight', 'norm.bias', 'positions', 'linear.bias'}),
])
def test_what_is_not_decayed_can_be_chosen(undecayed, kept):
    model = Model(Backbone())
    groups = build(model, undecayed=undecayed).optimizer.param_groups
    free = {x for g in groups if not g['weight_decay'] for x in g['params']}
    start = 'backbone.blocks.0.'
    assert kept == {
        name[len(start):]
        for name, x in model.named_parameters()
        if name.startswith(start) and x in free
    }


def test_the_backbone_can_learn_more_slowly():
    model = Model(Backbone())
    groups = build(model, backbone_lr_mult=.1).optimizer.param_groups
    rates = {x: g['lr'] for g in groups for x in g['params']}
    assert {
        name: rates[x]
        for name, x in model.named_parameters()
        if x in rates and not name.endswith('bias')
        and 'block' not in name
    } == {
        'backbone.embedding.weight': .1,
        'backbone.read_out.weight': .1,
        'cls_head.weight': 1.
    }


def test_unknown_kind():
    with pytest.raises(ValueError, match='biases.*norms, vectors, named'):
        build(Model(Backbone()), undecayed=['biases'])


def test_unknown_key():
    with pytest.raises(ValueError, match='decay_rate.*layer_decay_rate'):
        build(Model(Backbone()), decay_rate=.5)


def test_nothing_to_train():
    with pytest.raises(ValueError, match='no parameter to train'):
        build(Model(Backbone()).requires_grad_(False))


@pytest.mark.parametrize('gpu, given, fused', [
    (False, {}, None),
    (True, {}, True),
    (True, dict(fused=False), False),
    (True, dict(foreach=True), None),
    (True, dict(type='RMSprop'), 'absent'),
])
def test_fused_on_a_gpu(monkeypatch, gpu, given, fused):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: gpu)
    cfg = dict(optimizer=dict(dict(type='AdamW', lr=1.), **given))
    wrapper = LayerDecayOptimWrapperConstructor(cfg)(nn.Linear(2, 2))
    assert wrapper.optimizer.param_groups[0].get('fused', 'absent') == fused


@pytest.mark.parametrize('before, after', [(True, None), (None, True)])
def test_resumed_on_another_machine(before, after):
    """From a GPU to a CPU and back: the moments stay, the kernels do not."""
    wrappers = []
    for fused in (before, after):
        model = nn.Linear(2, 2)
        optimizer = dict(type='AdamW', lr=1., fused=fused)
        wrappers.append(
            LayerDecayOptimWrapperConstructor(dict(optimizer=optimizer))(model))
        model(torch.ones(1, 2)).sum().backward()
    wrappers[0].step()
    wrappers[1].load_state_dict(wrappers[0].state_dict())
    assert wrappers[1].optimizer.param_groups[0]['fused'] == after
    wrappers[1].step()
    assert {int(x['step']) for x in wrappers[1].optimizer.state.values()} == {2}


@pytest.mark.skipif(torch.cuda.is_available(), reason='about CPU machines')
def test_mixed_precision_is_off_without_a_gpu():
    cfg = dict(
        type='AmpOptimWrapper',
        dtype='bfloat16',
        loss_scale='dynamic',
        optimizer=dict(type='SGD', lr=1.))
    wrapper = LayerDecayOptimWrapperConstructor(cfg)(nn.Linear(2, 2))
    assert type(wrapper) is OptimWrapper


@pytest.mark.parametrize('processes, batch, accumulation, lr', [
    (16, 6, 6, 2.25e-3),
    (16, 6, 4, 1.5e-3),
    (1, 6, 96, 2.25e-3),
])
def test_lr_of_the_published_recipes(tmp_path, monkeypatch, processes, batch,
                                     accumulation, lr):
    cfg = toy_config(
        tmp_path, batch=batch, **{
            'optim_wrapper.optimizer.lr': 1e-3,
            'optim_wrapper.accumulative_counts': accumulation,
            'auto_scale_lr.base_batch_size': 256
        })
    runner = Runner.from_cfg(cfg)
    monkeypatch.setattr(runner, '_world_size', processes)
    wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    runner.scale_lr(wrapper, runner.auto_scale_lr)
    assert wrapper.optimizer.param_groups[-1]['lr'] == pytest.approx(lr)
    assert wrapper.get_lr()['base_lr'] == [pytest.approx(lr)]
