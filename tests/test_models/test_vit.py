import open_clip
import pytest
import torch
from mmaction.models.backbones import VisionTransformer

from cast_mmaction.checkpoints import convert
from cast_mmaction.models import CLIPExpert, VideoMAEExpert
from cast_mmaction.models.vit import PatchEmbed

TINY = dict(embed_dims=24, num_layers=2, num_heads=2)


def test_patch_embed_is_its_convolution():
    torch.manual_seed(0)
    module = PatchEmbed(8, patch_size=4, tubelet_size=2)
    clip = torch.randn(2, 3, 4, 8, 12)
    expected = module.projection(clip)  # (B, D, T, h, w)
    torch.testing.assert_close(
        module(clip),
        expected.flatten(3).permute(0, 2, 3, 1),
        rtol=1e-4,
        atol=1e-5)


@pytest.mark.parametrize('quick', [True, False])
def test_clip_expert_is_open_clips_encoder_on_every_second_frame(quick):
    torch.manual_seed(0)
    reference = open_clip.transformer.VisionTransformer(
        image_size=32,
        patch_size=8,
        width=24,
        layers=2,
        heads=2,
        mlp_ratio=4.,
        output_dim=10,
        act_layer=open_clip.transformer.QuickGELU if quick else torch.nn.GELU)
    expert = CLIPExpert(
        TINY, 32, 8, num_frames=6, act='quick_gelu' if quick else 'gelu')
    expert.load_state_dict(convert(reference.state_dict(), 'clip'))
    clip = torch.randn(2, 3, 6, 32, 32)
    reference.proj = None
    frames = [reference(clip[:, :, i]) for i in (1, 3, 5)]
    for block in expert.blocks:
        assert block.attn.window == 'space'
    x = expert.embed(clip)
    for block in expert.blocks:
        x = block(x)
    torch.testing.assert_close(
        expert.norm(x[:, :, 0]), torch.stack(frames, 1), rtol=1e-4, atol=1e-5)


def test_videomae_expert_is_the_hosts_videomae():
    torch.manual_seed(0)
    reference = VisionTransformer(
        img_size=32,
        patch_size=8,
        embed_dims=24,
        depth=2,
        num_heads=2,
        num_frames=6,
        norm_cfg=dict(type='LN', eps=1e-6))
    for parameter in reference.parameters():
        torch.nn.init.normal_(parameter, std=.3)
    expert = VideoMAEExpert(TINY, 32, 8, num_frames=6)
    state_dict = {f'backbone.{k}': v for k, v in
                  reference.state_dict().items()}
    expert.load_state_dict(convert(state_dict, 'videomae'))
    clip = torch.randn(2, 3, 6, 32, 32)
    torch.testing.assert_close(
        expert(clip), reference(clip), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('cls', [CLIPExpert, VideoMAEExpert])
def test_bad_sizes_are_named(cls):
    with pytest.raises(ValueError, match='img_size=33 is not a multiple'):
        cls(TINY, img_size=33, patch_size=8)
    with pytest.raises(ValueError, match='num_frames=5'):
        cls(TINY, num_frames=5)
    with pytest.raises(ValueError, match="unknown arch 'tall'"):
        cls('tall')
    with pytest.raises(ValueError, match='exactly embed_dims'):
        cls(dict(embed_dims=8))
    expert = cls(TINY, 32, 8, num_frames=4)
    with pytest.raises(ValueError, match=r'takes clips of shape \(B, 3, 4'):
        expert(torch.zeros(1, 3, 4, 32, 40))


def test_freezing_spares_the_read_out_norm():
    expert = CLIPExpert(TINY, 32, 8, num_frames=4)
    expert.freeze()
    trained = {n for n, p in expert.named_parameters() if p.requires_grad}
    assert trained == {'norm.weight', 'norm.bias'}
