"""The scripts of docs/evidence.md and docs/sound.md, dry: all commands that
they would run, understood by the tools that they call."""
import json
import os
import shutil
import subprocess

import pytest

from tests.test_docs import typed
from tests.toy import ROOT

# Stands for the Python of .venv.
RECORDER = '''#!/usr/bin/env python3
import json, os, sys
with open(os.environ['RECORD'], 'a') as file:
    file.write(json.dumps(sys.argv[1:]) + '\\n')
'''


@pytest.fixture
def dry(tmp_path):
    """Runs a script in a folder where everything is installed; the commands
    of Python."""
    shutil.copytree(ROOT / 'tools', tmp_path / 'tools')
    shutil.copy(ROOT / 'setup.cfg', tmp_path)
    commands = tmp_path / '.venv/bin'
    commands.mkdir(parents=True)
    for name in ('python', 'pip'):
        (commands / name).write_text(RECORDER)
        (commands / name).chmod(0o755)
    (commands / 'activate').write_text('PATH="$PWD/.venv/bin:$PATH"\n')
    subprocess.run(
        'echo "$(cat setup.cfg tools/install.sh | cksum) in $PWD" '
        '>.venv/.installed',
        shell=True,
        cwd=tmp_path,
        check=True)
    for folder in ('sound', 'evidence/tables/demo', 'evidence/longer/demo'):
        (tmp_path / 'work_dirs' / folder).mkdir(parents=True)

    def run(*words):
        record = tmp_path / 'record'
        done = subprocess.run(
            ['bash', *words],
            cwd=tmp_path,
            env=dict(os.environ, RECORD=str(record)),
            capture_output=True,
            text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return [json.loads(x) for x in record.read_text().splitlines()]

    return run


@pytest.mark.parametrize('script, count, last', [
    ('evidence.sh', 1 + 6 + 4 + 2, 'tools/demo/relation.py'),
    ('evidence.sh peers', 1 + 2 + 1, 'tools/evidence/run_table.py'),
    ('evidence.sh peers --rows peer_evl --seeds 3', 4,
     'tools/evidence/run_table.py'),
    ('evidence.sh peers --profile paper --gpus 8', 1,
     'tools/evidence/run_table.py'),
    ('sound.sh', 1 + 3 + 1 + 1, 'tools/demo/sound_table.py'),
])
def test_every_command_is_understood(dry, script, count, last):
    name, *words = script.split()
    commands = dry(f'tools/evidence/{name}', *words)
    assert len(commands) == count and commands[-1][0] == last
    for tool, *arguments in commands:
        command = typed.Command(name, tool, arguments, whole=True)
        assert typed.complaint(command) is None
    more = words[1:]  # behind the script's own
    assert not more or commands[-1][-len(more):] == more


def test_something_else_is_refused():
    done = subprocess.run(
        ['bash', str(ROOT / 'tools/evidence/evidence.sh'), 'pears'],
        capture_output=True,
        text=True)
    assert done.returncode == 2 and 'evidence.sh peers' in done.stderr
