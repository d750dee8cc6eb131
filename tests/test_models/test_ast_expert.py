import json

import pytest
import torch
from mmaction.registry import MODELS
from safetensors.torch import save_file
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import cast_mmaction  # noqa: F401
from cast_mmaction.checkpoints import CheckpointError, convert
from cast_mmaction.checkpoints.hugging_face import AST, to_hugging_face
from cast_mmaction.checkpoints.hugging_face_config import their_config

ARCH = dict(embed_dims=32, num_layers=2, num_heads=2)
FRAMES = 96  # 12 x 9 patches of 128 mel bins


def build(num_frames=FRAMES, **kwargs):
    return MODELS.build(
        dict(type='ASTExpert', arch=ARCH, num_frames=num_frames, **kwargs))


def hugging_face(num_frames=FRAMES):
    transformers = pytest.importorskip(
        'transformers', reason='transformers is not installed')
    torch.manual_seed(0)
    model = transformers.ASTModel(
        transformers.ASTConfig(
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=128,
            max_length=num_frames)).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=.2)
    return model


def published_names(state_dict):
    """Names in the files on the hub, whatever the module calls them now."""
    renames = [('layers.', 'encoder.layer.'), ('q_proj', 'attention.query'),
               ('k_proj', 'attention.key'), ('v_proj', 'attention.value'),
               ('o_proj', 'output.dense'), ('mlp.fc1', 'intermediate.dense'),
               ('mlp.fc2', 'output.dense')]
    named = {}
    for key, value in state_dict.items():
        for new, old in renames:
            if key.startswith(new) or new in key and not new.endswith('.'):
                key = key.replace(new, old)
        named[f'audio_spectrogram_transformer.{key}'] = value
    return dict(named, **{'classifier.dense.bias': torch.zeros(527)})


def authors_names(expert):
    """An expert's weights as the authors' code saves them."""
    renames = {
        'embedding.class_token': ('cls_token', (1, 1, 32)),
        'embedding.distillation_token': ('dist_token', (1, 1, 32)),
        'embedding.spectrogram_positions': ('pos_embed', (1, -1, 32))
    }
    named = {
        'module.v.head_dist.bias': torch.zeros(1000),
        'module.mlp_head.1.bias': torch.zeros(527)
    }
    for key, value in expert.state_dict().items():
        key, shape = renames.get(key, (key, value.shape))
        key = key.replace('embedding.patch_embed.projection',
                          'patch_embed.proj')
        named[f'module.v.{key}'] = value.reshape(shape)
    return named


def randomize(expert, seed=0):
    torch.manual_seed(seed)
    for parameter in expert.parameters():
        nn.init.normal_(parameter, std=.2)
    return expert.eval()


@pytest.mark.parametrize('names', ['published', 'own'])
def test_features_are_those_of_hugging_face(tmp_path, names):
    theirs = hugging_face()
    state_dict = theirs.state_dict()
    if names == 'published':
        state_dict = published_names(state_dict)
    torch.save(state_dict, tmp_path / 'ast.bin')
    expert = build(pretrained=str(tmp_path / 'ast.bin')).eval()
    expert.init_weights()
    spectrogram = torch.randn(2, 1, FRAMES, 128)
    with torch.no_grad():
        expected = theirs(spectrogram[:, 0]).pooler_output
        actual = expert(spectrogram)
    assert (actual - expected).norm() / expected.norm() < 1e-5


def test_both_ways_through_a_folder(tmp_path):
    theirs = hugging_face()
    theirs.save_pretrained(tmp_path / 'theirs')
    expert = build(pretrained=str(tmp_path / 'theirs')).eval()
    expert.init_weights()
    (tmp_path / 'ours').mkdir()
    (tmp_path / 'ours/config.json').write_text(
        json.dumps(their_config(expert)))
    save_file(
        to_hugging_face(expert.state_dict(), AST),
        tmp_path / 'ours/model.safetensors',
        metadata=dict(format='pt'))
    again = type(theirs).from_pretrained(tmp_path / 'ours')
    for name, value in theirs.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name
    spectrogram = torch.randn(1, 1, FRAMES, 128)
    with torch.no_grad():
        torch.testing.assert_close(
            expert(spectrogram), theirs(spectrogram[:, 0]).pooler_output)
    with pytest.raises(CheckpointError, match="CLIPExpert takes.*'clip'"):
        MODELS.build(
            dict(type='CLIPExpert',
                 pretrained=str(tmp_path / 'theirs'))).init_weights()


