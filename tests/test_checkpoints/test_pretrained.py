"""Expert weights as a user gives them: files through ``init_weights``."""
import open_clip
import pytest
import torch
from mmaction.registry import MODELS

from cast_mmaction.checkpoints import CheckpointError, convert
from tests.test_checkpoints.layouts import (ARCH, CLIP_LAYOUTS, SIZES,
                                            VIDEOMAE_LAYOUTS, clip_layouts,
                                            clip_model, videomae_layouts)


def expert(kind, path, **changes):
    return MODELS.build(
        dict(type=kind, pretrained=str(path), **{
            **SIZES,
            **changes
        }))


def saved(tmp_path, state_dict, name='weights.pth'):
    torch.save(state_dict, tmp_path / name)
    return tmp_path / name


def assert_loaded(module, converted):
    own = module.state_dict()
    for key, value in converted.items():
        assert torch.equal(own[key], value), key


@pytest.mark.parametrize('layout', CLIP_LAYOUTS)
def test_clip_files(tmp_path, layout):
    weights = clip_layouts()[layout]
    clip = expert('CLIPExpert', saved(tmp_path, weights))
    clip.init_weights()
    assert_loaded(clip, convert(weights, 'clip'))


@pytest.mark.parametrize('layout', VIDEOMAE_LAYOUTS)
def test_videomae_files(tmp_path, layout):
    weights = videomae_layouts()[layout]
    positions = 'axes' if layout == 'MVD pre-training' else 'sequence'
    videomae = expert(
        'VideoMAEExpert',
        saved(tmp_path, {'model': weights}),
        positions=positions)
    videomae.init_weights()
    assert_loaded(videomae, convert(weights, 'videomae'))


def test_files_of_this_package(tmp_path):
    trained = MODELS.build(
        dict(
            type='Recognizer3D',
            backbone=dict(type='VideoMAEExpert', **SIZES),
            cls_head=dict(type='VerbNounHead', in_channels=32)))
    path = saved(tmp_path, {'state_dict': trained.state_dict(), 'meta': {}})
    videomae = expert('VideoMAEExpert', path)
    videomae.init_weights()
    assert_loaded(videomae, trained.backbone.state_dict())


@pytest.mark.parametrize('dims, img_size, patch_size, name', [
    (768, 32, 16, 'ViT-B-16'),
    (1024, 224, 14, 'ViT-L-14'),
    (1024, 336, 14, 'ViT-L-14-336'),
])
def test_open_clip_tags(monkeypatch, dims, img_size, patch_size, name):
    """open_clip fetches the weights; here it has none to fetch."""
    model = clip_model()
    asked = {}

    def create_model(name, pretrained, **kwargs):
        asked.update(kwargs, name=name, pretrained=pretrained)
        return model

    monkeypatch.setattr(open_clip, 'create_model', create_model)
    clip = expert('CLIPExpert', 'openai')
    clip.embed_dims, clip.img_size, clip.patch_size = (
        dims, img_size, patch_size)
    clip.init_weights()
    assert asked['name'] == name and asked['force_quick_gelu']
    assert_loaded(clip, convert(model.state_dict(), 'clip'))


def test_names_that_are_neither_file_nor_tag():
    clip = MODELS.build(
        dict(
            type='CLIPExpert',
            arch=dict(ARCH, embed_dims=768),
            pretrained='opneai'))
    with pytest.raises(CheckpointError, match="'opneai' is neither.*openai"):
        clip.init_weights()


def test_an_activation_that_the_tag_was_not_trained_with():
    clip = MODELS.build(
        dict(
            type='CLIPExpert',
            arch=dict(ARCH, embed_dims=768),
            pretrained='laion2b_s34b_b88k'))
    with pytest.raises(CheckpointError, match="act='gelu'"):
        clip.init_weights()


def refusal(module):
    with pytest.raises(CheckpointError, match='weights.pth') as error:
        module.init_weights()
    return str(error.value)


