"""Maps are what the model computed, under the right name."""
import pytest
import torch
from mmaction.registry import MODELS

from cast_mmaction.models import attention as kernels
from cast_mmaction.visualization.attention_maps import (directions,
                                                        record_attention)
from cast_mmaction.visualization.relevance import (attention_rollout,
                                                   token_grad_cam)

EXPERT = dict(
    arch=dict(embed_dims=16, num_layers=3, num_heads=2),
    img_size=32,
    num_frames=4)
PAIR = dict(
    spatial=dict(type='CLIPExpert', **EXPERT),
    temporal=dict(type='VideoMAEExpert', **EXPERT))
BACKBONES = {
    'CAST': dict(type='CAST', **PAIR),
    'EVL': dict(type='EVL', num_decoder_layers=2, **EXPERT),
    'AIM': dict(type='AIM', **EXPERT),
    'STAdapter': dict(type='STAdapter', adapter_dims=8, **EXPERT),
    'CLIPExpert': dict(type='CLIPExpert', **EXPERT),
    'SpaceTimeViT': dict(type='SpaceTimeViT', scheme='divided', **EXPERT),
}
CLIP = torch.randn(2, 3, 4, 32, 32, generator=torch.Generator().manual_seed(0))


def build(name='CAST', **options):
    torch.manual_seed(0)
    model = MODELS.build(dict(BACKBONES[name], **options)).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=.2)
    return model


@pytest.mark.parametrize('name', BACKBONES)
def test_maps_are_what_the_kernel_computed(name, monkeypatch):
    model = build(name)
    calls = []

    def fused(q, k, v):
        out = kernels.sdpa_kernel(q, k, v)
        calls.append((v, out))
        return out

    with torch.no_grad(), kernels.use_kernel(fused):
        with record_attention(model) as maps:
            model(CLIP)
    assert maps
    for (layer, direction), one in maps.items():
        torch.testing.assert_close(one.weights.sum(-1),
                                   torch.ones(one.weights.shape[:-1]))
        # One of the fused results is this map on its values.
        assert any(
            v.shape[:2] == one.weights.shape[:2]
            and v.shape[2] == one.weights.shape[3]
            and out.shape[2] == one.weights.shape[2]
            and torch.allclose(one.weights @ v, out, rtol=0, atol=1e-5)
            for v, out in calls), (layer, direction)


def test_recording_changes_nothing():
    model = build()
    with torch.no_grad():
        expected = model(CLIP)
        with record_attention(model):
            recorded = model(CLIP)
    for one, other in zip(recorded, expected):
        assert torch.equal(one, other)


def test_names_and_shapes():
    model = build()
    assert directions(model) == ['spatial', 'temporal', 't2s', 's2t']
    with torch.no_grad(), record_attention(model, [-1], ['t2s', 's2t']) as m:
        model(CLIP)
    assert sorted(m) == [(2, 's2t'), (2, 't2s')]
    t2s = m[2, 't2s']
    assert (t2s.reader, t2s.source, t2s.window) == ('spatial', 'temporal',
                                                    'time')
    read = t2s.read_by(1, 3)
    assert read.shape == (2, 2, 4)  # B, T', N'
    torch.testing.assert_close(read.sum((1, 2)), torch.ones(2))
    assert read[:, :, 3].sum() == read.sum()  # its own place alone
    s2t = m[2, 's2t'].read_by(1, 3, head=1)
    assert s2t[:, 0].sum() == 0  # its own step alone
    torch.testing.assert_close(s2t[:, 1].sum(-1), torch.ones(2))


def test_a_token_reads_what_its_row_says():
    """The map of a patch of VideoMAE's own attention, by hand."""
    model = build('CAST')
    seen = {}
    attn = model.temporal.blocks[1].attn
    handle = attn.register_forward_pre_hook(
        lambda module, args: seen.__setitem__('x', args[0]))
    with torch.no_grad(), record_attention(model, [1], ['temporal']) as maps:
        model(CLIP)
        handle.remove()
        q, k, _ = attn.project(seen['x'])  # (B, T, P, D)
    q = q[0, 1, 2].view(2, 8)  # step 1, patch 2, by head
    k = k[0].flatten(0, 1).view(-1, 2, 8)
    scores = torch.einsum('hd,lhd->hl', q, k) / 8**.5
    torch.testing.assert_close(
        maps[1, 'temporal'].read_by(1, 2, head=1)[0].flatten(),
        scores.softmax(-1)[1])


