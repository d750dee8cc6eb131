"""Every command that a page shows, whether or not a test runs it: are there
such a tool, such configs and such options?"""
import argparse
import contextlib
import io
import re
import runpy
import shlex
import sys
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional

from .pages import FENCE, ROOT

# In the running text, where a line may end in it.
INLINE = re.compile(r'`([^`\n]+(?:\n[^`\n]+)?)`')
SHELLS = ('bash', 'shell', 'sh', 'text')
# What a launch script passes on: the tool, and where words of its own stand.
LAUNCHERS = {
    'dist_train.sh': ('train.py', (1, )),  # CONFIG GPUS
    'dist_test.sh': ('test.py', (2, )),  # CONFIG CHECKPOINT GPUS
    'slurm_train.sh': ('train.py', (0, 1)),  # PARTITION JOB_NAME CONFIG
    'slurm_test.sh': ('test.py', (0, 1)),
    'slurm_requeue.sh': ('train.py', ()),
    'gpu.sh': ('benchmarks/gpu.py', ()),
}
# Between two commands, or before one.
BETWEEN = {';', '&&', '||', '|', '&', '(', ')', 'do', 'then', 'done', 'if',
           'else', 'fi'}
# Arguments that a text leaves out, or names for a reader to choose.
MENTIONED = (r'arguments are required|expected (at least )?one argument|'
             r"invalid choice: '[A-Z]+'")
SETS = re.compile(r'([A-Za-z_]\w*)=(.*)', re.S)


class Command(NamedTuple):
    """A tool and its arguments.

    Attributes:
        place: File and line.
        tool: The path of the script.
        words: The arguments.
        whole: Whether a reader would type it so; a text may only mention it.
    """
    place: str
    tool: str
    words: List[str]
    whole: bool

    def __str__(self) -> str:
        return f'{self.place}: {shlex.join([self.tool, *self.words])}'


def commands(page: Path) -> Iterator[Command]:
    """Those that call a tool of this project."""
    text = page.read_text()
    name = page.relative_to(ROOT) if ROOT in page.parents else page.name
    for match in FENCE.finditer(text):
        if match.group(2) in SHELLS:
            line = text.count('\n', 0, match.start()) + 1
            yield from _of_shell(match.group(3), f'{name}:{line}', True)
    for inline in INLINE.finditer(FENCE.sub('', text)):
        yield from _of_shell(
            inline.group(1).replace('\n', ' '), str(name), False)


def _of_shell(text: str, place: str, whole: bool) -> Iterator[Command]:
    values: Dict[str, str] = {}
    for line in text.replace('\\\n', ' ').splitlines():
        words: List[str] = []
        for word in [*_split(line), ';']:
            if word not in BETWEEN:
                words.append(
                    re.sub(r'\$\{?(\w+)\}?',
                           lambda x: values.get(x[1], x[0]), word))
                continue
            while words and SETS.fullmatch(words[0]):
                key, value = SETS.fullmatch(words.pop(0)).groups()
                values[key] = value
            found = _tool_of(words)
            if found is not None:
                yield Command(place, *found, whole)
            words = []


def _split(line: str) -> List[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        return list(lexer)
    except ValueError:  # a text with an apostrophe, no command
        return []


def _tool_of(words: List[str]) -> Optional[tuple]:
    rest = list(words)
    if rest and rest[0] in ('python', 'python3', 'bash', 'sh', 'sbatch'):
        rest.pop(0)
        while rest and rest[0].startswith('--'):
            rest.pop(0)  # of sbatch
    for sign in ('>', '2>', '>>', '<'):  # where output goes
        if sign in rest:
            rest = rest[:rest.index(sign)]
    if not rest:
        return None
    if rest[0] == 'cast-predict':
        return 'tools/predict.py', rest[1:]
    if re.fullmatch(r'(\./)?tools/\S+\.(py|sh)', rest[0]):
        return rest[0].removeprefix('./'), rest[1:]
    return None


def complaint(command: Command) -> Optional[str]:
    """What is wrong with a command; None if nothing is."""
    path, words = ROOT / command.tool, list(command.words)
    if not path.is_file():
        return f'{command}: there is no {command.tool}'
    for word in words:
        if re.fullmatch(r'configs/[\w./-]+\.py', word) and not (
                ROOT / word).is_file():
            return f'{command}: there is no {word}'
    if not words:  # the tool is named, not called
        return None
    if path.name in LAUNCHERS:
        tool, own = LAUNCHERS[path.name]
        path = ROOT / 'tools' / tool
        words = [x for i, x in enumerate(words) if i not in own]
    elif command.tool == 'tools/evidence/evidence.sh':
        path = ROOT / 'tools/evidence/run_table.py'
    if 'argparse' not in path.read_text():  # it takes what comes
        return None
    if words[-1] == '...':  # and so on
        return None
    error = refusal(path, words)
    if error is None or not command.whole and re.search(MENTIONED, error):
        return None
    return f'{command}: {error}'


class Parsed(Exception):
    """The command line was understood."""


def refusal(tool: Path, words: List[str]) -> Optional[str]:
    """What a tool's parser says to words; None if it takes them."""
    parse = argparse.ArgumentParser.parse_args

    def parse_args(parser, *args, **kwargs):
        parse(parser, *args, **kwargs)
        raise Parsed

    said = io.StringIO()
    argv, path = sys.argv, list(sys.path)
    argparse.ArgumentParser.parse_args = parse_args
    sys.argv, sys.path[:0] = [str(tool), *words], [str(tool.parent)]
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(
                said):
            runpy.run_path(str(tool), run_name='__main__')
    except Parsed:
        return None
    except SystemExit as end:
        if end.code == 0:  # --help
            return None
        return said.getvalue().strip().splitlines()[-1]
    finally:
        argparse.ArgumentParser.parse_args = parse
        sys.argv, sys.path[:] = argv, path
    return f'{tool.name} parses nothing'
