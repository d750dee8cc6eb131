"""Griffe extension: docstrings as Markdown and mkdocstrings have them."""
import re

import griffe

ROLE = re.compile(r':(?:\w+):`([^`]+)`')
# `a, b: See ...` and the lines that go on with it
GROUP = re.compile(r'^( +)(\w+(?:, \w+)+): (.*(?:\n\1 +.*)*)$', re.M)


class Docstrings(griffe.Extension):
    """Sphinx roles become code; arguments that are explained together get a
    row each."""

    def on_object(self, *, obj: griffe.Object, **kwargs) -> None:
        if obj.docstring:
            text = GROUP.sub(_apart, obj.docstring.value)
            obj.docstring.value = ROLE.sub(_code, text)


def _apart(match: re.Match) -> str:
    indent, names, text = match.groups()
    return '\n'.join(f'{indent}{name}: {text}' for name in names.split(', '))


def _code(match: re.Match) -> str:
    """``~a.b.c`` is shown as ``c``."""
    name = match.group(1)
    return f'`{name.rpartition(".")[2] if name[0] == "~" else name}`'
