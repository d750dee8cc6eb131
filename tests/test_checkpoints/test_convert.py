import pytest
import torch
from mmaction.registry import MODELS

from cast_mmaction.checkpoints import CheckpointError, convert, revert
from tests.golden import GoldenCase
from tests.test_checkpoints.layouts import (CLIP_LAYOUTS, SIZES,
                                            VIDEOMAE_LAYOUTS, clip_layouts,
                                            clip_model, host_videomae,
                                            mvd_positions, videomae_layouts)

CAST_CASES = ['cast_small_fused', 'cast_small_verb_noun']


def identical(a, b):
    return a.keys() == b.keys() and all(
        torch.equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize('name', CAST_CASES)
def test_cast_goes_out_and_in_bit_by_bit(shared, name):
    theirs = GoldenCase(shared / 'golden', 'cast_cases', name).state_dict()
    ours = convert(theirs, 'cast')
    assert identical(revert(ours, 'cast'), theirs)
    assert identical(convert(revert(ours, 'cast'), 'cast'), ours)


@pytest.mark.parametrize('name', CAST_CASES)
def test_cast_out_of_a_data_parallel_training(shared, name):
    theirs = GoldenCase(shared / 'golden', 'cast_cases', name).state_dict()
    wrapped = {f'module.{key}': value for key, value in theirs.items()}
    assert identical(convert(wrapped, 'cast'), convert(theirs, 'cast'))


def test_split_biases_own_their_memory(shared):
    """A slice would be saved with all that it is a slice of."""
    theirs = GoldenCase(shared / 'golden', 'cast_cases',
                        CAST_CASES[0]).state_dict()
    bias = revert(convert(theirs, 'cast'), 'cast')['blocks.0.attn.v_bias']
    assert bias.untyped_storage().nbytes() == bias.numel() * 4


def test_the_authors_code_exchanges_in_every_block():
    model = MODELS.build(
        dict(
            type='Recognizer3D',
            backbone=dict(
                type='CAST',
                spatial=dict(type='CLIPExpert', **SIZES),
                temporal=dict(type='VideoMAEExpert', **SIZES),
                exchange_layers=[0]),
            cls_head=dict(type='VerbNounHead', in_channels=32)))
    with pytest.raises(CheckpointError, match='missing: blocks.1.cross_s_down'):
        revert(model.state_dict(), 'cast')


@pytest.mark.parametrize('layout', CLIP_LAYOUTS)
def test_clip_sees_what_open_clip_sees(layout):
    reference = clip_model()
    expert = MODELS.build(
        dict(
            type='CLIPExpert',
            **dict(SIZES, num_frames=1),
            frame_stride=1)).eval()
    expert.load_state_dict(convert(clip_layouts()[layout], 'clip'))
    image = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        actual = expert(image[:, :, None]) @ reference.visual.proj
        torch.testing.assert_close(actual, reference.encode_image(image))


@pytest.mark.parametrize('layout', VIDEOMAE_LAYOUTS)
def test_videomae_sees_what_mmaction_sees(layout):
    reference = host_videomae().backbone
    positions = 'sequence'
    if layout == 'MVD pre-training':
        positions = 'axes'
        reference.pos_embed.copy_(mvd_positions())
    expert = MODELS.build(
        dict(type='VideoMAEExpert', positions=positions, **SIZES)).eval()
    converted = convert(videomae_layouts()[layout], 'videomae')
    if 'norm.weight' not in converted:  # a pre-training has no read-out
        converted['norm.weight'] = reference.fc_norm.weight.detach()
        converted['norm.bias'] = reference.fc_norm.bias.detach()
    expert.load_state_dict(converted)
    clip = torch.randn(2, 3, 4, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(
            expert(clip), reference(clip), rtol=1e-4, atol=1e-4)


def test_mmaction_videomae_scores_alike():
    reference = host_videomae()
    ours = MODELS.build(
        dict(
            type='Recognizer3D',
            backbone=dict(type='VideoMAEExpert', **SIZES),
            cls_head=dict(
                type='TimeSformerHead', num_classes=5, in_channels=32)))
    ours.load_state_dict(convert(reference.state_dict(), 'mmaction'))
    clip = torch.randn(2, 3, 4, 32, 32)
    with torch.no_grad():
        expected = reference.cls_head(reference.backbone(clip))
        actual = ours.eval().cls_head(ours.backbone(clip))
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('scheme', ['space_only', 'divided_space_time'])
def test_mmaction_timesformer(scheme):
    """That the scores are alike is tested with the model."""
    host = MODELS.build(
        dict(
            type='Recognizer3D',
            backbone=dict(
                type='TimeSformer',
                num_frames=4,
                img_size=32,
                patch_size=16,
                embed_dims=32,
                num_heads=2,
                num_transformer_layers=2,
                attention_type=scheme),
            cls_head=dict(
                type='TimeSformerHead', num_classes=5, in_channels=32)))
    weights = host.state_dict()
    assert identical(
        convert(weights, 'mmaction'), convert(weights, 'timesformer'))


def test_unknown_keys_are_named():
    with pytest.raises(CheckpointError, match="'clip': unexpected.*cls_token"):
        convert({'cls_token': torch.ones(1)}, 'clip')


def test_unknown_sources_are_named():
    with pytest.raises(CheckpointError, match="'bert' is unknown.*'?cast"):
        convert({}, 'bert')


def test_one_tensor_under_two_names_is_refused():
    key = 'blocks.0.norm1.weight'
    doubled = {f'encoder.{key}': torch.ones(1), key: torch.ones(1)}
    with pytest.raises(CheckpointError, match='twice'):
        convert(doubled, 'videomae')
