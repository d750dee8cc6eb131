import pytest
import torch
from mmaction.registry import MODELS

from cast_mmaction.checkpoints import CheckpointError
from cast_mmaction.checkpoints.infer import infer_model
from tests.test_models import sound

ARCH = dict(embed_dims=64, num_layers=2, num_heads=1)
SIZES = dict(arch=ARCH, img_size=32)
EXPERT = dict(SIZES, num_frames=4)
LINEAR = dict(type='LinearHead', in_channels=64, num_classes=5)


def recognizer(backbone, head):
    return dict(type='Recognizer3D', backbone=backbone, cls_head=head)


def cast(head, **exchange):
    return recognizer(
        dict(
            type='CAST',
            spatial=dict(type='CLIPExpert', **EXPERT),
            temporal=dict(type='VideoMAEExpert', **EXPERT),
            exchange=dict(type='BCAST', **exchange)), head)


@pytest.mark.parametrize('source, config', [
    ('clip', dict(type='CLIPExpert', **EXPERT)),
    ('videomae', dict(type='VideoMAEExpert', **EXPERT)),
    ('cast', cast(dict(type='CASTHead', in_channels=64, num_classes=5))),
    ('cast', cast(dict(type='VerbNounHead', in_channels=64), ratio=.25)),
    ('mmaction', recognizer(dict(type='VideoMAEExpert', **EXPERT), LINEAR)),
    ('mmaction', recognizer(dict(type='SpaceTimeViT', **EXPERT), LINEAR)),
    ('timesformer',
     recognizer(dict(type='SpaceTimeViT', scheme='joint', **EXPERT), LINEAR)),
    ('timesformer',
     recognizer(dict(type='SpaceTimeViT', scheme='space', **SIZES), None)),
    ('aim', recognizer(dict(type='AIM', **EXPERT), LINEAR)),
    ('aim', recognizer(
        dict(
            type='AIM',
            num_temporal_adapters=2,
            ffn_adapter_scale=1.,
            **EXPERT), LINEAR)),
    ('st_adapter', recognizer(
        dict(type='STAdapter', places=('ffn', ), adapter_dims=24, **SIZES),
        LINEAR)),
    ('evl', recognizer(
        dict(type='EVL', num_decoder_layers=1, cross_frame=True, **EXPERT),
        LINEAR)),
])
def test_the_inferred_model_takes_the_weights(source, config):
    weights = MODELS.build(config).state_dict()
    inferred = MODELS.build(infer_model(weights, source))
    inferred.load_state_dict(weights)


@pytest.mark.parametrize('arch, patch_size', [('base', 16), ('huge', 16),
                                              ('giant', 14)])
def test_published_sizes_of_videomae(arch, patch_size):
    config = dict(type='VideoMAEExpert', arch=arch, patch_size=patch_size)
    with torch.device('meta'):
        expert = MODELS.build(config)
        inferred = MODELS.build(infer_model(expert.state_dict(), 'videomae'))
    assert inferred.num_heads == expert.num_heads
    inferred.load_state_dict(expert.state_dict())


@pytest.mark.parametrize('arch, patch_size', [('base', 16), ('large', 14)])
def test_published_evl_without_its_encoder(arch, patch_size):
    config = recognizer(
        dict(type='EVL', arch=arch, patch_size=patch_size),
        dict(LINEAR, in_channels=768 if arch == 'base' else 1024))
    with torch.device('meta'):
        weights = MODELS.build(config).state_dict()
        inferred = MODELS.build(
            infer_model(
                {k: v
                 for k, v in weights.items() if '.expert.' not in k}, 'evl'))
    assert {k: v.shape for k, v in inferred.state_dict().items()
            } == {k: v.shape for k, v in weights.items()}


def test_frames_of_cast_are_those_of_its_positions():
    config = cast(dict(type='CASTHead', in_channels=64, num_classes=5))
    inferred = infer_model(MODELS.build(config).state_dict(), 'cast')
    assert inferred['backbone']['spatial']['num_frames'] == 4


def test_a_width_that_does_not_tell_the_heads():
    config = dict(
        type='CLIPExpert', img_size=32, arch=dict(ARCH, embed_dims=48))
    with pytest.raises(CheckpointError, match='width of 48.*config'):
        infer_model(MODELS.build(config).state_dict(), 'clip')


def test_shapes_that_are_not_there():
    with pytest.raises(CheckpointError, match='patch_embed.*config'):
        infer_model({'norm.weight': torch.ones(64)}, 'clip')


@pytest.mark.parametrize('kind, verb_noun', [('cava', False), ('cava', True),
                                             ('ca2st', False),
                                             ('ca2st', True)])
def test_the_inferred_model_with_sound_takes_the_weights(kind, verb_noun):
    model = sound.recognizer(
        kind,
        verb_noun,
        ARCH,
        audio_layers=[1],
        share_projections=verb_noun and kind == 'ca2st',
        sizes=dict(audio=dict(num_frames=66)))
    weights = model.state_dict()
    inferred = infer_model(weights, kind)
    MODELS.build(inferred).load_state_dict(weights)
    assert inferred['backbone']['experts']['audio']['num_frames'] == 66
    expert = MODELS.build(
        infer_model(model.backbone.audio.state_dict(), 'ast'))
    expert.load_state_dict(model.backbone.audio.state_dict())


@pytest.mark.parametrize('frames', [400, 1024])
def test_published_spectrograms(frames):
    with torch.device('meta'):
        weights = MODELS.build(
            dict(type='ASTExpert', arch=ARCH, num_frames=frames)).state_dict()
    assert infer_model(weights, 'ast')['num_frames'] == frames
