"""The GPU script in its dry form."""
import json
import os
import re
import subprocess
import sys

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


def test_a_part_is_cut_off_with_all_that_it_started():
    """And what it has printed is kept."""
    code = ('import subprocess; child = subprocess.Popen(["sleep", "60"]);'
            'print("child", child.pid, flush=True); child.wait()')
    found = gpu.run_part(gpu.Part('', ('-c', code)), dry=True, seconds=6)
    assert found['status'] == 'cut off after 6 s'
    said, pid = found['printed'].split()
    assert said == 'child' and gone(int(pid))
