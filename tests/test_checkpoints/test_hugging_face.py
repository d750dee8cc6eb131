"""Models of transformers, through `save_pretrained` and `pretrained`: the
same features; and back."""
import json

import pytest
import torch
from mmaction.registry import MODELS
from safetensors.torch import load_file

from cast_mmaction.checkpoints import CheckpointError, convert
from cast_mmaction.checkpoints.hugging_face import (from_hugging_face,
                                                    recognise)
from cast_mmaction.checkpoints.hugging_face_config import (our_config,
                                                           their_config)
from cast_mmaction.checkpoints.kinds import KINDS
from . import hugging_face_models as theirs_in

ALL = list(theirs_in.MODELS)
# In float64: what differs is then the computation, not its rounding.
CLOSE = dict(rtol=1e-5, atol=1e-5)


def config_of(folder):
    return json.loads((folder / 'config.json').read_text())


def expert_config(folder):
    return our_config(config_of(folder), classifies=False)


def expert(folder, **changes):
    """Our expert for a folder, filled from it."""
    changes = dict(dict(pretrained=str(folder)), **changes)
    built = MODELS.build(dict(expert_config(folder), **changes)).eval()
    built.init_weights()
    return built


def clip_for(module):
    torch.manual_seed(1)
    side = module.img_size
    return torch.randn(
        2, 3, module.num_frames, side, side, dtype=torch.float64)


def tokens(module, clip):
    x = module.embed(clip)
    for block in module.blocks:
        x = block(x)
    return x


def features(name, model, clip):
    """What transformers computes, and the same of ours."""
    frames = clip.transpose(1, 2)
    if name.startswith('CLIP'):
        vision = getattr(model, 'vision_model', model)
        return vision(clip[:, :, 1]).pooler_output, lambda x: x.read_out(
            tokens(x, clip))
    if name.startswith('VideoMAE'):
        inner = getattr(model, 'videomae', model)
        inner.layernorm = None  # single tokens' norm of the pre-training
        out = inner(frames).last_hidden_state
        return out, lambda x: tokens(x, clip).flatten(1, 2)
    if name.startswith('TimeSformer'):
        out = model.timesformer(frames).last_hidden_state[:, 0]
        return out, lambda x: x(clip)
    inner = getattr(model, 'vjepa2', model)
    out = inner(frames, skip_predictor=True).last_hidden_state
    return out, lambda x: x.norm(tokens(x, clip)).flatten(1, 2)


@pytest.mark.parametrize('name', ALL)
def test_the_same_features(name, tmp_path):
    model = theirs_in.save(name, tmp_path)
    changes = {}
    if name.startswith('CLIP'):
        changes = dict(num_frames=2)
    ours = expert(tmp_path, **changes).double()
    with torch.no_grad():
        expected, compute = features(name, model.double(), clip_for(ours))
        torch.testing.assert_close(compute(ours), expected, **CLOSE)


@pytest.mark.parametrize('name', ['VideoMAE classifier', 'TimeSformer',
                                  'V-JEPA 2 classifier'])
def test_the_same_scores(name, tmp_path):
    model = theirs_in.save(name, tmp_path)
    if name.startswith('VideoMAE'):
        model.fc_norm.eps = 1e-6  # as its authors have it
    ours = MODELS.build(our_config(config_of(tmp_path), classifies=True))
    weights = from_hugging_face(load_file(tmp_path / 'model.safetensors'))
    ours.load_state_dict(weights)
    backbone = ours.double().eval().backbone
    clip = clip_for(getattr(backbone, 'expert', backbone))
    with torch.no_grad():
        x = backbone(clip)
        if ours.with_neck:
            x, _ = ours.neck(x)
        scores = model.double()(clip.transpose(1, 2)).logits
        torch.testing.assert_close(
            ours.cls_head(x), scores, check_dtype=False, **CLOSE)


