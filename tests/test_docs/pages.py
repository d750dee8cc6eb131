"""What README and docs ask a reader to type, and how a test is to run it.

A fenced block of bash or python is run as it stands. A comment right before
it says otherwise:

    <!-- test: with OLD => NEW; OLD => NEW -->   run, with small sizes
    <!-- test: file PATH -->                     written there, for others
    <!-- test: config BASE -->                   a part of a config over BASE:
                                                 its model is built
    <!-- test: skip REASON -->                   not run
    <!-- test: of PROJECT -->                    a message that is not ours
"""
import re
from pathlib import Path
from typing import Iterator, List, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
RUN = ('bash', 'python')
# Languages of blocks that nobody types.
SHOWN = ('text', 'json', 'yaml', 'bibtex', 'csv', 'diff')
FENCE = re.compile(r'^( *)```(\S*)[^\n]*\n(.*?)^\1```', re.M | re.S)
MARKER = re.compile(r'<!-- test: ((?:(?!-->).)*) -->\s*\Z', re.S)
KINDS = ('with', 'file', 'config', 'skip', 'of')
COMMAND = re.compile(r'(?:\$ )?(?:[A-Z_]+=\S+ )*(?:python3?|bash|sh|pip|tools/'
                     r'|cast-predict|mkdocs|torchrun|\./)\S* ?')


class Block(NamedTuple):
    """A fenced block.

    Attributes:
        place: File and line.
        language: Of the fence.
        text: What is in it.
        kind: One of ``KINDS``, '' without a comment.
        words: What the comment says behind that.
    """
    place: str
    language: str
    text: str
    kind: str
    words: str

    def typed(self) -> str:
        """The text with small sizes.

        Raises:
            ValueError: If there is nothing to replace any more.
        """
        text = self.text
        if self.kind != 'with':
            return text
        for pair in self.words.split(';'):
            old, arrow, new = (x.strip() for x in pair.partition('=>'))
            if not arrow or old not in text:
                raise ValueError(f'{self.place}: {old!r} of the comment is '
                                 'not in the block')
            text = text.replace(old, new)
        return text


def pages() -> List[Path]:
    """README and all pages of docs/."""
    return [ROOT / 'README.md', *sorted((ROOT / 'docs').glob('*.md'))]


def readmes() -> List[Path]:
    """Those of the configs."""
    return sorted((ROOT / 'configs').rglob('README.md'))


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page."""
    text = page.read_text()
    for match in FENCE.finditer(text):
        indent, language, body = match.groups()
        body = re.sub(f'^{indent}', '', body, flags=re.M)
        line = text.count('\n', 0, match.start()) + 1
        place = f'{page.relative_to(ROOT)}:{line}'
        marker = MARKER.search(text[:match.start()])
        words = ' '.join(marker.group(1).split()) if marker else ''
        kind, _, rest = words.partition(' ')
        yield Block(place, language, body, kind, rest)


def complaints(page: Path) -> List[str]:
    """Blocks that no test would run, and comments that say nothing."""
    found = []
    for block in blocks(page):
        if block.language not in RUN + SHOWN:
            found.append(f'{block.place}: a block of {block.language!r}; use '
                         f'one of {RUN + SHOWN}')
        if block.kind and block.kind not in KINDS:
            found.append(f'{block.place}: {block.kind!r} is none of {KINDS}')
        if block.kind and not block.words:
            found.append(f'{block.place}: {block.kind} what, or why?')
        if block.kind == 'skip' and len(block.words.split()) < 3:
            found.append(f'{block.place}: skipped without a reason')
        if block.language in SHOWN:
            for line in block.text.splitlines():
                if COMMAND.match(line) and block.language == 'text':
                    found.append(f'{block.place}: {line!r} is a command in a '
                                 'block that is not run')
    rest = FENCE.sub('', page.read_text())
    for line in rest.splitlines():
        if line.startswith('    ') and COMMAND.match(line.strip()):
            found.append(f'{page.name}: {line.strip()!r} is a command in an '
                         'indented block, which no test runs')
    return found