def test_a_videomae_file_given_to_clip(tmp_path):
    path = saved(tmp_path, videomae_layouts()['fine-tuning'])
    message = refusal(expert('CLIPExpert', path))
    assert "'clip'" in message and 'blocks.0.attn.proj.weight' in message


def test_a_clip_file_given_to_videomae(tmp_path):
    path = saved(tmp_path, clip_layouts()['openai'])
    message = refusal(expert('VideoMAEExpert', path))
    assert "'videomae'" in message and 'ln_final.weight' in message


def test_a_missing_block(tmp_path):
    weights = {
        key: value
        for key, value in videomae_layouts()['fine-tuning'].items()
        if 'blocks.1' not in key
    }
    message = refusal(expert('VideoMAEExpert', saved(tmp_path, weights)))
    assert 'missing: blocks.1.attn.proj.bias' in message


def test_a_block_too_many(tmp_path):
    path = saved(tmp_path, clip_layouts()['openai'])
    message = refusal(
        expert('CLIPExpert', path, arch=dict(ARCH, num_layers=1)))
    assert 'unexpected: blocks.1' in message


def test_a_wrong_width(tmp_path):
    path = saved(tmp_path, videomae_layouts()['pre-training'])
    message = refusal(
        expert('VideoMAEExpert', path, arch=dict(ARCH, embed_dims=64)))
    assert 'blocks.0.attn.proj.weight (32, 32) instead of (64, 64)' in message


def test_a_missing_read_out_norm_is_for_videomae_alone(tmp_path):
    weights = clip_layouts()['visual only']
    del weights['ln_post.weight']
    message = refusal(expert('CLIPExpert', saved(tmp_path, weights)))
    assert 'missing: norm.weight' in message


@pytest.mark.parametrize('layout, positions',
                         [('MVD pre-training', 'sequence'),
                          ('MMAction2', 'axes')])
def test_positions_of_another_training(tmp_path, layout, positions):
    path = saved(tmp_path, videomae_layouts()[layout])
    message = refusal(expert('VideoMAEExpert', path, positions=positions))
    assert 'pos_embed' in message and "positions='axes'" in message


def test_positions_that_there_are_not():
    with pytest.raises(ValueError, match="'3d'; use one of.*axes.*sequence"):
        MODELS.build(dict(type='VideoMAEExpert', positions='3d', **SIZES))
    with pytest.raises(ValueError, match='24 is not divisible by 16'):
        MODELS.build(
            dict(
                type='VideoMAEExpert',
                positions='axes',
                arch=dict(ARCH, embed_dims=24)))


def test_a_finer_grid_resizes_the_positions(tmp_path):
    weights = clip_layouts()['openai']
    clip = expert('CLIPExpert', saved(tmp_path, weights), img_size=64)
    clip.init_weights()
    positions = clip.embedding.positions
    assert positions.shape == (17, 32)
    assert torch.equal(positions[0], weights['visual.positional_embedding'][0])


def test_experts_are_bit_equal_after_a_step(tmp_path):
    weights = dict(
        spatial=clip_layouts()['openai'],
        temporal=videomae_layouts()['pre-training'])
    files = {k: saved(tmp_path, v, f'{k}.pth') for k, v in weights.items()}
    kinds = dict(spatial='CLIPExpert', temporal='VideoMAEExpert')
    model = MODELS.build(
        dict(
            type='Recognizer3D',
            backbone=dict(
                type='CAST', **{
                    name: dict(
                        type=kind, pretrained=str(files[name]), **SIZES)
                    for name, kind in kinds.items()
                }),
            cls_head=dict(type='VerbNounHead', in_channels=32)))
    model.init_weights()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1., weight_decay=1.)
    model.train()
    verb, noun = model.cls_head(model.backbone(torch.randn(1, 3, 4, 32, 32)))
    (verb.square().mean() + noun.square().mean()).backward()
    optimizer.step()
    for name, source in (('spatial', 'clip'), ('temporal', 'videomae')):
        converted = convert(weights[name], source)
        for key in ('norm.weight', 'norm.bias'):  # trained
            converted.pop(key, None)
        assert_loaded(getattr(model.backbone, name), converted)