@pytest.mark.parametrize('name', ALL)
def test_shards(name, tmp_path):
    theirs_in.save(name, tmp_path / 'whole')
    theirs_in.save(name, tmp_path / 'shards', max_shard_size='20KB')
    assert len(list((tmp_path / 'shards').glob('*.safetensors'))) > 1
    whole, shards = expert(tmp_path / 'whole'), expert(tmp_path / 'shards')
    for key, value in whole.state_dict().items():
        if not (name.startswith('VideoMAE') and key.startswith('norm.')):
            assert torch.equal(value, shards.state_dict()[key]), key


@pytest.mark.parametrize('name', ALL)
def test_the_file_alone_is_recognised(name, tmp_path):
    theirs_in.save(name, tmp_path)
    file = tmp_path / 'model.safetensors'
    ours = expert(tmp_path, pretrained=str(file))
    weights = load_file(file)
    layout = recognise(weights)
    assert convert(weights, layout.source).keys() == convert(weights,
                                                             'hf').keys()
    assert layout.source == ours.source


@pytest.mark.parametrize('name, kind', [
    ('VideoMAE', 'pre-trained'),
    ('VideoMAE pre-training', 'pre-trained'),
    ('VideoMAE pre-training with a norm', 'pre-trained'),
    ('VideoMAE classifier', 'fine-tuned'),
])
def test_the_kind_of_a_videomae(name, kind, tmp_path):
    theirs_in.save(name, tmp_path)
    expert(tmp_path, pretrained_kind=kind)
    wrong = dict(zip(KINDS, reversed(KINDS)))[kind]
    with pytest.raises(CheckpointError, match=f'{kind} .*starts from {wrong}'):
        expert(tmp_path, pretrained_kind=wrong)


def test_a_head_starts_from_their_classifier(tmp_path):
    model = theirs_in.save('VideoMAE classifier', tmp_path)
    head = MODELS.build(
        dict(
            type='CASTHead',
            in_channels=32,
            num_classes=3,
            pretrained=str(tmp_path)))
    head.init_weights()
    assert torch.equal(head.fc_cls.weight, model.classifier.weight)


@pytest.mark.parametrize('change, said', [
    (lambda x: None, 'parts of blocks.1.attn.qkv.bias are missing'),
    (lambda x: x[:-1], 'blocks.1.attn.qkv.bias have different shapes'),
])
def test_a_part_of_the_attention(change, said):
    weights = theirs_in.make('CLIP vision').state_dict()
    key = next(k for k in weights if k.endswith('layers.1.self_attn.k_proj.'
                                                'bias'))
    part = change(weights.pop(key))
    if part is not None:
        weights[key] = part
    with pytest.raises(CheckpointError, match=said):
        from_hugging_face(weights)


def test_class_names_travel(tmp_path):
    ours = MODELS.build(
        dict(
            type='Recognizer3D',
            backbone=dict(
                type='VideoMAEExpert',
                arch=dict(embed_dims=32, num_layers=1, num_heads=2),
                img_size=32,
                num_frames=4),
            cls_head=dict(type='LinearHead', in_channels=32, num_classes=2)))
    config = their_config(ours, ['cut', 'wash'])
    assert config['id2label'] == {'0': 'cut', '1': 'wash'}
    with pytest.raises(CheckpointError, match='1 names for 2 classes'):
        their_config(ours, ['cut'])


def test_a_model_that_transformers_does_not_have():
    arch = dict(embed_dims=32, num_layers=2, num_heads=2)
    sizes = dict(arch=arch, img_size=32, num_frames=4)
    cast = MODELS.build(
        dict(
            type='Recognizer3D',
            backbone=dict(
                type='CAST',
                spatial=dict(type='CLIPExpert', **sizes),
                temporal=dict(type='VideoMAEExpert', **sizes)),
            cls_head=dict(type='CASTHead', in_channels=32, num_classes=2)))
    with pytest.raises(CheckpointError, match='no CAST; it has videomae'):
        their_config(cast)
