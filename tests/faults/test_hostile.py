"""Hostile files thrown at every documented loader, in one process of its own
with limits on memory and time."""
import json
import subprocess
import sys
from collections import Counter, defaultdict
from contextlib import suppress

import pytest
from mmaction.registry import MODELS
from mmengine.registry import init_default_scope
from safetensors.torch import save_file

from cast_mmaction.checkpoints import CheckpointError
from cast_mmaction.checkpoints.hugging_face import to_hugging_face
from cast_mmaction.checkpoints.hugging_face_config import (layout_for,
                                                           their_config)
from cast_mmaction.hub import from_pretrained
from tests.conftest import ROOT
from tests.faults.loaders import EXPERTS, MARK, MODEL

LOADERS = ('read_checkpoint', 'read_state_dict', 'from_pretrained',
           'finetune', 'classifier', 'init_recognizer', 'Inferencer',
           'Inferencer alone', 'convert', 'publish', 'load_dump',
           'fuse_results', 'make_submission', 'folder of transformers',
           'check_whole', 'demo/pretrain',
           'pretrained of clip', 'pretrained of videomae',
           'pretrained of timm', 'pretrained of vjepa2', 'pretrained of ast',
           'Runner, load_from', 'Runner, resume', 'state beside a checkpoint',
           'FlexibleRunner, load_from', 'FlexibleRunner, resume')
# What asks for more than tensors by name finds it in none of these files.
TAKES_NONE = ('from_pretrained', 'Inferencer alone', 'load_dump',
              'fuse_results', 'make_submission', 'folder of transformers',
              'demo/pretrain', 'state beside a checkpoint')
FILES = 250
MEMORY = 300  # MiB that one file may add to the most the process has had


@pytest.fixture(scope='module')
def tried(tmp_path_factory):
    """By loader, what became of each file."""
    folder = tmp_path_factory.mktemp('hostile')
    run = subprocess.run(
        [sys.executable, '-W', 'ignore', '-m', 'tests.faults.loaders',
         str(folder)],
        capture_output=True, text=True, cwd=ROOT)
    lines = [
        json.loads(line[len(MARK):]) for line in run.stdout.splitlines()
        if line.startswith(MARK)
    ]
    assert len(lines) % 2 == 0, f'the process died: {lines[-1]}'
    assert run.returncode == 0, run.stderr[-2000:]
    result = defaultdict(list)
    for asked, done in zip(lines[::2], lines[1::2]):
        result[asked['loader']].append({**asked, **done})
    assert not list(folder.rglob('ran'))
    return result


@pytest.mark.slow
@pytest.mark.parametrize('loader', LOADERS)
def test_refused_by_name_in_bounds(tried, loader):
    files = tried[loader]
    assert len(files) > FILES
    allowed = {'refused'}
    strange = [
        file for file in files if file['outcome'] not in (
            allowed | {'loaded'} if file['data'] and
            loader not in TAKES_NONE else allowed)
    ]
    assert strange == []
    assert [file for file in files if file['mib'] > MEMORY] == []


@pytest.mark.slow
def test_no_loader_is_left_out(tried):
    assert set(tried) == set(LOADERS)
    counts = Counter(
        file['outcome'] for files in tried.values() for file in files)
    print(dict(counts))  # for docs/reliability.md
    assert counts['refused'] > 4000


@pytest.fixture(scope='module')
def theirs(tmp_path_factory):
    """A folder of transformers, whole, and its config."""
    init_default_scope('mmaction')
    folder = tmp_path_factory.mktemp('theirs')
    model = MODELS.build(MODEL)
    layout = layout_for(model.backbone)
    save_file(to_hugging_face(model.state_dict(), layout),
              folder / 'model.safetensors')
    config = their_config(model)
    (folder / 'config.json').write_text(json.dumps(config))
    from_pretrained(folder)
    return folder, config


@pytest.mark.parametrize('change', [
    {'hidden_size': 2**40}, {'hidden_size': 'x'}, {'hidden_size': None},
    {'num_hidden_layers': 10**9}, {'num_hidden_layers': -1},
    {'image_size': 10**9}, {'image_size': 65536}, {'num_frames': 10**12},
    {'patch_size': 0}, {'patch_size': [1, 2]},
    {'tubelet_size': 0}, {'num_attention_heads': 0}, {'id2label': 7},
    {'model_type': ['x']}, {'model_type': 'os.mkdir'}, '[' * 10**5, '[]',
    '7', '{', '{"model_type": "videomae"}'
], ids=lambda change: str(change)[:40])
def test_config_of_transformers(theirs, change):
    """Beside whole weights, for a recognizer and for an expert."""
    folder, config = theirs
    text = change if isinstance(change, str) else json.dumps(
        {**config, **change})
    (folder / 'config.json').write_text(text)
    with pytest.raises(CheckpointError, match='theirs'):
        from_pretrained(folder)
    expert = MODELS.build(dict(EXPERTS['videomae'], pretrained=str(folder)))
    with suppress(CheckpointError):  # not all of it matters to an expert
        expert.init_weights()
