"""The GPU script in its dry form."""
import json
import os
import subprocess

import pytest

from tests.toy import ROOT

SCRIPT = ROOT / 'tools/benchmarks/gpu.sh'


def run(*args, code=0):
    done = subprocess.run(['bash', SCRIPT, *map(str, args)],
                          capture_output=True,
                          text=True,
                          env=dict(os.environ, CUDA_VISIBLE_DEVICES=''))
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_parts_run_without_a_gpu(tmp_path):
    run(tmp_path, '--dry', '--minutes', 30, '--parts', 'tests', 'training',
        'kernels', 'growth')
    parts = json.loads((tmp_path / 'gpu.json').read_text())['parts']
    assert {part['status'] for part in parts.values()} == {'done'}
    assert 'needs a GPU' in parts['tests']['printed']
    text = (tmp_path / 'gpu.md').read_text()
    for name, part in parts.items():
        assert part['title'] in text
        assert name == 'tests' or part['tables'], name


def test_without_time_it_says_so(tmp_path):
    run(tmp_path, '--dry', '--minutes', 0, '--parts', 'kernels')
    parts = json.loads((tmp_path / 'gpu.json').read_text())['parts']
    assert parts['kernels']['status'] == 'no time was left'


def test_no_gpu():
    assert 'no GPU here; --dry' in run(code=1)
