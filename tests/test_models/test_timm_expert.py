import pytest
import timm
import torch
from mmaction.registry import MODELS

import cast_mmaction  # noqa: F401
from cast_mmaction.checkpoints import CheckpointError
from cast_mmaction.models.expert import build_expert

TINY = dict(embed_dim=48, depth=2, num_heads=4)
PLAIN = 'vit_base_patch16_224.augreg_in21k'
# One model of each kind: plain, CLIP, layer scale, registers, no class token
# (averaged, and read by attention), rotary positions of two kinds.
NAMES = [
    PLAIN, 'vit_base_patch16_clip_quickgelu_224', 'vit_small_patch14_dinov2',
    'vit_small_patch14_reg4_dinov2', 'vit_base_patch16_siglip_224',
    'vit_base_patch16_siglip_gap_224', 'vit_large_patch14_clip_224',
    'eva02_base_patch16_clip_224', 'eva_giant_patch14_224',
    'vit_small_patch16_dinov3'
]


def side(name):
    return 56 if 'patch14' in name else 64


def config(name, **kwargs):
    return dict(
        type='TimmExpert',
        model_name=name,
        img_size=side(name),
        num_frames=kwargs.pop('num_frames', 4),
        model_kwargs=TINY,
        **kwargs)


def twin(name, path):
    """A whole model of timm with weights far from their start, and its file.
    """
    torch.manual_seed(0)
    model = timm.create_model(
        name, num_classes=0, img_size=side(name), **TINY).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=.2)
    torch.save(model.state_dict(), path)
    return model


def tokens(expert, clip):
    x = expert.embed(clip)
    for block in expert.blocks:
        x = block(x)
    return x


@pytest.mark.parametrize('name', NAMES)
def test_equals_timm_frame_by_frame(name, tmp_path):
    path = tmp_path / 'weights.pth'
    model = twin(name, path)
    expert = build_expert(config(name, pretrained=str(path))).eval()
    expert.init_weights()
    clip = torch.randn(2, 3, 4, side(name), side(name))
    x = tokens(expert, clip)
    assert x.shape[1:3] == (2, expert.spec.num_prefix_tokens +
                            expert.spec.num_patches)
    for step, frame in enumerate((1, 3)):  # the last of each pair
        torch.testing.assert_close(
            model.norm(x[:, step]),
            model.forward_features(clip[:, :, frame]),
            rtol=1e-4,
            atol=1e-4)


@pytest.mark.parametrize('name', NAMES)
def test_reads_out_what_timm_does(name, tmp_path):
    path = tmp_path / 'weights.pth'
    model = twin(name, path)
    expert = build_expert(
        config(name, pretrained=str(path), num_frames=2)).eval()
    expert.init_weights()
    clip = torch.randn(2, 3, 2, side(name), side(name))
    expected = model.forward_head(
        model.forward_features(clip[:, :, 1]), pre_logits=True)
    torch.testing.assert_close(
        expert(clip), expected, rtol=1e-4, atol=1e-4)
    short = expert.read_out(expert.read_out_tokens(tokens(expert, clip)))
    torch.testing.assert_close(short, expected, rtol=1e-4, atol=1e-4)


def test_clip_through_timm_equals_our_clip():
    arch = dict(embed_dims=48, num_layers=2, num_heads=4)
    ours = MODELS.build(
        dict(type='CLIPExpert', arch=arch, img_size=64, num_frames=4)).eval()
    theirs = build_expert(
        config('vit_base_patch16_clip_quickgelu_224')).eval()
    assert theirs.spec == ours.spec
    with torch.no_grad():
        for a, b in zip(theirs.blocks, ours.blocks):
            for old, new in (('norm1', 'norm1'), ('attn', 'attn'),
                             ('norm2', 'norm2'), ('mlp', 'mlp')):
                a.block.get_submodule(old).load_state_dict(
                    b.get_submodule(new).state_dict())
        x = ours.embed(torch.randn(2, 3, 4, 64, 64))
        for a, b in zip(theirs.blocks, ours.blocks):
            torch.testing.assert_close(a(x), b(x), rtol=1e-4, atol=1e-5)
            x = b(x)
        theirs.norm.load_state_dict(ours.norm.state_dict())
        torch.testing.assert_close(theirs.read_out(x), ours.read_out(x))


def test_frozen_but_for_the_read_out_norm():
    expert = build_expert(config('vit_base_patch16_siglip_224'))
    expert.freeze()
    trained = {n for n, p in expert.named_parameters() if p.requires_grad}
    assert trained == {'norm.weight', 'norm.bias'}


def test_every_parameter_has_its_place():
    expert = build_expert(config('vit_small_patch14_reg4_dinov2'))
    groups = expert.layer_groups()
    assert len(groups) == 3
    grouped = {
        id(p)
        for group in groups for module in group for p in module.parameters()
    }
    rest = {n for n, p in expert.named_parameters() if id(p) not in grouped}
    assert rest == {'norm.weight', 'norm.bias'}
    assert {'cls_token', 'reg_token', 'pos_embed'} <= set(
        expert.embedding.no_weight_decay)


def test_positions_are_resampled_to_the_frames(tmp_path):
    path = tmp_path / 'weights.pth'
    model = twin(PLAIN, path)
    expert = build_expert(dict(config(PLAIN), img_size=96))
    expert.pretrained = str(path)
    expert.init_weights()
    assert expert.grid == (6, 6)
    torch.testing.assert_close(expert.embedding.cls_token, model.cls_token)


def test_a_wrong_file_is_refused(tmp_path):
    path = tmp_path / 'weights.pth'
    twin('vit_small_patch14_dinov2', path)
    expert = build_expert(config(PLAIN, pretrained=str(path)))
    with pytest.raises(CheckpointError, match=r'weights\.pth.*ls1'):
        expert.init_weights()
    expert.pretrained = str(tmp_path / 'absent.pth')
    with pytest.raises(CheckpointError, match='absent.pth'):
        expert.init_weights()


def test_a_folder_of_the_hub(tmp_path):
    from safetensors.torch import save_file
    model = twin(PLAIN, tmp_path / 'weights.pth')
    (tmp_path / 'config.json').write_text('{"architecture": "vit"}')
    save_file(model.state_dict(), tmp_path / 'model.safetensors')
    expert = build_expert(config(PLAIN, pretrained=str(tmp_path)))
    expert.init_weights()
    torch.testing.assert_close(expert.norm.weight, model.norm.weight)


def test_safetensors(tmp_path):
    from safetensors.torch import save_file
    model = twin(PLAIN, tmp_path / 'weights.pth')
    save_file(model.state_dict(), tmp_path / 'weights.safetensors')
    expert = build_expert(
        config(PLAIN, pretrained=str(tmp_path / 'weights.safetensors')))
    expert.init_weights()
    torch.testing.assert_close(expert.norm.weight, model.norm.weight)


@pytest.mark.parametrize('name, message', [
    ('vit_base_patch16_244', 'vit_base_patch16_224'),
    ('resnet18', 'plain vision transformer'),
    ('vit_base_patch16_rpn_224', 'pre-norm'),
])
def test_what_cannot_be_an_expert(name, message):
    with pytest.raises(ValueError, match=message):
        build_expert(
            dict(type='TimmExpert', model_name=name, img_size=224))


def test_an_unknown_expert_names_the_known():
    with pytest.raises(ValueError, match='CLIPExpert.*TimmExpert'):
        build_expert(dict(type='ClipExpert'))
    with pytest.raises(ValueError, match="'ResNet' is no expert"):
        build_expert(dict(type='ResNet'))
