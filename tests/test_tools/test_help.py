"""Every tool says what it does, some of them at once."""
import os
import runpy
import subprocess
import sys

import pytest

from tests.toy import ROOT

TOOLS = sorted(
    path for path in (ROOT / 'tools').rglob('*.py')
    if "if __name__ == '__main__':" in path.read_text())
# Those of every day do not wait for torch and the host.
AT_ONCE = ('train.py', 'test.py', 'results/report.py')
SCRIPT = '''
import atexit, runpy, sys
tool = sys.argv.pop(1)
sys.argv[0] = tool
atexit.register(lambda: print('torch' in sys.modules))
runpy.run_path(tool, run_name='__main__')
'''


@pytest.mark.parametrize('tool', TOOLS, ids=lambda x: x.stem)
def test_help(tool, monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', [str(tool), '--help'])
    monkeypatch.syspath_prepend(str(tool.parent))
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(tool), run_name='__main__')
    said = capsys.readouterr().out
    assert end.value.code == 0 and said.startswith('usage: ')
    # What it is for, not its options alone.
    about = said.partition('\n\n')[2].split('\n\n')[0]
    assert about and not about.startswith(('options', 'positional')), said


@pytest.mark.parametrize('tool', AT_ONCE)
def test_help_without_waiting(tool):
    done = subprocess.run(
        [sys.executable, '-c', SCRIPT,
         str(ROOT / 'tools' / tool), '--help'],
        env=dict(os.environ, PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
        check=True)
    assert done.stdout.startswith('usage: ')
    assert done.stdout.endswith('False\n')
