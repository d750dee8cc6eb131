"""The short form of ``python -m tests.faults --long``."""
import json
import random
import subprocess
import sys

import pytest

from tests.decoders import needs_torchcodec
from tests.toy import ROOT

from . import mutations


@pytest.mark.slow
@pytest.mark.parametrize('part, options, counts', [
    ('kills', ['--count', '60'], {'the same': 60}),
    ('signals', [], {'the same': 36}),
    ('videos', ['--count', '2000'], {'read': 100, 'refused': 100}),
    ('videos', ['--count', '500', '--decoder', 'decord'],
     {'read': 25, 'refused': 25}),
    pytest.param(
        'videos', ['--count', '200', '--decoder', 'torchcodec'],
        {'read': 10, 'refused': 10}, marks=needs_torchcodec),
    ('lists', ['--count', '1000'], {'read': 50, 'refused': 500}),
])
def test_faults(part, options, counts, tmp_path):
    """A process of its own: it must not have trained before it forks."""
    report = tmp_path / 'report.json'
    done = subprocess.run(
        [
            sys.executable, '-m', 'tests.faults', part, '--json', report,
            *options
        ],
        cwd=ROOT,
        capture_output=True,
        text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    found, = json.loads(report.read_text()).values()
    assert set(found) <= set(counts)
    for what, least in counts.items():
        assert found[what] >= least


@pytest.mark.parametrize('damage', mutations.BINARY)
def test_damage(damage):
    """Mutations change what they get, and the same number does the same."""
    data = bytes(range(256)) * 8 + b'a title'
    changed = [damage(data, random.Random(number)) for number in range(40)]
    assert changed == [damage(data, random.Random(n)) for n in range(40)]
    assert sum(x != data for x in changed) > 30
