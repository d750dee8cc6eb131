import argparse
import contextlib
import io
import os
import pickle
import random
import warnings
import zipfile

import pytest
import torch
from mmaction.registry import MODELS
from safetensors.torch import save_file

from cast_mmaction.checkpoints import CheckpointError, read_state_dict
from tests.test_checkpoints.layouts import SIZES, clip_model

WEIGHTS = {'a.weight': torch.arange(6.).view(2, 3), 'a.bias': torch.ones(2)}


class Attack:
    """Leaves a file behind when it is rebuilt."""

    def __init__(self, victim):
        self.victim = victim

    def __reduce__(self):
        return os.mkdir, (str(self.victim), )


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@pytest.mark.parametrize('wrap', [
    lambda w: w,
    lambda w: {'state_dict': w, 'meta': {'epoch': 3}},
    lambda w: {'model': w, 'epoch': 1, 'args': argparse.Namespace(lr=.1)},
    lambda w: {'module': w, 'optimizer': {'state': {}}},
    lambda w: {'model_state': w, 'cfg': 'a: 1'},
    lambda w: {'state_dict': {'model': w}},
])
@pytest.mark.parametrize('zipped', [True, False])
def test_wrappers(tmp_path, wrap, zipped):
    path = tmp_path / 'weights.pth'
    torch.save(wrap(WEIGHTS), path, _use_new_zipfile_serialization=zipped)
    assert same(read_state_dict(path), WEIGHTS)


def test_safetensors(tmp_path):
    path = tmp_path / 'weights.safetensors'
    save_file(WEIGHTS, path)
    assert same(read_state_dict(path), WEIGHTS)


@pytest.mark.parametrize('zipped', [True, False])
def test_an_attack_does_not_run(tmp_path, zipped):
    path, victim = tmp_path / 'attack.pth', tmp_path / 'ran'
    torch.save({'state_dict': WEIGHTS, 'meta': Attack(victim)}, path,
               _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match='attack.pth: .*posix.mkdir'):
        read_state_dict(path)
    assert not victim.exists()


def test_an_attack_as_a_bare_pickle_does_not_run(tmp_path):
    path, victim = tmp_path / 'attack.pth', tmp_path / 'ran'
    path.write_bytes(pickle.dumps(Attack(victim), protocol=2))
    with pytest.raises(CheckpointError, match='attack.pth'):
        read_state_dict(path)
    assert not victim.exists()


def test_trust_runs_what_is_inside(tmp_path):
    path, victim = tmp_path / 'mine.pth', tmp_path / 'ran'
    torch.save({'state_dict': WEIGHTS, 'meta': Attack(victim)}, path)
    assert same(read_state_dict(path, trust=True), WEIGHTS)
    assert victim.exists()


def test_a_whole_model_is_refused_by_name(tmp_path):
    path = tmp_path / 'model.pth'
    torch.save(torch.nn.Linear(2, 2), path)
    with pytest.raises(CheckpointError, match='torch.nn.modules.*Linear'):
        read_state_dict(path)


def _truncated(path, share):
    torch.save(WEIGHTS, path)
    data = path.read_bytes()
    path.write_bytes(data[:int(len(data) * share)])


@pytest.mark.parametrize('make, reason', [
    (lambda p: p.write_bytes(b''), 'empty'),
    (lambda p: p.write_text('Not Found: no such page\n'), 'no checkpoint'),
    (lambda p: p.write_text('<html>404</html>'), 'no checkpoint'),
    (lambda p: p.write_bytes(bytes(range(256)) * 9), 'no checkpoint'),
    (lambda p: _truncated(p, .3), 'damaged'),
    (lambda p: _truncated(p, .9), 'damaged'),
    (lambda p: p.mkdir(), 'no such'),
    (lambda p: None, 'no such'),
    (lambda p: torch.save([1, 2], p), 'no state dict'),
    (lambda p: torch.save({'epoch': 1}, p), 'no state dict'),
    (lambda p: torch.save({}, p), 'no state dict'),
])
@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_other_files_are_named(tmp_path, make, reason, suffix):
    path = tmp_path / f'weights{suffix}'
    make(path)
    with pytest.raises(CheckpointError, match='weights') as error:
        read_state_dict(path)
    assert suffix == '.safetensors' or reason in str(error.value)
    assert 'weights_only' not in str(error.value)  # torch's advice, not ours


@pytest.mark.parametrize('suffix', ['.pth', '.old', '.safetensors'])
def test_no_damage_ends_in_another_error(tmp_path, suffix):
    path = tmp_path / f'weights{suffix}'
    if suffix == '.safetensors':
        save_file(WEIGHTS, path)
    else:
        zipped = suffix == '.pth'
        torch.save(WEIGHTS, path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    rng = random.Random(0)
    for _ in range(200):
        damaged = bytearray(whole[:rng.randrange(1, len(whole))])
        damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        path.write_bytes(damaged)
        with contextlib.suppress(CheckpointError):
            read_state_dict(path)


@pytest.fixture(scope='module')
def archive(tmp_path_factory):
    """A TorchScript archive as OpenAI's are: in half precision, traced."""
    path = tmp_path_factory.mktemp('clip') / 'ViT.pt'
    model = clip_model()
    inputs = (torch.zeros(1, 3, 32, 32), torch.zeros(1, 4, dtype=torch.long))
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        traced = torch.jit.trace(model, inputs, check_trace=False).half()
        torch.jit.save(traced, path)
        return path, traced.state_dict()


def test_torchscript(archive):
    path, expected = archive
    assert same(read_state_dict(path), expected)


def test_torchscript_into_an_expert(archive):
    path, weights = archive
    clip = MODELS.build(
        dict(type='CLIPExpert', pretrained=str(path), **SIZES))
    clip.init_weights()
    expected = weights['visual.ln_post.bias'].float()
    assert torch.equal(clip.norm.bias, expected)


def test_torchscript_with_other_types_is_refused(archive, tmp_path):
    victim = tmp_path / 'ran'
    attacked = tmp_path / 'attacked.pt'
    with zipfile.ZipFile(archive[0]) as source, \
            zipfile.ZipFile(attacked, 'w') as target:
        for name in source.namelist():
            data = source.read(name)
            if name.endswith('/data.pkl'):
                data = pickle.dumps(Attack(victim), protocol=2)
            target.writestr(name, data)
    with pytest.raises(CheckpointError, match='attacked.pt.*posix.mkdir'):
        read_state_dict(attacked)
    assert not victim.exists()


def test_torchscript_tensors_stay_inside_their_storage(archive, tmp_path):
    """A size that asks for more than was stored must not read beyond it."""
    path = tmp_path / 'lying.pt'
    buffer = io.BytesIO(archive[0].read_bytes())
    with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(path,
                                                            'w') as target:
        for name in source.namelist():
            data = source.read(name)
            target.writestr(name, data[:4] if '/data/' in name else data)
    with pytest.raises(CheckpointError, match='lying.pt'):
        read_state_dict(path)


def test_training_files_of_vjepa2_are_named(tmp_path):
    path = tmp_path / 'vitl.pt'
    torch.save(
        dict(
            encoder=WEIGHTS, predictor=WEIGHTS, target_encoder=WEIGHTS,
            epoch=3), path)
    with pytest.raises(CheckpointError, match='vitl.pt.*V-JEPA 2.*hf://'):
        read_state_dict(path)
