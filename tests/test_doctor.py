import subprocess
import sys

import numpy as np
import pytest
import torch

from cast_mmaction import compat, doctor, host
from tests.toy import ROOT

# Makes packages absent, as an interpreter without them has it.
ABSENT = """
import importlib.metadata, sys
names = {names!r}
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in names:
            raise ModuleNotFoundError(f'No module named {{name!r}}', name=name)
sys.meta_path.insert(0, Finder())
found = importlib.metadata.version
def version(package):
    if package in names:
        raise importlib.metadata.PackageNotFoundError(package)
    return found(package)
importlib.metadata.version = version
"""


@pytest.fixture
def diagnose(tmp_path, monkeypatch):
    """Run the doctor beside packages that are broken or absent."""

    def run(absent=(), **broken):
        (tmp_path / 'sitecustomize.py').write_text(
            ABSENT.format(names=tuple(absent)))
        for package, code in broken.items():
            (tmp_path / package).mkdir()
            (tmp_path / package / '__init__.py').write_text(code)
        monkeypatch.setenv('PYTHONPATH', f'{tmp_path}:{ROOT}')
        done = subprocess.run(
            [sys.executable, '-m', 'cast_mmaction.doctor'],
            capture_output=True,
            text=True)
        assert done.returncode == 1, done
        assert 'Traceback' not in done.stdout + done.stderr
        report, _, problems = done.stdout.partition('\nNot usable yet:\n')
        for part in ('Versions', 'memory', 'open files', 'Checks'):
            assert part in report
        return problems.splitlines()

    return run


def test_everything_works(capsys, monkeypatch):
    monkeypatch.setitem(compat.left_out, 'wandb', 'ImportError: too new')
    assert doctor.main() == 0
    report = capsys.readouterr().out
    for part in ('mmaction2              1.2.0', 'video by PyAV          works',
                 'video by decord        works', 'sound by PyAV          works',
                 'video by torchcodec    ' + (
                     f'an option; {host.torchcodec_problem()}'
                     if host.torchcodec_problem() else 'works'),
                 'cast_mmaction          works', 'memory', 'shared memory',
                 'open files', 'mended', 'GPU',
                 'wandb, which the host cannot use (ImportError: too new)'):
        assert part in report
    assert 'Not usable' not in report


def test_as_a_command():
    """The package is imported when the doctor has looked."""
    done = subprocess.run([sys.executable, '-m', 'cast_mmaction.doctor'],
                          capture_output=True,
                          text=True,
                          cwd=ROOT)
    assert done.returncode == 0, done
    assert 'cast_mmaction          works' in done.stdout
    assert 'mended' in done.stdout


def test_broken_packages(diagnose):
    problems = diagnose(
        absent=('decord', ),
        av="raise ImportError('libavcodec.so.61')",
        torchvision='raise RuntimeError('
        "'operator torchvision::nms does not exist')")
    vision, pyav, decord = problems[:3]
    assert 'torchvision does not fit torch (operator' in vision
    assert 'both from one index' in vision
    assert 'PyAV cannot be imported (libavcodec.so.61)' in pyav
    assert pyav.endswith('Run: pip install av')
    assert decord.endswith('Run: pip install decord')


def test_no_mmcv(diagnose):
    problem, = diagnose(absent=('mmcv', 'mmcv-lite'))
    assert "mmcv is missing; its light edition is enough. Run: pip" in problem


def test_no_torch(diagnose):
    problems = diagnose(absent=('torch', ))
    assert "torch>=2.6 is needed, none is installed" in problems[0]
    assert 'torch cannot be imported' in problems[1]


def test_what_else_a_package_raises(diagnose):
    problem, = diagnose(timm='1 / 0')
    assert problem.startswith('- ZeroDivisionError: ')
    assert problem.endswith('timm/__init__.py, line 1)')


def test_says_what_to_do(capsys, monkeypatch):
    monkeypatch.setattr(host, 'problem',
                        lambda: "mmcv is missing. Run: pip install 'x'")
    assert doctor.main() == 1
    assert capsys.readouterr().out.endswith(
        "Not usable yet:\n- mmcv is missing. Run: pip install 'x'\n")


@pytest.mark.parametrize('check, name', [(doctor.pyav_problem, 'PyAV'),
                                         (doctor.decord_problem, 'decord')])
def test_wrong_frames(monkeypatch, check, name):
    """What is written is darker than what the reader should find."""
    full = np.full
    monkeypatch.setattr(
        np, 'full', lambda shape, value, dtype: full(shape, value // 2, dtype))
    assert check().startswith(f'{name} gives wrong frames')


def test_wrong_sound(monkeypatch):
    monkeypatch.setattr(np.fft, 'rfft', lambda x: np.eye(1, len(x), 7)[0])
    assert 'PyAV gives wrong sound' in doctor.sound_problem()


def test_torchvision_of_another_torch(monkeypatch):
    import torchvision.ops

    def nms(*args):
        raise RuntimeError('operator torchvision::nms does not exist')

    monkeypatch.setattr(torchvision.ops, 'nms', nms)
    assert 'one index' in doctor.torchvision_problem()


def test_a_gpu_that_torch_cannot_use(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr(doctor.Path, 'is_dir', lambda self: True)
    assert 'built for CUDA' in doctor.torch_problem()


def test_a_gpu_that_does_not_compute(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)

    def ones(*args, **kwargs):
        raise RuntimeError('no kernel image is available')

    monkeypatch.setattr(torch, 'ones', ones)
    assert 'the GPU does not compute (no kernel' in doctor.torch_problem()


@pytest.mark.parametrize('capability, words', [
    ((6, 1), 'float32: train in it'), ((7, 5), 'float16 with a loss scale'),
    ((8, 0), 'bfloat16: train in bf'), ((9, 0), 'float8: train in bf')])
def test_precisions(capability, words):
    assert words in doctor.precisions(capability)


def test_precision_and_memory_of_a_gpu(monkeypatch, capsys):
    for name, value in dict(
            is_available=True, device_count=1, get_device_name='H100',
            mem_get_info=(2**30, 2**31),
            get_device_capability=(9, 0)).items():
        monkeypatch.setattr(torch.cuda, name,
                            lambda *args, value=value: value)
    ones = torch.ones
    monkeypatch.setattr(torch, 'ones', lambda *size, device: ones(*size))
    assert doctor.torch_problem() is None
    assert ('H100, 1.0 GiB free of 2.0 GiB; float32, tf32, float16, bfloat16, '
            'float8' in capsys.readouterr().out)


def test_low_limits_come_with_a_remedy(monkeypatch):
    monkeypatch.setattr(doctor.resource, 'getrlimit', lambda _: (100, 4096))
    monkeypatch.setattr(doctor, 'LITTLE_SHARED', float('inf'))
    text = str(doctor._machine())
    assert '100, can be raised to 4096' in text
    assert f'ulimit -n {doctor.FEW_FILES}' in text
    assert '--shm-size=16g' in text and "num_workers='auto'" in text
    monkeypatch.setattr(doctor.resource, 'getrlimit', lambda _: (1024, 4096))
    monkeypatch.setattr(doctor, 'LITTLE_SHARED', 0)
    text = str(doctor._machine())
    assert 'few for' not in text and '--shm-size' not in text
