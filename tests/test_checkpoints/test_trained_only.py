import copy

import pytest
import torch
from mmaction.apis import init_recognizer
from mmaction.registry import MODELS
from mmengine.config import Config

from cast_mmaction.checkpoints import (CheckpointError, complete,
                                       trained_only)
from tests.test_checkpoints.layouts import (SIZES, clip_layouts, randomize,
                                            videomae_layouts)


@pytest.fixture
def config(tmp_path):
    """A small CAST whose experts come from files."""
    torch.save(clip_layouts()['openai'], tmp_path / 'clip.pt')
    torch.save({'model': videomae_layouts()['pre-training']},
               tmp_path / 'videomae.pth')
    return dict(
        type='Recognizer3D',
        backbone=dict(
            type='CAST',
            spatial=dict(
                type='CLIPExpert',
                pretrained=str(tmp_path / 'clip.pt'),
                **SIZES),
            temporal=dict(
                type='VideoMAEExpert',
                pretrained=str(tmp_path / 'videomae.pth'),
                **SIZES)),
        cls_head=dict(type='CASTHead', in_channels=32, num_classes=5))


def trained(config):
    """A model that has trained: all that is not frozen has moved."""
    model = MODELS.build(copy.deepcopy(config))
    model.init_weights()
    moved = torch.nn.ParameterList(
        [p for p in model.parameters() if p.requires_grad])
    randomize(moved, seed=1)
    return model


@pytest.fixture
def model(config):
    return trained(config)


def small(model):
    with trained_only(model):
        return copy.deepcopy(model.state_dict())


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


IDENTITIES = {
    f'backbone.{expert}.frozen_identity'
    for expert in ('spatial', 'temporal')
}


def test_holds_what_is_trained_and_who_the_experts_are(model):
    trained = {n for n, p in model.named_parameters() if p.requires_grad}
    assert small(model).keys() == trained | IDENTITIES
    assert not IDENTITIES & model.state_dict().keys()  # outside as ever


def test_loads_strictly_into_initialised_experts(config, model):
    other = MODELS.build(copy.deepcopy(config))
    other.init_weights()
    other.load_state_dict(small(model))
    assert same(other.state_dict(), model.state_dict())


def test_loads_into_a_model_whose_experts_nobody_has_loaded(config, model):
    other = MODELS.build(copy.deepcopy(config))
    other.load_state_dict(small(model))
    assert same(other.state_dict(), model.state_dict())


def test_init_recognizer(config, model, tmp_path, capsys):
    path = tmp_path / 'epoch_1.pth'
    torch.save({'state_dict': small(model), 'meta': {}}, path)
    other = init_recognizer(
        Config(dict(model=config)), str(path), device='cpu')
    assert same(other.state_dict(), model.state_dict())
    assert 'not match' not in capsys.readouterr().out  # the host prints it


def test_other_experts_are_refused(config, model, tmp_path):
    weights = small(model)
    other = clip_layouts()['openai']
    other['visual.ln_pre.bias'] += 1e-6
    torch.save(other, tmp_path / 'clip.pt')
    with pytest.raises(CheckpointError, match='spatial.*clip.pt') as error:
        MODELS.build(config).load_state_dict(weights)
    assert 'SHA-256' in str(error.value)


def test_an_expert_whose_file_is_gone(config, model, tmp_path):
    weights = small(model)
    (tmp_path / 'videomae.pth').unlink()
    with pytest.raises(CheckpointError, match='videomae.pth: there is no'):
        MODELS.build(config).load_state_dict(weights)


def test_anything_else_that_is_missing_is_missing(config, model):
    weights = small(model)
    del weights['backbone.layers.0.spatial.attn.up.bias']
    with pytest.raises(RuntimeError, match='layers.0.spatial.attn.up.bias'):
        MODELS.build(config).load_state_dict(weights)


def test_completes_to_a_full_checkpoint(config, model):
    other = MODELS.build(config)
    assert same(complete(other, small(model)), model.state_dict())
    assert same(complete(other, model.state_dict()), model.state_dict())


def test_experts_that_nobody_could_find_again_stay(config):
    config['backbone']['spatial']['pretrained'] = None
    model = trained(config)
    weights = small(model)
    assert 'backbone.spatial.blocks.0.mlp.fc1.bias' in weights
    assert 'backbone.temporal.blocks.0.mlp.fc1.bias' not in weights
    other = MODELS.build(config)
    other.load_state_dict(weights)
    assert same(other.state_dict(), model.state_dict())


def test_experts_that_are_not_what_the_config_says_stay(model):
    """As after loading a full checkpoint with others."""
    other = model.state_dict()
    other['backbone.spatial.embedding.norm.bias'] += 1
    model.load_state_dict(other)
    assert 'backbone.spatial.blocks.0.mlp.fc1.bias' in small(model)


@pytest.mark.parametrize('first', [None, 'bfloat16', 'float16'])
@pytest.mark.parametrize('then', [None, 'bfloat16'])
def test_the_type_that_experts_are_held_in_does_not_matter(
        config, first, then):
    config['backbone']['frozen_dtype'] = first
    weights = small(trained(config))
    assert IDENTITIES < weights.keys()
    config['backbone']['frozen_dtype'] = then
    MODELS.build(config).load_state_dict(weights)


def test_copies_of_a_model_load_as_well(config, model):
    other = copy.deepcopy(MODELS.build(config))
    other.load_state_dict(small(model))
    assert same(other.state_dict(), model.state_dict())


@pytest.mark.parametrize('kind', ['AIM', 'EVL', 'STAdapter'])
def test_the_peers_over_frozen_clip(config, kind):
    sizes = dict(SIZES, pretrained=config['backbone']['spatial']['pretrained'])
    if kind == 'EVL':
        sizes['num_decoder_layers'] = 1
    config['backbone'] = dict(type=kind, **sizes)
    config['cls_head']['type'] = 'LinearHead'
    model = trained(config)
    weights = small(model)
    assert 'backbone.expert.frozen_identity' in weights
    assert 'backbone.expert.blocks.0.mlp.fc1.bias' not in weights
    other = MODELS.build(config)
    other.load_state_dict(weights)
    assert same(other.state_dict(), model.state_dict())


def test_size_of_cast_b():
    """45.4 M trained parameters in float32, and two identities."""
    with torch.device('meta'):
        model = MODELS.build(
            dict(
                type='Recognizer3D',
                backbone=dict(
                    type='CAST',
                    spatial=dict(type='CLIPExpert'),
                    temporal=dict(type='VideoMAEExpert')),
                cls_head=dict(
                    type='CASTHead', in_channels=768, num_classes=400)))
    stored = sum(p.numel() * 4 for p in model.parameters() if p.requires_grad)
    assert stored < 190e6
