import subprocess
import sys

import pytest

from cast_mmaction import host


@pytest.fixture
def versions(monkeypatch):
    found = {'torch': '2.15.0+cu132', 'mmaction2': '1.2.0', 'mmengine': '0.10.7', 'mmcv-lite': '2.1.0'}
    monkeypatch.setattr(host, 'installed', found.get)
    return found


def test_a_host_in_order(versions):
    assert host.problem() is None
    host.check()


@pytest.mark.parametrize('change, command', [
    ({'torch': '2.5.1'}, "pip install 'torch>=2.6'"),
    ({'mmaction2': None}, "pip install 'mmaction2==1.2.0'"),
    ({'mmaction2': '1.1.0'}, "pip install 'mmaction2==1.2.0'"),
    ({'mmengine': '0.11.0rc3'}, "pip install 'mmengine~=0.10.7'"),
    ({'mmcv-lite': None}, "pip install 'mmcv-lite>=2.0.1,<2.2'"),
    ({'mmcv-lite': '2.2.0'}, 'pip uninstall -y mmcv-lite && '
                             "pip install 'mmcv-lite>=2.0.1,<2.2'"),
    ({'mmcv': '2.2.0'}, 'pip uninstall -y mmcv mmcv-lite && '
                        "pip install 'mmcv-lite>=2.0.1,<2.2'"),
    ({'onedl-mmengine': '0.10.8'},
     'pip uninstall -y onedl-mmengine mmengine && '
     "pip install 'mmengine~=0.10.7'"),
    ({'onedl-mmcv': '2.3.2'},
     'pip uninstall -y onedl-mmcv mmcv mmcv-lite && '
     "pip install 'mmcv-lite>=2.0.1,<2.2'"),
    ({'onedl-mmaction2': '1.3.0', 'mmaction2': None},
     'pip uninstall -y onedl-mmaction2 mmaction2 && '
     "pip install 'mmaction2==1.2.0'"),
])
def test_the_command_to_run(versions, change, command):
    versions.update(change)
    with pytest.raises(ImportError) as error:
        host.check()
    assert str(error.value).endswith(f'Run: {command}')


def test_the_full_mmcv_will_do(versions):
    versions.update({'mmcv': '2.1.0', 'mmcv-lite': None})
    assert host.problem() is None


def test_says_so_before_the_host_is_imported():
    code = ('import importlib.metadata as m; version = m.version; '
            'm.version = lambda x: "2.2.0" if x == "mmcv-lite" '
            'else version(x); import cast_mmaction')
    run = subprocess.run([sys.executable, '-c', code],
                         capture_output=True,
                         text=True)
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1].startswith(
        'ImportError: cast_mmaction: mmcv-lite 2.2.0')
