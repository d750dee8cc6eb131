"""The wheel alone: built, installed into an empty folder, and used from
another one."""
import os
import shutil
import subprocess
import sys
import zipfile

import pytest

from cast_mmaction.config_names import MIM
from tests.conftest import ROOT

SOURCES = ('LICENSE', 'README.md', 'cast_mmaction', 'configs',
           'model-index.yml', 'pyproject.toml', 'setup.cfg', 'tools')
DEMO = 'cast_mmaction::demo/cast_demo.py'
CAST = ('cast/cast-base-p16_clip-videomae-k400-pre_16xb6-dense-16x4x1-70e_'
        'kinetics400-rgb.py')


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    """The wheel, built without a network from a copy of what is needed."""
    folder = tmp_path_factory.mktemp('wheel')
    source = folder / 'source'
    source.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name,
                source / name,
                symlinks=True,
                ignore=shutil.ignore_patterns('*.egg-info'))
        else:
            shutil.copy(ROOT / name, source)
    pip('wheel', '--no-build-isolation', '--no-deps', '-w', folder,
        source)
    return next(folder.glob('*.whl'))


def pip(*args):
    subprocess.run(
        [sys.executable, '-m', 'pip', '-q', '--no-input', *map(str, args)],
        check=True)


@pytest.fixture(scope='module')
def installed(wheel, tmp_path_factory):
    """An empty folder with the wheel in it."""
    folder = tmp_path_factory.mktemp('installed')
    pip('install', '--no-deps', '--no-index', '--target', folder, wheel)
    return folder


@pytest.fixture
def run(installed, tmp_path):
    """Runs Python in another folder, where only the wheel can be found; what
    it prints."""

    def run(*args):
        env = dict(
            os.environ,
            PYTHONPATH=str(installed),
            OMP_NUM_THREADS='1',
            PYTHONDONTWRITEBYTECODE='1')
        done = subprocess.run(
            [sys.executable, *map(str, args)],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


def files_below(folder):
    return {
        file.relative_to(folder).as_posix()
        for file in folder.rglob('*')
        if file.is_file() and file.suffix != '.pyc'
    }


def test_it_carries_configs_tools_and_index(wheel):
    names = {
        name.partition('/.mim/')[2]
        for name in zipfile.ZipFile(wheel).namelist() if '/.mim/' in name
    }
    assert names == {
        'model-index.yml',
        *(f'configs/{name}' for name in files_below(ROOT / 'configs')
          if name != 'cast_demo.py'),
        *(f'tools/{name}' for name in files_below(ROOT / 'tools'))
    }


def test_mim_finds_a_config_by_its_file_name_alone(installed):
    configs = (installed / 'cast_mmaction/.mim/configs').rglob('*.py')
    assert [file.name for file in configs].count('cast_demo.py') == 1


def test_in_a_clone_they_are_links():
    assert (MIM / 'configs').resolve() == ROOT / 'configs'
    assert (MIM / 'tools').resolve() == ROOT / 'tools'
    assert (MIM / 'model-index.yml').resolve() == ROOT / 'model-index.yml'


SCRIPT = f"""
import cast_mmaction, pytest
from mmengine.config import Config
from mmengine.hub import get_config
from mmaction.apis import MMAction2Inferencer
from mmaction.registry import MODELS
from mmengine.registry import init_default_scope

print('package', cast_mmaction.__file__)
cfg = Config.fromfile('mine.py')
assert cfg.model.cls_head.num_verbs == 3 and cfg.head.type == 'VerbNounHead'
init_default_scope('mmaction')
MODELS.build(dict(cfg.head))
assert get_config('cast_mmaction::{CAST}').model.backbone.type == 'CAST'
name = '{CAST[5:-3]}'
assert name in MMAction2Inferencer.list_models('cast_mmaction')
with pytest.raises(ValueError, match='no published weights.*rec_weights'):
    MMAction2Inferencer(rec=name)
with pytest.raises(FileNotFoundError, match='mine.pth can not be found'):
    MMAction2Inferencer(rec=name, rec_weights='mine.pth')

import sys
from cast_mmaction.prediction.command import main
sys.argv = ['cast-predict', '--help']
with pytest.raises(SystemExit):
    main()
"""


def test_names_work(run, installed, tmp_path):
    (tmp_path / 'mine.py').write_text(
        f"_base_ = '{DEMO}'\nhead = _base_.model.cls_head\n"
        'model = dict(cls_head=dict(num_verbs=3))\n')
    out = run('-c', SCRIPT)
    assert f'package {installed}' in out
    assert out.count('usage: cast-predict') == 1
    assert 'Failed to search registry' not in out and 'deprec' not in out


@pytest.mark.slow
def test_it_trains_the_demo_by_name(run, installed, tmp_path):
    tools = installed / 'cast_mmaction/.mim/tools'
    run(tools / 'demo/make_clips.py', 'data/demo', '--train', '16', '--test',
        '4', '--workers', '1')
    out = run(tools / 'train.py', DEMO, '--cfg-options',
              'train_cfg.max_epochs=1', 'train_dataloader.batch_size=4',
              'model.backbone.spatial.pretrained=None',
              'model.backbone.temporal.pretrained=None',
              'default_hooks.strict_load.allow_random_experts=True',
              'param_scheduler.0.warmup=1', 'default_hooks.logger.interval=1')
    assert 'Epoch(train) [1][4/4]' in out
    assert (tmp_path / 'work_dirs/cast_demo/epoch_1.pth').is_file()
