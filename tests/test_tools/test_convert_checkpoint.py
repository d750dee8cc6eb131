"""`convert_checkpoint.py` as a user runs it."""
import importlib.util
import json
import os

import pytest
import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from safetensors import safe_open
from safetensors.torch import load_file

from cast_mmaction.checkpoints import revert, trained_only
from cast_mmaction.checkpoints.reading import sha256_of
from tests.conftest import ROOT
from tests.test_checkpoints.layouts import (SIZES, clip_layouts, randomize,
                                            videomae_layouts)

spec = importlib.util.spec_from_file_location(
    'convert_checkpoint', ROOT / 'tools/checkpoints/convert_checkpoint.py')
tool = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tool)


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Runs the tool in a folder; what it prints, or why it stops."""
    monkeypatch.chdir(tmp_path)

    def run(*args):
        try:
            tool.main([str(arg) for arg in args])
        except SystemExit as stop:
            printed = capsys.readouterr()
            return printed.out + printed.err + str(stop.code)
        return capsys.readouterr().out

    return run


@pytest.fixture
def config(tmp_path):
    """A config of a small CAST, with its experts' files beside it."""
    torch.save(clip_layouts()['openai'], tmp_path / 'clip.pt')
    torch.save({'model': videomae_layouts()['pre-training']},
               tmp_path / 'videomae.pth')
    model = dict(
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
    Config(dict(model=model)).dump(str(tmp_path / 'config.py'))
    return model


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def written(tmp_path, name):
    return torch.load(tmp_path / name, weights_only=True)


def test_in(run, config, tmp_path):
    out = run('videomae', 'videomae.pth', 'out.pth', '--config', 'config.py',
              '--check')
    assert 'feature (1, 32): norm' in out
    assert 'missing, may be      2' in out and 'unexpected           0' in out
    content = written(tmp_path, 'out.pth')
    origin = content['meta']['converted']
    assert origin['sha256'] == sha256_of(tmp_path / 'videomae.pth')
    assert origin['converter'] >= 1 and origin['source'] == 'videomae'
    expert = dict(config['backbone']['temporal'], pretrained='out.pth')
    expert = MODELS.build(expert)
    expert.init_weights()
    weights = expert.state_dict()
    assert content['state_dict'].keys() < weights.keys()
    assert all(
        torch.equal(weights[k], v) for k, v in content['state_dict'].items())


def test_out_and_in(run, config, tmp_path):
    model = randomize(MODELS.build(config))
    for block in model.backbone.temporal.blocks:  # as VideoMAE has them
        block.attn.qkv.bias.data[32:64] = 0
    torch.save({'state_dict': model.state_dict()}, tmp_path / 'ours.pth')
    out = run('cast_mmaction', 'ours.pth', 'theirs.pth', '--to', 'cast')
    assert '0 of' in out
    theirs = written(tmp_path, 'theirs.pth')['model']
    assert same(theirs, revert(model.state_dict(), 'cast'))
    run('cast', 'theirs.pth', 'again.pth', '--config', 'config.py')
    again = written(tmp_path, 'again.pth')['state_dict']
    assert same(again, model.state_dict())


def test_out_of_a_checkpoint_without_its_experts(run, config, tmp_path):
    model = MODELS.build(config)
    model.init_weights()
    with trained_only(model):
        torch.save({'state_dict': model.state_dict()}, tmp_path / 'small.pth')
    args = ('cast_mmaction', 'small.pth', 'theirs.pth', '--to', 'cast')
    assert '--config' in run(*args)
    run(*args, '--config', 'config.py')
    theirs = written(tmp_path, 'theirs.pth')['model']
    assert same(theirs, revert(model.state_dict(), 'cast'))


def test_safetensors(run, config, tmp_path):
    run('clip', 'clip.pt', 'out.safetensors', '--config', 'config.py')
    path = tmp_path / 'out.safetensors'
    assert 'norm.weight' in load_file(path)
    with safe_open(path, 'pt') as file:
        assert file.metadata()['sha256'] == sha256_of(tmp_path / 'clip.pt')


def test_positions_are_resized_and_listed(run, config, tmp_path):
    config['backbone']['spatial']['img_size'] = 64
    config['backbone']['temporal']['img_size'] = 64
    Config(dict(model=config)).dump(str(tmp_path / 'finer.py'))
    out = run('clip', 'clip.pt', 'out.pth', '--config', 'finer.py')
    assert 'embedding.positions: 5 -> 17 over space, bicubic' in out


def test_a_dry_run_writes_nothing(run, config, tmp_path):
    before = sorted(os.listdir(tmp_path))
    out = run('clip', 'clip.pt', 'out.pth', '--config', 'config.py',
              '--dry-run')
    assert 'matched' in out and 'nothing written' in out
    assert sorted(os.listdir(tmp_path)) == before


def test_what_is_unexpected_is_refused(run, config, tmp_path):
    weights = dict(clip_layouts()['openai'], surprise=torch.ones(1))
    torch.save(weights, tmp_path / 'clip.pt')
    out = run('clip', 'clip.pt', 'out.pth', '--config', 'config.py')
    assert 'unexpected           1\n    surprise' in out
    assert 'refused: clip.pt' in out
    assert not (tmp_path / 'out.pth').exists()


def test_what_does_not_fit_is_refused(run, config, tmp_path):
    config['backbone']['spatial']['arch'] = dict(
        embed_dims=32, num_layers=3, num_heads=2)
    config['backbone']['temporal']['arch'] = dict(
        embed_dims=32, num_layers=3, num_heads=2)
    Config(dict(model=config)).dump(str(tmp_path / 'deeper.py'))
    out = run('clip', 'clip.pt', 'out.pth', '--config', 'deeper.py')
    assert 'missing             12\n    blocks.2.attn.proj.bias' in out
    assert 'refused: clip.pt' in out
    assert not (tmp_path / 'out.pth').exists()


def test_weights_of_another_source(run, config, tmp_path):
    out = run('clip', 'videomae.pth', 'out.pth', '--config', 'config.py')
    assert 'refused: videomae.pth: these are not weights' in out
    assert 'blocks.0.attn.proj.bias' in out


def test_without_a_config_the_shapes_must_tell(run, config):
    assert 'give the' in run('clip', 'clip.pt', 'out.pth')


def test_sizes_read_off_the_shapes(run, tmp_path):
    expert = MODELS.build(
        dict(
            type='VideoMAEExpert',
            arch=dict(embed_dims=64, num_layers=1, num_heads=1)))
    theirs = {
        f'encoder.{k}'.replace('embedding.patch_embed.projection',
                               'patch_embed.proj'): v
        for k, v in expert.state_dict().items() if not k.startswith('norm.')
    }
    torch.save({'model': theirs}, tmp_path / 'videomae.pth')
    run('videomae', 'videomae.pth', 'out.pth')
    ours = written(tmp_path, 'out.pth')['state_dict']
    assert all(torch.equal(expert.state_dict()[k], v) for k, v in ours.items())


class Attack:

    def __reduce__(self):
        return os.mkdir, ('ran', )


def test_trust_is_off_and_says_what_it_means(run, config, tmp_path):
    torch.save({'state_dict': clip_layouts()['openai'], 'x': Attack()},
               tmp_path / 'clip.pt')
    args = ('clip', 'clip.pt', 'out.pth', '--config', 'config.py')
    assert 'posix.mkdir' in run(*args)
    assert not (tmp_path / 'ran').exists()
    assert 'with all your rights' in run(*args, '--trust')
    assert (tmp_path / 'ran').exists() and (tmp_path / 'out.pth').exists()


@pytest.mark.parametrize('args', [
    ('clip', 'a', 'b', '--to', 'cast'),
    ('cast_mmaction', 'a', 'b'),
    ('cast_mmaction', 'a', 'b', '--to', 'cast', '--check'),
])
def test_sides_that_make_no_sense(run, args):
    assert 'cast_mmaction' in run(*args)


def test_what_is_recorded_is_plain(run, config, tmp_path):
    run('clip', 'clip.pt', 'out.pth', '--config', 'config.py')
    json.dumps(written(tmp_path, 'out.pth')['meta'])


@pytest.mark.parametrize('layout, kind', [('pre-training', 'pre-trained'),
                                          ('fine-tuning', 'fine-tuned')])
def test_the_kind_of_a_videomae_is_said(run, config, tmp_path, layout, kind):
    torch.save(videomae_layouts()[layout], tmp_path / 'videomae.pth')
    printed = run('videomae', 'videomae.pth', 'out.pth', '--config',
                  'config.py')
    assert f'tensors, {kind}, SHA-256' in printed
    assert torch.load(
        tmp_path / 'out.pth')['meta']['converted']['kind'] == kind
