"""Folders and addresses of the hub that cannot be used: why, in one line."""
import json
import os

import pytest
import torch
from huggingface_hub import constants, errors
from mmaction.registry import MODELS
from safetensors.torch import save_file

from cast_mmaction.checkpoints import CheckpointError
from cast_mmaction.checkpoints.hugging_face_files import read_repository
from .layouts import randomize, videomae_layouts

SIZES = dict(
    arch=dict(embed_dims=32, num_layers=1, num_heads=2),
    img_size=32,
    num_frames=4)
CONFIG = dict(
    model_type='clip_vision_model',
    hidden_size=32,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=128,
    image_size=32,
    patch_size=16,
    hidden_act='quick_gelu')
COMMIT = 'a' * 40


def write(folder, shards=1, **config):
    """A small CLIP as transformers writes it."""
    from cast_mmaction.checkpoints.hugging_face import CLIP, to_hugging_face
    expert = randomize(MODELS.build(dict(type='CLIPExpert', **SIZES)))
    weights = to_hugging_face(expert.state_dict(), CLIP)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'config.json').write_text(json.dumps(dict(CONFIG, **config)))
    if shards == 1:
        save_file(weights, folder / 'model.safetensors')
        return expert
    names = [f'model-{i + 1:05}-of-{shards:05}.safetensors'
             for i in range(shards)]
    weight_map = {key: names[i % shards] for i, key in enumerate(weights)}
    for name in names:
        save_file({k: weights[k] for k in weights if weight_map[k] == name},
                  folder / name)
    (folder / 'model.safetensors.index.json').write_text(
        json.dumps(dict(weight_map=weight_map)))
    return expert


