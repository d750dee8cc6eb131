"""Processes with different checkouts of this project that take turns."""
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Callable

CHILD = '--child'


class Contender:
    """A process that works with the package of a checkout.

    Args:
        checkout (Path): Its root.
        script (str): Is run with ``--child TASK``; it calls `child` first,
            and gives the place of the package it imports as first answer.
        **task: What the script gets, as JSON.

    Raises:
        SystemExit: If it imports another package.
    """

    def __init__(self, checkout: Path, script: str, **task) -> None:
        env = dict(
            os.environ,
            PYTHONPATH=str(checkout),
            OMP_NUM_THREADS='1',
            CUDA_VISIBLE_DEVICES='')
        self.process = subprocess.Popen(
            [sys.executable, script, CHILD, json.dumps(task)],
            env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        origin = Path(self._answer())
        if checkout not in origin.parents:
            self.close()
            raise SystemExit(f'{checkout}: its processes import {origin}')

    def ask(self, question: str) -> Any:
        """What it answers to a line."""
        print(question, file=self.process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> Any:
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit('a process of the comparison has ended; its '
                             'error is above')
        return json.loads(line)

    def close(self) -> None:
        """Ends the process."""
        self.process.stdin.close()
        self.process.wait()


def child() -> Callable[[Any], None]:
    """Called in the process: what gives an answer. Nothing else goes out."""
    answers, sys.stdout = sys.stdout, sys.stderr
    # Older versions stop at a host that does not fit the newest transformers.
    vindlu = 'mmaction.models.multimodal'
    sys.modules[vindlu] = ModuleType(vindlu)
    return lambda what: print(json.dumps(what), file=answers, flush=True)