@pytest.mark.parametrize('wrapped', [True, False])
def test_the_authors_file_loads_strictly(tmp_path, wrapped):
    source = randomize(build())
    weights = authors_names(source)
    if not wrapped:
        weights = {k[len('module.'):]: v for k, v in weights.items()}
    torch.save(weights, tmp_path / 'ast.pth')
    expert = build(pretrained=str(tmp_path / 'ast.pth'))
    expert.init_weights()
    for name, value in source.state_dict().items():
        assert torch.equal(expert.state_dict()[name], value), name


@pytest.mark.parametrize('frames, columns', [(56, slice(2, 7)),
                                             (66, slice(1, 7))])
def test_positions_are_cropped_around_their_middle(tmp_path, frames, columns):
    source = randomize(build())
    torch.save(authors_names(source), tmp_path / 'ast.pth')
    expert = build(frames, pretrained=str(tmp_path / 'ast.pth'))
    expert.init_weights()
    table = source.embedding.spectrogram_positions
    special, patches = table[:2], table[2:].unflatten(0, (12, 9))
    expected = torch.cat([special, patches[:, columns].flatten(0, 1)])
    assert torch.equal(expert.embedding.spectrogram_positions, expected)


def test_positions_are_interpolated_to_more_frames(tmp_path):
    source = randomize(build())
    with torch.no_grad():  # a ramp in time stays one away from its ends
        table = source.embedding.spectrogram_positions
        table[2:] = torch.arange(9.).repeat(12)[:, None]
    torch.save(authors_names(source), tmp_path / 'ast.pth')
    expert = build(186, pretrained=str(tmp_path / 'ast.pth'))  # 18 columns
    expert.init_weights()
    table = expert.embedding.spectrogram_positions.detach()
    ramp = table[2:].unflatten(0, (12, 18))
    torch.testing.assert_close(
        ramp[5, 1:-1, 0], (torch.arange(18.) / 2 - .25)[1:-1])
    assert torch.equal(table[:2],
                       source.embedding.spectrogram_positions[:2])


def test_other_mel_bins_than_the_files_are_an_error(tmp_path):
    torch.save(authors_names(randomize(build())), tmp_path / 'ast.pth')
    expert = build(num_mel_bins=64, pretrained=str(tmp_path / 'ast.pth'))
    with pytest.raises(CheckpointError, match='ast.pth.*128 mel bins'):
        expert.init_weights()


def test_files_of_other_models_are_named(tmp_path):
    path = tmp_path / 'ast.pth'
    torch.save(authors_names(randomize(build())), path)
    clip = MODELS.build(dict(type='CLIPExpert', pretrained=str(path)))
    with pytest.raises(CheckpointError, match="ast.pth.*source 'clip'"):
        clip.init_weights()
    torch.save({'conv1.weight': torch.zeros(2)}, path)
    with pytest.raises(CheckpointError, match="ast.pth.*source 'ast'"):
        build(pretrained=str(path)).init_weights()
    weights = published_names(hugging_face().state_dict())
    del weights['audio_spectrogram_transformer.encoder.layer.0.attention.'
                'attention.key.weight']
    with pytest.raises(CheckpointError, match='blocks.0.attn.qkv.weight'):
        convert(weights, 'ast')


def test_everything_is_frozen():
    expert = build()
    expert.freeze()
    assert not any(p.requires_grad for p in expert.parameters())


@pytest.mark.parametrize('frames, patches, giga', [(400, 12 * 39, 44),
                                                   (1024, 12 * 101, 131)])
def test_size_and_cost(frames, patches, giga):
    with torch.device('meta'):
        expert = MODELS.build(dict(type='ASTExpert', num_frames=frames))
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            expert(torch.zeros(1, 1, frames, 128))
    assert expert.spec.num_patches == patches
    assert counter.get_total_flops() / 2e9 == pytest.approx(giga, rel=.01)
    count = sum(p.numel() for p in expert.parameters())
    assert count / 1e6 == pytest.approx(85.6, rel=.01)


def test_alone_with_adapters():
    """The audio expert as a backbone: it starts as the frozen one."""
    config = dict(type='ASTExpert', arch=ARCH, num_frames=FRAMES)
    backbone = MODELS.build(dict(type='AdaptedExpert', expert=config)).eval()
    spectrogram = torch.randn(2, 1, FRAMES, 128)
    torch.testing.assert_close(
        backbone(spectrogram), backbone.expert(spectrogram))
    trained = [n for n, p in backbone.named_parameters() if p.requires_grad]
    assert trained and all(name.startswith('layers.') for name in trained)
