"""`convert_checkpoint.py` as a user runs it."""
import json
import os

import pytest
import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from safetensors import safe_open
from safetensors.torch import load_file

from cast_mmaction import from_pretrained, predict
from cast_mmaction.checkpoints import revert, trained_only
from cast_mmaction.checkpoints.hugging_face_config import our_config
from cast_mmaction.checkpoints.reading import sha256_of
from tests.golden import GoldenCase
from tests.test_checkpoints.layouts import (SIZES, clip_layouts, randomize,
                                            videomae_layouts)
from tests.test_models import sound
from tests.toy import load_tool

tool = load_tool('checkpoints/convert_checkpoint')


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


@pytest.fixture
def theirs():
    """The small models of transformers."""
    pytest.importorskip(
        'transformers', reason='its models are what is converted')
    from tests.test_checkpoints import hugging_face_models
    return hugging_face_models


CLASSIFIERS = ['VideoMAE classifier', 'TimeSformer', 'V-JEPA 2 classifier']


@pytest.mark.parametrize(
    'name', [*CLASSIFIERS, 'VideoMAE', 'CLIP', 'CLIP vision', 'V-JEPA 2'])
def test_transformers_in_and_out(run, theirs, tmp_path, name):
    """What is written opens there, nothing missing or left over, and is what
    was read."""
    classifies = name in CLASSIFIERS
    model = theirs.save(name, tmp_path / 'theirs')
    out = run('hf', 'theirs', 'ours.pth', '--check')
    assert 'unexpected           0' in out and 'wrote ours.pth' in out
    content = written(tmp_path, 'ours.pth')
    names = content['meta'].get('dataset_meta')
    assert names == (dict(classes=['cut', 'open', 'wash'])
                     if classifies else None)
    config = json.loads((tmp_path / 'theirs/config.json').read_text())
    ours = our_config(config, classifies)
    Config(dict(model=ours)).dump(str(tmp_path / 'ours.py'))
    (tmp_path / 'classes.txt').write_text('cut\nopen\nwash\n')
    weights = tmp_path / 'ours.pth'
    if name == 'VideoMAE':  # which has no read-out norm
        expert = MODELS.build(ours)
        expert.load_state_dict(content['state_dict'], strict=False)
        torch.save(expert.state_dict(), weights)
    options = ['--classes', 'classes.txt'] if classifies else []
    run('cast_mmaction', 'ours.pth', 'back', '--to', 'hf', '--config',
        'ours.py', *options)
    if name == 'CLIP':  # there is no text encoder here
        model = model.vision_model
    again, info = type(model).from_pretrained(
        tmp_path / 'back', output_loading_info=True)
    predictor = {k for k in info['missing_keys'] if 'predictor.' in k}
    assert not info['unexpected_keys']
    assert info['missing_keys'] <= predictor
    assert not classifies or again.config.id2label[2] == 'wash'
    for key, value in again.state_dict().items():
        if 'predictor.' not in key:
            assert torch.equal(value, model.state_dict()[key]), key


def test_a_classifier_is_ready_with_the_names_of_its_classes(
        theirs, tmp_path):
    model = theirs.save('V-JEPA 2 classifier', tmp_path)
    ours = from_pretrained(tmp_path)
    assert ours.dataset_meta == dict(classes=['cut', 'open', 'wash'])
    clip = torch.randn(1, 3, 6, 32, 32)
    x, _ = ours.neck(ours.backbone(clip))
    torch.testing.assert_close(
        ours.cls_head(x), model(clip.transpose(1, 2)).logits,
        rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('name', CLASSIFIERS)
def test_a_classifier_names_what_it_sees(theirs, tmp_path, shared, name):
    theirs.save(name, tmp_path)
    video = str(shared / 'clips/arm_wrestling.mp4')
    answer = next(predict(from_pretrained(tmp_path), video))
    assert {guess.name for guess in answer.top['label']} == {
        'cut', 'open', 'wash'}


def test_a_config_of_a_larger_model_is_refused(theirs, tmp_path):
    theirs.save('V-JEPA 2 classifier', tmp_path)
    config = json.loads((tmp_path / 'config.json').read_text())
    (tmp_path / 'config.json').write_text(
        json.dumps(dict(config, num_hidden_layers=10**6)))
    with pytest.raises(ValueError, match='refused, its config'):
        from_pretrained(tmp_path)


def test_an_expert_is_no_classifier(theirs, tmp_path):
    theirs.save('V-JEPA 2', tmp_path)
    with pytest.raises(ValueError, match='has no classifier'):
        from_pretrained(tmp_path)


@pytest.mark.parametrize('source', ['hf', 'videomae'])
def test_transformers_for_an_expert_of_a_config(run, theirs, config, tmp_path,
                                                source):
    theirs.save('VideoMAE classifier', tmp_path / 'theirs')
    out = run(source, 'theirs', 'out.pth', '--config', 'config.py')
    assert 'wrote out.pth' in out
    expert = MODELS.build(
        dict(config['backbone']['temporal'], pretrained='out.pth'))
    expert.init_weights()


def test_a_lone_file_of_transformers_needs_a_config(run, theirs, tmp_path):
    theirs.save('V-JEPA 2', tmp_path / 'theirs')
    (tmp_path / 'theirs/model.safetensors').rename(
        tmp_path / 'lone.safetensors')
    assert 'no config.json beside it' in run('hf', 'lone.safetensors',
                                             'out.pth')


def test_cast_has_no_place_in_transformers(run, config, tmp_path):
    torch.save(MODELS.build(config).state_dict(), tmp_path / 'ours.pth')
    out = run('cast_mmaction', 'ours.pth', 'back', '--to', 'hf', '--config',
              'config.py')
    assert 'transformers has no CAST' in out
    assert not (tmp_path / 'back').exists()


def test_to_transformers_needs_a_config(run):
    assert '--to hf needs --config' in run('cast_mmaction', 'a', 'b', '--to',
                                           'hf')


def test_models_with_sound(run, shared, tmp_path):
    case = GoldenCase(shared / 'golden', 'sound_cases', 'cava_small_fused')
    torch.save(case.state_dict(), tmp_path / 'cava.pth')
    arch = dict(embed_dims=48, num_layers=3, num_heads=4)
    model = dict(
        type='MMRecognizer3D',
        backbone=sound.backbone_config(
            'cava',
            arch,
            sizes=dict(
                img_size=224, num_frames=8, audio=dict(num_frames=64))),
        cls_head=dict(type='CAVAHead', in_channels=48, num_classes=10))
    Config(dict(model=model)).dump(str(tmp_path / 'sound.py'))
    out = run('cava', 'cava.pth', 'out.pth', '--config', 'sound.py',
              '--check')
    assert 'feature (1, 48)' in out
    converted = written(tmp_path, 'out.pth')['state_dict']
    MODELS.build(model).load_state_dict(converted)
    out = run('ast', 'cava.pth', 'ast.pth', '--config', 'sound.py')
    assert "not weights of the source 'ast'" in out