def refusal(pretrained, kind='CLIPExpert', error=CheckpointError, **changes):
    """The one line with which an expert refuses its weights."""
    expert = MODELS.build(
        dict(type=kind, pretrained=str(pretrained), **{
            **SIZES,
            **changes
        }))
    with pytest.raises(error) as caught:
        expert.init_weights()
    message = str(caught.value)
    assert message.startswith(str(pretrained)) and '\n' not in message
    return message


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of the hub, on a machine without a network."""
    monkeypatch.setattr(constants, 'HF_HUB_CACHE', str(tmp_path / 'cache'))
    monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', True)
    folder = tmp_path / 'cache/models--lab--clip'
    (folder / 'refs').mkdir(parents=True)
    (folder / 'refs/main').write_text(COMMIT)
    return folder / 'snapshots' / COMMIT


@pytest.fixture
def hub(monkeypatch):
    """A hub that answers every question with an error."""

    def answer(kind):

        def snapshot_download(*args, **kwargs):
            cls = getattr(errors, kind)
            error = cls.__new__(cls)  # its own __init__ wants a response
            OSError.__init__(error, 'Bad Gateway\nfor this address')
            raise error

        monkeypatch.setattr('huggingface_hub.snapshot_download',
                            snapshot_download)

    return answer


@pytest.mark.parametrize('shards', [1, 3])
def test_offline_from_the_cache(cache, shards):
    saved = write(cache, shards)
    for address in ('hf://lab/clip', f'hf://lab/clip@{COMMIT}'):
        expert = MODELS.build(
            dict(type='CLIPExpert', pretrained=address, **SIZES))
        expert.init_weights()
        for key, value in saved.state_dict().items():
            assert torch.equal(value, expert.state_dict()[key]), key


def test_offline_and_not_in_the_cache(cache):
    message = refusal('hf://lab/other')
    assert 'is not in the cache' in message
    assert message.endswith('run: hf download lab/other')


def test_a_revision_that_is_not_in_the_cache(cache):
    write(cache)
    message = refusal('hf://lab/clip@v2')
    assert message.endswith('run: hf download lab/clip --revision v2')


def test_half_a_download(cache):
    write(cache, shards=3)
    os.unlink(cache / 'model-00002-of-00003.safetensors')
    message = refusal('hf://lab/clip')
    assert '1 of 3 shards are missing: model-00002-of-00003' in message
    assert 'run: hf download lab/clip' in message


def test_half_a_download_without_weights(cache):
    write(cache)
    os.unlink(cache / 'model.safetensors')
    assert 'run: hf download lab/clip' in refusal('hf://lab/clip')


@pytest.mark.parametrize('kind, said', [
    ('RepositoryNotFoundError', 'the hub has no model lab/clip'),
    ('RevisionNotFoundError', "has no revision 'v9'"),
    ('GatedRepoError', 'hf auth login'),
    ('HfHubHTTPError', 'Bad Gateway. When that is mended, run: hf download'),
])
def test_what_the_hub_answers(hub, kind, said):
    hub(kind)
    assert said in refusal('hf://lab/clip@v9')


def test_the_hub_is_an_extra(monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'huggingface_hub', None)
    message = refusal('hf://lab/clip', error=ImportError)
    assert message.endswith("pip install 'cast-mmaction[hub]'")


@pytest.mark.parametrize('address', ['hf://clip', 'hf://a/b/c', 'hf://a/b@'])
def test_no_address(address):
    assert 'write hf://OWNER/NAME' in refusal(address)


def test_a_missing_shard(tmp_path):
    write(tmp_path, shards=2)
    os.unlink(tmp_path / 'model-00001-of-00002.safetensors')
    assert 'model-00001-of-00002.safetensors' in refusal(tmp_path)


def test_a_shard_that_lacks_a_tensor(tmp_path):
    write(tmp_path, shards=2)
    save_file({'a': torch.ones(1)},
              tmp_path / 'model-00001-of-00002.safetensors')
    assert 'lack what model.safetensors.index.json names' in refusal(tmp_path)


@pytest.mark.parametrize('name', ['../elsewhere.safetensors', 'a.bin'])
def test_shards_elsewhere(tmp_path, name):
    write(tmp_path)
    (tmp_path / 'model.safetensors.index.json').write_text(
        json.dumps(dict(weight_map=dict(a=name))))
    assert f'refused, shards must be safetensors files beside it, not {name}' \
        in refusal(tmp_path).replace('\\', '')


class Attack:

    def __reduce__(self):
        return os.mkdir, ('ran', )


def test_a_pickle_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / 'clip')
    os.unlink(tmp_path / 'clip/model.safetensors')
    file = tmp_path / 'clip/pytorch_model.bin'
    torch.save({'a': torch.ones(1), 'b': Attack()}, file)
    assert 'pytorch_model.bin, which can hold a program' in refusal(
        tmp_path / 'clip')
    assert 'refused' in refusal(file)
    assert not (tmp_path / 'ran').exists()


def test_a_pickle_of_tensors_alone_is_read_when_named(tmp_path):
    write(tmp_path)
    _, weights = read_repository(tmp_path)
    torch.save(weights, tmp_path / 'pytorch_model.bin')
    expert = MODELS.build(
        dict(
            type='CLIPExpert',
            pretrained=str(tmp_path / 'pytorch_model.bin'),
            **SIZES))
    expert.init_weights()


def test_another_architecture(tmp_path):
    write(tmp_path)
    message = refusal(tmp_path, 'VideoMAEExpert')
    assert "'clip'" in message and "takes those of 'videomae'" in message


def test_an_architecture_that_is_not_known(tmp_path):
    write(tmp_path, model_type='bert')
    assert "'bert'; known here are videomae, clip" in refusal(tmp_path)


def test_another_architecture_in_its_authors_names(tmp_path):
    write(tmp_path, model_type='bert')
    save_file({'bert.pooler.weight': torch.ones(1)},
              tmp_path / 'model.safetensors')
    assert "source 'clip': unexpected keys: bert.pooler" in refusal(tmp_path)


def test_names_of_the_authors_in_a_folder(tmp_path):
    """VideoMAE V2 lies on the hub so."""
    write(tmp_path, model_type='VideoMAEv2_Base')
    weights = videomae_layouts()['fine-tuning']
    save_file({f'model.{key}': value.clone()
               for key, value in weights.items()},
              tmp_path / 'model.safetensors')
    arch = dict(embed_dims=32, num_layers=2, num_heads=2)
    expert = MODELS.build(
        dict(
            type='VideoMAEExpert',
            pretrained=str(tmp_path),
            **dict(SIZES, arch=arch)))
    expert.init_weights()
    assert torch.equal(expert.norm.weight, weights['fc_norm.weight'])


def test_the_file_of_another_architecture(tmp_path):
    write(tmp_path)
    message = refusal(tmp_path / 'model.safetensors', 'VideoMAEExpert')
    assert "of 'clip', in the layout of transformers" in message


@pytest.mark.parametrize('config, said', [
    (dict(num_attention_heads=4), 'it has 4 heads, CLIPExpert 2'),
    (dict(hidden_act='gelu'), "act='gelu'"),
    (dict(hidden_size='wide'), "hidden_size='wide' is no size"),
])
def test_what_shapes_do_not_tell(tmp_path, config, said):
    write(tmp_path, **config)
    assert said in refusal(tmp_path)


def test_another_size(tmp_path):
    write(tmp_path)
    message = refusal(
        tmp_path, arch=dict(embed_dims=32, num_layers=2, num_heads=2))
    assert 'missing: blocks.1' in message


@pytest.mark.parametrize('content, said', [
    ('{', 'damaged'),
    ('[]', 'no JSON object'),
    (None, 'holds no config.json'),
])
def test_a_config_that_is_none(tmp_path, content, said):
    write(tmp_path)
    if content is None:
        os.unlink(tmp_path / 'config.json')
    else:
        (tmp_path / 'config.json').write_text(content)
    assert said in refusal(tmp_path)


def test_a_folder_of_something_else(tmp_path):
    (tmp_path / 'config.json').write_text('{}')
    assert 'holds no model.safetensors' in refusal(tmp_path)


def test_a_damaged_file(tmp_path):
    write(tmp_path)
    (tmp_path / 'model.safetensors').write_bytes(b'Not Found')
    assert 'model.safetensors: damaged' in refusal(tmp_path)
