"""Errors of the tools: one line for whoever started them."""
import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from torch.distributed.elastic.multiprocessing.errors import (
    ChildFailedError, ProcessFailure)

from cast_mmaction import one_line
from cast_mmaction.checkpoints import CheckpointError
from cast_mmaction.datasets.video import UnreadableVideo
from cast_mmaction.export.description import NotExported
from cast_mmaction.options import as_options
from cast_mmaction.storage.store import StoreError
from tests.toy import ROOT
from tools.launch import describe


@pytest.fixture
def log(tmp_path, monkeypatch):
    """The log file of a run."""
    path = tmp_path / 'run.log'
    monkeypatch.setattr(
        one_line.MMLogger, 'get_current_instance',
        lambda: SimpleNamespace(log_file=str(path)))
    for name in (one_line.ERROR_FILE, one_line.TRACEBACK, 'RANK'):
        monkeypatch.delenv(name, raising=False)
    return path


def fail(error):
    with pytest.raises(SystemExit) as end, one_line.errors_in_one_line():
        raise error
    assert end.value.code == 1


def test_the_last_line_says_it_and_the_log_holds_the_rest(log, capsys):
    fail(ValueError('lists/a.txt, line 3:\n  no label'))
    where, line = capsys.readouterr().err.splitlines()
    assert line == 'error: lists/a.txt, line 3: no label'
    assert str(log) in where and one_line.TRACEBACK in where
    assert 'Traceback' in log.read_text() and 'in fail' in log.read_text()


def test_what_was_not_foreseen_names_its_kind_and_the_log(log, capsys):
    fail(KeyError('verbs'))
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"error: KeyError: 'verbs'; where it happened is in {log}")


def refuse(error, *args):
    """What a tool ends with."""
    with pytest.raises(SystemExit) as end:
        with one_line.refusals_in_one_line(*args):
            raise error
    return end.value.code


@pytest.mark.parametrize('error', [
    ValueError('no label'),
    CheckpointError('no label'),
    OSError('no label'),
    ImportError('no label'),
    NotExported('no label'),
])
def test_a_tool_says_what_was_foreseen(log, error):
    assert refuse(error) == 'error: no label'
    assert refuse(error, 'refused') == 'refused: no label'


def test_files_that_are_of_no_use_are_foreseen(log):
    assert refuse(UnreadableVideo('a.mp4', 'ends early')) == (
        'error: a.mp4: ends early')
    assert refuse(StoreError('the store does not answer')) == (
        'error: the store does not answer')


@pytest.mark.parametrize('error', [
    KeyError('verbs'), TypeError('None'), RuntimeError('shapes'),
    AssertionError(), ValueError()])
def test_a_mistake_of_a_tool_keeps_its_traceback(log, error):
    with pytest.raises(type(error)), one_line.refusals_in_one_line():
        raise error


def test_a_developer_sees_the_traceback_of_a_tool(log, monkeypatch):
    monkeypatch.setenv(one_line.TRACEBACK, '1')
    with pytest.raises(ValueError), one_line.refusals_in_one_line():
        raise ValueError('mine')


def test_a_tool_that_is_stopped(log):
    with pytest.raises(KeyboardInterrupt), one_line.refusals_in_one_line():
        raise KeyboardInterrupt
    assert refuse(KeyboardInterrupt(), 'error', True).startswith('stopped; ')


def test_a_full_gpu():
    line = one_line.sentence(torch.OutOfMemoryError('CUDA out of memory'))
    assert 'batch_size' in line and 'with_cp' in line


def test_developers_see_the_traceback(log, monkeypatch):
    monkeypatch.setenv(one_line.TRACEBACK, '1')
    with pytest.raises(ValueError, match='mine'):
        with one_line.errors_in_one_line():
            raise ValueError('mine')


def test_of_many_processes_the_first_to_fail_is_heard(log, tmp_path,
                                                      monkeypatch, capsys):
    """Within one second, whatever their numbers."""
    failures = {}
    for rank, text in ((1, 'b.txt: no such file'), (0, 'closed by peer')):
        file = tmp_path / f'{rank}.json'
        monkeypatch.setenv(one_line.ERROR_FILE, str(file))
        monkeypatch.setenv('RANK', str(rank))
        fail(RuntimeError(text) if rank == 0 else OSError(text))
        failures[rank] = ProcessFailure(rank, 7, 1, str(file))
    assert capsys.readouterr().err == ''  # the launcher speaks
    failures = dict(sorted(failures.items()))
    line = describe(ChildFailedError('train.py', failures))
    assert line == 'error: b.txt: no such file (process 1)'
    assert 'The end of process 1' in log.read_text()


@pytest.mark.parametrize('code, words', [
    (143, 'stopped by SIGTERM; --resume'),
    (-9, 'memory runs out'),
    (-11, 'SIGSEGV'),
    (2, 'exit code 2; what it said is above'),
])
def test_ends_without_a_sentence(code, words):
    failure = ProcessFailure(0, 7, code, 'no file')
    assert words in describe(ChildFailedError('train.py', {3: failure}))


def test_the_launcher_ends_with_that_line(tmp_path):
    """Real processes: the second fails, the first would wait."""
    script = tmp_path / 'work.py'
    message = dict(
        message='b.txt: no such file',
        extraInfo=dict(py_callstack='', timestamp='5', exact_time=5.))
    script.write_text(
        'import json, os, sys, time\n'
        'if os.environ["RANK"] == "0":\n'
        '    time.sleep(100)\n'
        f'text = json.dumps(dict(message={message!r}))\n'
        'open(os.environ["TORCHELASTIC_ERROR_FILE"], "w").write(text)\n'
        'sys.exit(1)\n')
    done = subprocess.run(
        [sys.executable, ROOT / 'tools/launch.py', '--standalone',
         '--nproc-per-node', '2', script],
        env=dict(os.environ, OMP_NUM_THREADS='1'),
        capture_output=True,
        text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        'error: b.txt: no such file (process 1)')
    assert 'Traceback' not in done.stderr


def test_options_of_the_command_line():
    assert as_options(['a.b=1', 'c=[2,x]']) == {'a.b': 1, 'c': [2, 'x']}
    assert as_options([]) == {}
    with pytest.raises(ValueError, match='a.b.*key=value'):
        as_options(['a.b'])


def test_the_error_file_is_what_torchrun_reads(log, tmp_path, monkeypatch):
    file = tmp_path / 'error.json'
    monkeypatch.setenv(one_line.ERROR_FILE, str(file))
    fail(ValueError('mine'))
    content = json.loads(file.read_text())['message']
    assert content['message'] == 'mine'
    assert 'Traceback' in content['extraInfo']['py_callstack']