@pytest.mark.parametrize('options, message', [
    (dict(layers=[3]), 'no layer 3: the model has 0 to 2'),
    (dict(directions=['t2t']), "called 't2t'; it has 'spatial', 'temporal'"),
])
def test_what_is_not_there_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        with record_attention(build(), **options):
            pass


def test_what_cannot_be_asked_is_named():
    model = build()
    with torch.no_grad(), record_attention(model, [0], ['t2s']) as maps:
        model(CLIP)
    with pytest.raises(IndexError, match='no token 4 in step 0'):
        maps[0, 't2s'].read_by(0, 4)
    with pytest.raises(IndexError, match='no head 2'):
        maps[0, 't2s'].read_by(0, 0, head=2)
    with pytest.raises(ValueError, match='compiled'):
        with record_attention(build(compile=True)):
            pass
    with pytest.raises(ValueError, match='Linear is no model'):
        with record_attention(torch.nn.Linear(1, 1)):
            pass


def test_a_model_with_sound():
    model = build(
        'CAST',
        spatial=None,
        temporal=None,
        experts=dict(
            PAIR,
            audio=dict(
                type='ASTExpert',
                arch=EXPERT['arch'],
                num_mel_bins=32,
                num_frames=40)),
        exchanges=[
            dict(type='BCAST', between=('spatial', 'temporal')),
            dict(type='BCAST', between=('spatial', 'audio'), layers=[2])
        ])
    sound = torch.randn(2, 1, 40, 32)
    with torch.no_grad(), record_attention(model, [2]) as maps:
        model(imgs=CLIP, audio=sound)
    assert (2, 'a2s') in maps and (2, 's2a') in maps
    assert maps[2, 'a2s'].source == 'audio'
    read = maps[2, 'a2s'].read_by(0, 0)
    assert read.shape[1] == 1
    torch.testing.assert_close(read.sum((1, 2)), torch.ones(2))
    assert set(attention_rollout(model, dict(
        imgs=CLIP, audio=sound))) == {'spatial', 'temporal', 'audio'}


@pytest.mark.parametrize('name', ['CAST', 'AIM', 'STAdapter', 'CLIPExpert'])
def test_rollout_is_a_share(name):
    for heat in attention_rollout(build(name), CLIP).values():
        assert heat.dim() == 3 and heat.shape[2] == 4
        torch.testing.assert_close(heat.sum((1, 2)), torch.ones(2))


def test_rollout_by_hand():
    model = build('CLIPExpert')
    with torch.no_grad(), record_attention(model, average_heads=True) as maps:
        model(CLIP)
    product = torch.eye(5).expand(4, 5, 5)
    for layer in range(3):
        a = maps[layer, 'self'].weights[:, 0]
        product = (a + torch.eye(5)) / 2 @ product
    expected = product[:, 0, 1:].view(2, 2, 4)
    expected = expected / expected.sum((1, 2), keepdim=True)
    torch.testing.assert_close(
        attention_rollout(model, CLIP)['self'], expected)


@pytest.mark.parametrize('two_labels', [False, True])
def test_grad_cam_is_gradient_times_token(two_labels):
    head = dict(type='VerbNounHead', num_verbs=3, num_nouns=2) if two_labels \
        else dict(type='CASTHead', num_classes=3)
    torch.manual_seed(0)
    model = MODELS.build(
        dict(
            type='Recognizer3D',
            backbone=BACKBONES['CAST'],
            cls_head=dict(in_channels=16, **head))).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=.2)
    target = dict(verb=1, noun=0) if two_labels else 1
    cams = token_grad_cam(model, CLIP, target)
    # By hand, from the gradient that a hook sees.
    seen = {}
    norm = model.backbone.temporal.blocks[-1].norm1
    handle = norm.register_forward_pre_hook(
        lambda module, args: seen.__setitem__('x', args[0]))
    scores = model.cls_head(model.backbone(CLIP))
    handle.remove()
    picked = scores[0][:, 1] + scores[1][:, 0] if two_labels else scores[:, 1]
    gradient, = torch.autograd.grad(picked.sum(), seen['x'])
    expected = (gradient * seen['x']).sum(-1).relu()
    expected = expected / expected.amax((1, 2), keepdim=True)
    torch.testing.assert_close(cams['temporal'], expected.detach())
    for heat in cams.values():
        assert heat.shape == (2, 2, 4) and heat.min() >= 0
        assert heat.max() <= 1
    assert all(p.grad is None for p in model.parameters())
    with pytest.raises(ValueError, match='no class 9'):
        token_grad_cam(model, CLIP, dict(verb=9) if two_labels else 9)
    with pytest.raises(ValueError, match='no block 3'):
        token_grad_cam(model, CLIP, layer=3)
