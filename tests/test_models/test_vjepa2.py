"""V-JEPA 2 as an expert, its probe, and CAST with today's experts. What it
computes is compared with transformers in ../test_checkpoints."""
import pytest
import torch
from mmaction.registry import MODELS

from cast_mmaction.models.attention import attention_weights
from cast_mmaction.models.expert import TokenSpec
from cast_mmaction.models.vjepa2 import RotaryPositions

ARCH = dict(embed_dims=48, num_layers=2, num_heads=4)
SIDE = 32
VJEPA2 = dict(type='VJEPA2Expert', arch=ARCH, img_size=SIDE, num_frames=4)
# VideoMAE V2: the distilled B in small, and g's MLPs of another width.
VIDEOMAE_V2 = dict(VJEPA2, type='VideoMAEExpert')
VIDEOMAE_V2_G = dict(VIDEOMAE_V2, arch=dict(ARCH, mlp_dims=210))


def timm_expert(name):
    return dict(
        type='TimmExpert',
        model_name=name,
        img_size=SIDE,
        num_frames=4,
        model_kwargs=dict(embed_dim=48, depth=2, num_heads=4))


SPATIAL = {
    'CLIP':
    dict(type='CLIPExpert', arch=ARCH, img_size=SIDE, num_frames=4),
    'DINOv3': timm_expert('vit_large_patch16_dinov3.lvd1689m'),
    'SigLIP 2': timm_expert('vit_base_patch16_siglip_224.v2_webli'),
    'EVA-CLIP': timm_expert('eva02_base_patch16_clip_224.merged2b'),
}
TEMPORAL = {
    'V-JEPA 2': VJEPA2,
    'VideoMAE V2': VIDEOMAE_V2,
    'VideoMAE V2-g': VIDEOMAE_V2_G
}
PAIRS = [*((name, 'V-JEPA 2') for name in SPATIAL),
         *(('CLIP', name) for name in TEMPORAL if name != 'V-JEPA 2')]


@pytest.mark.parametrize('spatial, temporal', PAIRS)
def test_cast_of_today_trains(spatial, temporal):
    torch.manual_seed(0)
    model = MODELS.build(
        dict(
            type='Recognizer3D',
            backbone=dict(
                type='CAST',
                spatial=SPATIAL[spatial],
                temporal=TEMPORAL[temporal]),
            cls_head=dict(type='CASTHead', in_channels=48, num_classes=3)))
    before = {k: v.clone() for k, v in model.state_dict().items()}
    trained = {k for k, p in model.named_parameters() if p.requires_grad}
    optimizer = torch.optim.AdamW(
        (p for p in model.parameters() if p.requires_grad), lr=.1)
    model.train()
    for _ in range(3):  # what starts at zero lets the rest learn after it
        optimizer.zero_grad()
        scores = model.cls_head(model.backbone(torch.randn(2, 3, 4, SIDE,
                                                           SIDE)))
        scores[:, 0].sum().backward()
        optimizer.step()
    after = model.state_dict()
    moved = {k for k in before if not torch.equal(before[k], after[k])}
    assert moved <= trained
    # Behind a class token, nothing reads what the last patches have read.
    last = 'backbone.layers.1.exchange.t2s.attn.'
    assert all(key.startswith(last) for key in trained - moved)


def test_a_probe_trains_nothing_but_itself():
    torch.manual_seed(0)
    model = MODELS.build(
        dict(
            type='Recognizer3D',
            backbone=dict(type='ExpertTokens', expert=VJEPA2),
            neck=dict(
                type='AttentivePool', in_channels=48, num_heads=4,
                num_layers=1),
            cls_head=dict(type='LinearHead', in_channels=48, num_classes=3)))
    assert not any(p.requires_grad for p in model.backbone.parameters())
    model.train()
    assert not model.backbone.expert.training
    tokens = model.backbone(torch.randn(2, 3, 4, SIDE, SIDE))
    assert tokens.shape == (2, 2, 4, 48) and not tokens.requires_grad
    x, losses = model.neck(tokens)
    assert x.shape == (2, 48) and losses == {}
    model.cls_head(x).sum().backward()
    assert all(p.grad is not None for p in model.neck.parameters())


def test_a_probe_may_train_its_expert():
    backbone = MODELS.build(
        dict(type='ExpertTokens', expert=VJEPA2, frozen=False))
    backbone(torch.randn(1, 3, 4, SIDE, SIDE)).sum().backward()
    assert all(p.grad is not None for p in backbone.parameters())
    assert len(backbone.layer_groups()) == 3


def test_the_feature_is_the_mean_of_normalised_tokens():
    expert = MODELS.build(VJEPA2).eval()
    tokens = MODELS.build(dict(type='ExpertTokens', expert=VJEPA2)).eval()
    tokens.expert.load_state_dict(expert.state_dict())
    clip = torch.randn(1, 3, 4, SIDE, SIDE)
    torch.testing.assert_close(expert(clip), tokens(clip).mean(dim=(1, 2)))


@pytest.mark.parametrize('arch, config', [
    ('large', dict()),
    ('huge', dict(hidden_size=1280, num_hidden_layers=32)),
    ('giant',
     dict(
         hidden_size=1408,
         num_hidden_layers=40,
         num_attention_heads=22,
         mlp_ratio=48 / 11)),
])
def test_the_published_sizes(arch, config):
    transformers = pytest.importorskip(
        'transformers', reason='it has the published sizes')
    with torch.device('meta'):
        expert = MODELS.build(dict(type='VJEPA2Expert', arch=arch))
        theirs = transformers.VJEPA2Model(
            transformers.VJEPA2Config(**config)).encoder
    assert expert.num_heads == theirs.config.num_attention_heads
    assert sum(p.numel() for p in expert.parameters()) == sum(
        p.numel() for p in theirs.parameters())


def test_rotary_positions():
    """Heads of 20 channels: 6 for each axis, 2 that are not turned."""
    spec = TokenSpec(40, 2, 3, (2, 2))
    rotary = RotaryPositions(spec)
    x = torch.randn(1, 3, 4, 40)
    out = rotary(x)
    assert torch.equal(out[:, 0, 0], x[:, 0, 0])  # the origin
    heads, turned = x.unflatten(-1, (2, 20)), out.unflatten(-1, (2, 20))
    assert torch.equal(heads[..., 18:], turned[..., 18:])
    # One step later, one row lower, one column further: other channels.
    for token, first in (((1, 0), 0), ((0, 2), 6), ((0, 1), 12)):
        changed = (heads != turned)[0][token].all(dim=0)
        assert changed.nonzero().flatten().tolist() == list(
            range(first, first + 6))
    assert rotary(x.bfloat16()).dtype == torch.bfloat16


def test_rotary_positions_tell_places_apart():
    expert = MODELS.build(VJEPA2)
    q, k, _ = expert.blocks[0].attn.project(torch.ones(1, 2, 4, 48))
    weights = attention_weights(q[:, 0], k[:, 0])
    assert weights.std() > 0


def test_too_few_channels_for_three_axes():
    with pytest.raises(ValueError, match='4 channels a head are too few'):
        MODELS.build(dict(VJEPA2, arch=dict(ARCH, num_heads=12)))


def test_any_clip_fits_any_weights():
    small = MODELS.build(VJEPA2)
    large = MODELS.build(dict(VJEPA2, img_size=48, num_frames=6))
    large.load_state_dict(small.state_dict())
    assert large(torch.randn(1, 3, 6, 48, 48)).shape == (1, 48)
