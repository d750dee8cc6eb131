"""A Python whose imports are done: what docs call is run by a fork of it.

    python -m tests.preforked SOCKET

Importing the package takes longer than most commands. ``shim`` writes the
commands ``python``, ``python3``, ``pip``, ``cast-predict`` that ask it; shell
scripts, pipes and variables work as ever. Three things differ: torchrun
starts the one process itself, the launch scripts count 16 GPUs, and pip looks
whether the requirements can be meant, but installs nothing.
"""
import atexit
import configparser
import importlib
import json
import os
import re
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Iterator, List

from tests.forks import fork, outcome

ROOT = Path(__file__).resolve().parents[1]
SHIM = '''#!{python} -IS
import json, os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
words = json.dumps([{name!r}, sys.argv[1:], os.getcwd(), dict(os.environ)])
socket.send_fds(server, [(words + chr(10)).encode()], [0, 1, 2])
answer = server.recv(1)
sys.exit(answer[0] if answer else 'the process died')
'''


@contextmanager
def serving(folder: Path) -> Iterator[None]:
    """While it lasts, a folder has the commands, and their server runs."""
    environment = dict(
        os.environ, OMP_NUM_THREADS='1', PYTHONPATH=str(ROOT))
    # The path of a socket is short, those of pytest are not.
    with tempfile.TemporaryDirectory() as place:
        address = f'{place}/socket'
        shim(folder, address)
        server = subprocess.Popen(
            [sys.executable, '-m', 'tests.preforked', address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=environment)
        with server:
            assert server.stdout.readline() == 'ready\n'
            yield


def shim(folder: Path, address: str) -> None:
    """Write the commands that ask the server at an address."""
    for name in ('python', 'python3', 'pip', *scripts()):
        file = folder / name
        file.write_text(
            SHIM.format(python=sys.executable, address=address, name=name))
        file.chmod(0o755)


def setup() -> configparser.ConfigParser:
    """The package's setup.cfg."""
    config = configparser.ConfigParser()
    config.read(ROOT / 'setup.cfg')
    return config


def scripts() -> List[str]:
    """The package's console scripts."""
    lines = setup()['options.entry_points']['console_scripts'].split('\n')
    return [line.split('=')[0].strip() for line in lines if line.strip()]


def serve(address: str) -> None:
    """Answer until the standard input ends."""
    import cast_mmaction  # noqa: F401
    import mmaction.apis  # noqa: F401
    import mmaction.datasets  # noqa: F401
    import mmaction.models  # noqa: F401
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    server = socket.socket(socket.AF_UNIX)
    server.bind(address)
    server.listen()
    print('ready', flush=True)
    while sys.stdin not in select.select([server, sys.stdin], [], [])[0]:
        client, _ = server.accept()
        fork(partial(_answer, client, server))
        client.close()


def _answer(client: socket.socket, server: socket.socket) -> None:
    server.close()
    words, fds, _, _ = socket.recv_fds(client, 1 << 16, 3)
    while not words.endswith(b'\n'):
        words += client.recv(1 << 16)
    name, argv, folder, environment = json.loads(words)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number, fd in enumerate(fds):
        os.dup2(fd, number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:0] = environment.get('PYTHONPATH', '').split(':')
    code = outcome(partial(_call, name, argv))
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    client.send(bytes([code & 255]))


def _call(name: str, argv: List[str]) -> None:
    if name == 'pip':
        _pip(argv)
    elif name not in ('python', 'python3'):
        entry = setup()['options.entry_points']['console_scripts']
        module, function = re.search(rf'{name} *= *([\w.]+):(\w+)',
                                     entry).groups()
        sys.argv = [name, *argv]
        getattr(importlib.import_module(module), function)()
    elif argv[:1] == ['-']:
        sys.path.insert(0, '')
        exec(compile(sys.stdin.read(), '<stdin>', 'exec'),
             dict(__name__='__main__'))
    elif argv[:1] == ['-c']:
        import torch
        torch.cuda.device_count = lambda: 16
        exec(argv[1], dict(__name__='__main__'))
    elif argv[0].endswith('tools/launch.py') and \
            '--nproc-per-node' in argv:
        at = argv.index('--nproc-per-node') + 2
        script, *rest = argv[at:]
        at = rest.index('--launcher')
        _run_file(script, rest[:at] + rest[at + 2:])
    elif argv[:1] == ['-m']:
        sys.argv = argv[1:]
        sys.orig_argv = ['python', *argv]
        sys.path.insert(0, '')
        runpy.run_module(argv[1], run_name='__main__', alter_sys=True)
    else:
        _run_file(argv[0], argv[1:])


def _run_file(script: str, argv: List[str]) -> None:
    sys.argv = [script, *argv]
    sys.path[0] = os.path.dirname(os.path.abspath(script))
    runpy.run_path(script, run_name='__main__')


def _pip(argv: List[str]) -> None:
    from packaging.requirements import Requirement
    config, (command, *words) = setup(), argv
    if command not in ('install', 'uninstall'):
        raise ValueError(f'pip {command}: not known here')
    options = {'-e': 0, '-y': 0, '-U': 0, '--index-url': 1}
    while words:
        word = words.pop(0)
        if word.startswith('-'):
            del words[:options[word]]
            continue
        match = re.fullmatch(r'(\.|cast-mmaction|[\w.-]+\.whl)(?:\[(.*)\])?',
                             word)
        if match is None:
            Requirement(word)
            continue
        for extra in filter(None, (match.group(2) or '').split(',')):
            if extra not in config['options.extras_require']:
                raise ValueError(f'setup.cfg has no extra {extra!r}')


if __name__ == '__main__':
    serve(sys.argv[1])
