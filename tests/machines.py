"""Starts tools as processes of several machines, without their imports.

A server that has imported everything forks for each process; it must not have
trained itself. It reads a JSON a line, ``{"start": {...}}`` or ``{"wait":
pid}``, and answers with the process id or the exit status.
"""
import json
import os
import runpy
import socket
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, Optional

from tests.forks import fork, wait

SECONDS = 100.  # what takes longer hangs
ROOT = Path(__file__).resolve().parent.parent


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return str(probe.getsockname()[1])


class Machines:
    """The server, seen from a test."""

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, '-m', 'tests.machines'],
            cwd=ROOT,
            env=dict(os.environ, CUDA_VISIBLE_DEVICES='', OMP_NUM_THREADS='1'),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True)

    def _ask(self, **question) -> int:
        print(json.dumps(question), file=self._server.stdin, flush=True)
        return json.loads(self._server.stdout.readline())

    def start(self, folders: List[Path], *words,
              each: Optional[List[list]] = None, **environment) -> List[int]:
        """Start one process a folder, each as the only one of a machine.

        Args:
            folders: Their working directories; output goes to ``out.txt``.
            words: The tool and its arguments.
            each: More arguments for each.
            environment: More variables.
        """
        port, number = free_port(), len(folders)
        return [
            self._ask(
                start=dict(
                    folder=str(folder),
                    words=[*map(str, words),
                           *map(str, each[rank] if each else ())],
                    environment=dict(
                        environment,
                        RANK=str(rank),
                        WORLD_SIZE=str(number),
                        LOCAL_RANK='0',
                        MASTER_ADDR='127.0.0.1',
                        MASTER_PORT=port))) for rank, folder in
            enumerate(folders)
        ]

    def wait(self, pids: List[int]) -> List[int]:
        """Their exit statuses; minus the signal that ended one."""
        return [self._ask(wait=pid) for pid in pids]

    def run(self, folders: List[Path], *words, **more) -> List[int]:
        return self.wait(self.start(folders, *words, **more))

    def close(self) -> None:
        self._server.stdin.close()
        self._server.wait(timeout=60)


def start(folder: str, words: List[str], environment: Dict[str, str]) -> int:
    """A tool in a folder, as a process; its id."""

    def work() -> None:
        os.close(0)
        os.chdir(folder)
        os.environ.update(environment)
        sys.path.insert(0, folder)
        sys.argv = words
        runpy.run_path(words[0], run_name='__main__')

    return fork(work, Path(folder, 'out.txt'))


def serve() -> None:
    import cast_mmaction  # noqa: F401
    import tests.toy  # noqa: F401
    for line in sys.stdin:
        question = json.loads(line)
        if 'start' in question:
            answer = start(**question['start'])
        else:
            answer = wait(question['wait'], SECONDS)
        print(json.dumps(answer), flush=True)


if __name__ == '__main__':
    serve()
