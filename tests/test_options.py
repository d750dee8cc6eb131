from pathlib import Path

import mmaction
import pytest
from mmengine.config import Config

from cast_mmaction.options import check_options, known_options, misspelt
from .conftest import ROOT

CONFIGS = sorted((ROOT / 'configs').rglob('*.py'))
HOSTS = sorted((Path(mmaction.__file__).parent / '.mim/configs').rglob('*.py'))


def config(folder, text):
    path = folder / 'config.py'
    path.write_text(text)
    return Config.fromfile(path)


@pytest.mark.parametrize('wrong, meant', [
    ('optim_wraper', 'optim_wrapper'),
    ('train_dataloder', 'train_dataloader'),
    ('param_schedular', 'param_scheduler'),
    ('default_hook', 'default_hooks'),
    ('load_form', 'load_from'),
])
def test_a_misspelt_option_is_named(tmp_path, wrong, meant):
    cfg = config(tmp_path, f'{wrong} = dict(a=1)')
    with pytest.raises(ValueError, match=f"{wrong}.*no effect.*'{meant}'"):
        check_options(cfg)


def test_variables_are_no_options(tmp_path):
    check_options(config(tmp_path, 'train_pipeline = []\ndata_root = "."'))


@pytest.mark.parametrize('key, meant', [
    ('optim_wraper.optimizer.lr', "'optim_wrapper'"),
    ('trained_pipeline', "'train_pipeline'"),
    ('lr', 'the config has model, train_pipeline'),
])
def test_a_change_of_nothing_is_refused(tmp_path, key, meant):
    cfg = config(tmp_path, 'train_pipeline = []\nmodel = dict()')
    with pytest.raises(ValueError, match=f'{key}.*{meant}'):
        check_options(cfg, [key])


def test_changes_of_what_is_there(tmp_path):
    cfg = config(tmp_path, 'train_pipeline = []\nmodel = dict()')
    check_options(cfg, ['model.a.b', 'train_pipeline', 'randomness.seed'])


def test_no_config_has_a_name_like_a_misspelt_option():
    """Variables of all configs, ours and the host's."""
    known = known_options()
    for path in CONFIGS + HOSTS:
        code = compile(path.read_text(encoding='utf-8'), str(path), 'exec')
        for name in code.co_names:  # its variables, and what it calls
            assert misspelt(name, known) is None, (path, name)
    assert len(CONFIGS) > 50
