"""Newer Pythons and setuptools, see test_compat.py. What has gone from them
is taken away here."""
from tests.test_compat import host

GONE = ('import sys, pkgutil; sys.modules["pkg_resources"] = None; '
        'vars(pkgutil).pop("find_loader", None); ')
OURS = 'import cast_mmaction; '
OPERATORS = 'from mmengine.utils.dl_utils import mmcv_full_available as f; f()'
INSTALLED = ('from mmengine.utils import get_installed_path as path, '
             'is_installed; ')


def test_find_loader_defect():
    assert 'find_loader' in host(GONE + OPERATORS)


def test_pkg_resources_defect():
    assert 'pkg_resources' in host(GONE + INSTALLED +
                                   'is_installed("mmengine")')


def test_what_has_gone_is_made_up_for():
    from_mmcv = 'from mmcv.utils.ext_loader import check_ops_exist as g; '
    assert host(
        GONE + OURS + INSTALLED + from_mmcv + OPERATORS + '; '
        'assert g() == f() != None; '
        'assert is_installed("mmengine") and is_installed("mmaction2"); '
        'assert is_installed("json") and not is_installed("no-such-thing"); '
        'assert path("mmengine").endswith("/mmengine"); '
        'assert path("mmaction2").endswith("/mmaction"); '
        'path("no-such-thing")'
    ) == ('importlib.metadata.PackageNotFoundError: No package metadata was '
          'found for no-such-thing')


def test_bases_of_a_package(tmp_path):
    """``mmaction::...`` asks where the package is."""
    config = tmp_path / 'a.py'
    config.write_text("_base_ = 'mmaction::no/such.py'\n")
    message = host(GONE + OURS + 'from mmengine.config import Config; '
                   f'Config.fromfile({str(config)!r})')
    assert 'no/such.py' in message and 'FileNotFoundError' in message


def test_what_is_there_is_left_alone():
    assert host(
        OURS + 'import pkgutil, importlib.util as u; '
        'done = cast_mmaction.compat.apply(); '
        'assert done["find_loader"] != hasattr(pkgutil, "find_loader"); '
        'assert done["pkg_resources"] == (u.find_spec("pkg_resources") is '
        'None)') == ''


# Workers are no longer forked either, if nobody says so.
TRAIN = ('import multiprocessing; '
         'multiprocessing.set_start_method("forkserver"); '
         'from mmengine.runner import Runner; '
         'from tests.toy import toy_config; '
         'cfg = toy_config("{}", epochs=1); '
         'cfg.train_dataloader.num_workers = 1; '
         'runner = Runner.from_cfg(cfg); runner.train(); '
         'assert runner.iter == 6')


def test_a_training_defect(tmp_path):
    """Our hooks and configs are there, the remedy alone is taken back."""
    undone = ('from mmengine.utils.dl_utils import misc; '
              'misc.pkgutil = pkgutil; ')
    assert 'find_loader' in host(GONE + OURS + undone + TRAIN.format(tmp_path))


def test_a_training_where_it_has_gone(tmp_path):
    """From the first iteration to the checkpoint, validation included."""
    assert host(GONE + OURS + TRAIN.format(tmp_path)) == ''
    assert (tmp_path / 'epoch_1.pth').is_file()
