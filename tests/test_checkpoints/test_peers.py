"""What published files of the peers have that the golden cases have not."""
import pytest
import torch
from mmaction.registry import MODELS

from cast_mmaction.checkpoints import CheckpointError, convert
from tests.golden import GoldenCase
from tests.test_models.peers import TINY


@pytest.fixture
def weights(shared):
    """Weights of a golden case, in the names of the reference."""

    def load(name):
        return GoldenCase(shared / 'golden', 'peer_cases', name).state_dict()

    return load


def test_published_evl_has_a_decoder_only(weights):
    full = weights('evl_small')
    published = {f'module.{k}': v for k, v in full.items()
                 if k.startswith(('decoder.', 'proj.'))}
    converted = convert(published, 'evl')
    expected = convert(full, 'evl')
    assert converted.keys() == {
        k for k in expected if not k.startswith('backbone.expert.')
    }
    assert all(torch.equal(v, expected[k]) for k, v in converted.items())


def test_evl_without_cross_attention_is_a_model_without(weights):
    published = {k: v for k, v in weights('evl_small').items()
                 if 'cross_attention' not in k}
    arch = dict(embed_dims=48, num_layers=5, num_heads=4)
    model = MODELS.build(
        dict(
            type='Recognizer3D',
            backbone=dict(
                type='EVL', arch=arch, num_frames=8, num_decoder_layers=3),
            cls_head=dict(type='LinearHead', in_channels=48, num_classes=10)))
    model.load_state_dict(convert(published, 'evl'))


def test_evl_patch_bias_is_in_the_positions(weights):
    theirs = weights('evl_small')
    before = theirs['backbone.pos_embed'].clone()
    positions = convert(theirs, 'evl')['backbone.expert.embedding.positions']
    bias = theirs['backbone.patch_embed.proj.bias']
    assert torch.equal(positions[0], before[0])
    torch.testing.assert_close(positions[1:] - before[1:],
                               bias.expand(196, -1))
    assert torch.equal(theirs['backbone.pos_embed'], before)  # not touched


def test_aim_of_mmaction_has_prefixes_and_a_classifier(weights):
    bare = weights('aim_small')
    theirs = {f'backbone.{k}': v for k, v in bare.items()}
    theirs['cls_head.fc_cls.weight'] = torch.zeros(5, 48)
    converted = convert(theirs, 'aim')
    expected = convert(bare, 'aim')
    assert converted.keys() - expected.keys() == {'cls_head.fc_cls.weight'}
    assert all(torch.equal(converted[k], v) for k, v in expected.items())


def test_frozen_weights_of_st_adapter_are_halves(weights):
    for key, value in convert(weights('st_adapter_small'),
                              'st_adapter').items():
        half = torch.equal(value, value.half().float())
        assert half or '.expert.' not in key, key
        assert value.dtype == torch.float32


@pytest.mark.parametrize('source', ['aim', 'evl', 'st_adapter', 'timesformer'])
def test_other_weights_are_refused(source):
    with pytest.raises(CheckpointError, match=f'{source}.*nonsense.weight'):
        convert({'nonsense.weight': torch.zeros(1)}, source)


def test_timesformer_s_positions_in_time_are_resized(tmp_path):
    def vit(frames, **options):
        return MODELS.build(
            dict(
                type='SpaceTimeViT',
                arch=TINY,
                img_size=32,
                num_frames=frames,
                **options))

    source = vit(4)
    torch.nn.init.normal_(source.embedding.time_positions)
    torch.save(source.state_dict(), tmp_path / 'four.pth')
    model = vit(8, pretrained=str(tmp_path / 'four.pth'))
    model.init_weights()
    old, new = (m.embedding.time_positions for m in (source, model))
    assert new.shape == (8, 16)
    torch.testing.assert_close(new[0], old[0])
    torch.testing.assert_close(new[-1], old[-1])
