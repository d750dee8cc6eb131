"""The GPU script in its dry form."""
import json
import os
import re
import subprocess
import sys
import time

import pytest

from tests.test_watched_loader import gone
from tests.toy import ROOT

sys.path.append(str(ROOT / 'tools/benchmarks'))
import gpu  # noqa: E402

SCRIPT = ROOT / 'tools/benchmarks/gpu.sh'


@pytest.fixture
def run(commands):
    """The script, with a Python that has done its imports."""
    environment = dict(
        os.environ, CUDA_VISIBLE_DEVICES='', PYTHON=str(commands / 'python'))

    def run(*args, code=0):
        done = subprocess.run(['bash', SCRIPT, *map(str, args)],
                              capture_output=True,
                              text=True,
                              env=environment)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


def parts_of(folder):
    return json.loads((folder / 'gpu.json').read_text())['parts']


def assert_tables(text):
    """Each is one in Markdown: behind an empty line, as wide everywhere."""
    for match in re.finditer(r'(?:^\|.*\n)+', text, re.M):
        head, rule, *rows = match.group().splitlines()
        assert text[:match.start()].endswith('\n\n')
        assert re.fullmatch(r'\|(-+\|)+', rule) and rows
        assert {x.count('|') for x in (head, *rows)} == {rule.count('|')}


@pytest.mark.slow
def test_all_parts_run_without_a_gpu(run, tmp_path):
    """With the options that they have on one, but for the sizes."""
    run(tmp_path, '--dry', '--minutes', 30)
    parts, text = parts_of(tmp_path), (tmp_path / 'gpu.md').read_text()
    assert parts.keys() == gpu.PARTS.keys()
    assert {part['status'] for part in parts.values()} == {'done'}, text
    assert 'needs a GPU' in parts['tests']['printed']
    for name, part in parts.items():
        assert f'## {part["title"]}\n' in text
        assert name == 'tests' or part['tables'], name
        assert all(row for x in part['tables'] for row in x['rows'])
    assert_tables(text)
    names = {
        row['model'] for name in ('training', 'compile')
        for row in parts[name]['tables'][0]['rows']
    }
    assert {f'CAST, bfloat16, {x}' for x in ('half', 'with_cp', 'compile')
            } < names


def test_without_time_it_says_so(run, tmp_path):
    run(tmp_path, '--dry', '--minutes', 0, '--parts', 'kernels')
    assert parts_of(tmp_path)['kernels']['status'] == 'no time was left'


def test_no_gpu(run):
    assert 'no GPU here; --dry' in run(code=1)


def part(code, minutes=1.):
    return gpu.Part(code, ('-c', 'import signal, time\n' + code), (), minutes)


@pytest.fixture
def parts(monkeypatch):
    """Has the script run other parts, here; they compute nothing."""
    parts = {}
    monkeypatch.setattr(gpu, 'PARTS', parts)
    monkeypatch.setattr(gpu, 'arguments',
                        lambda part, *_: [sys.executable, *part.command])
    return parts


HANGS = """print('as far as this', flush=True)
signal.signal(signal.SIGINT, signal.SIG_IGN)
time.sleep(600)"""


def test_parts_that_hang_leave_the_others_their_time(parts, tmp_path,
                                                monkeypatch):
    """All end by the deadline; what there is is kept, and what is not there
    is named."""
    monkeypatch.setattr(gpu, 'LEAST_SECONDS', 1.)
    parts.update(
        early=part(HANGS, 2.), ends=part('print("ran")', 2.), late=part(HANGS))
    began = time.monotonic()
    gpu.main([str(tmp_path), '--dry', '--minutes', '.25'])
    assert time.monotonic() - began < 15 + 3
    found = parts_of(tmp_path)
    assert found['early']['status'] == 'cut off after 6 s'
    assert found['early']['printed'] == 'as far as this\n'
    assert (found['ends']['status'], found['ends']['printed']) == (
        'done', 'ran\n')
    # With what the second has not used.
    assert 6 < found['late']['seconds'] < 9.5
    cut = {x: found[x]['status'] for x in ('early', 'late')}
    assert json.loads((tmp_path / 'gpu.json').read_text())['missing'] == cut
    assert ('Not whole: `early` (cut off after 6 s), '
            f'`late` ({cut["late"]}).') in (tmp_path / 'gpu.md').read_text()


def test_the_parts_share_the_time_of_the_script():
    """So that the last has its own if all others take theirs."""
    minutes = [part.minutes for part in gpu.PARTS.values()]
    assert sum(minutes) == gpu.MINUTES == 8
    left = [60. * gpu.MINUTES - 60 * sum(minutes[:i])
            for i in range(len(minutes))]
    assert [gpu.time_of(name, [*gpu.PARTS], seconds) for name, seconds in zip(
        gpu.PARTS, left)] == pytest.approx([60 * x for x in minutes])


def test_what_was_not_reached_is_named(parts, tmp_path, monkeypatch):
    """Also if the script itself is stopped."""
    parts.update(first=part('print("ran")'), second=part(''), third=part(''))
    run_part = gpu.run_part

    def stop_at_the_second(part, *args):
        if part is parts['second']:
            raise KeyboardInterrupt
        return run_part(part, *args)

    monkeypatch.setattr(gpu, 'run_part', stop_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        gpu.main([str(tmp_path), '--dry'])
    assert {name: found['status'] for name, found in parts_of(
        tmp_path).items()} == dict(
            first='done', second='begun', third='not reached')
    assert '`second` (begun), `third` (not reached)' in (
        tmp_path / 'gpu.md').read_text()


def test_a_part_may_say_what_it_has_before_it_is_ended():
    """As pytest lists its failures when it is interrupted."""
    found = gpu.run_part(
        part("""
def say(*_):
    print('two failed', flush=True)
    raise SystemExit(2)
signal.signal(signal.SIGINT, say)
print('dots', flush=True)
time.sleep(600)"""), dry=True, seconds=8)
    assert found['status'] == 'cut off after 8 s'
    assert found['printed'] == 'dots\ntwo failed\n'


def test_a_part_is_cut_off_with_all_that_it_started():
    """And what it has printed is kept."""
    code = ('import subprocess; child = subprocess.Popen(["sleep", "60"]);'
            'print("child", child.pid, flush=True); child.wait()')
    found = gpu.run_part(gpu.Part('', ('-c', code)), dry=True, seconds=6)
    assert found['status'] == 'cut off after 6 s'
    said, pid = found['printed'].split()[:2]
    assert said == 'child' and gone(int(pid))
    assert 'in wait' in found['printed']  # where it hung
