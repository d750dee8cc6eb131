"""MkDocs hook: what is right in the repository, made right for the site.

Links out of docs/ lead to the page that the site has of a file, or show its
path. An argument that a class hands on has no default in its signature; that
does not make it required.
"""
import re
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
PAGES = {'configs/README.md': 'recipes.md', 'README.md': 'index.md'}
HANDED_ON = re.compile(
    r'(<td>\s*</td>\s*<td>(?:(?!</td>).)*</td>\s*<td>)\s*<em>required</em>',
    re.S)
LINK = re.compile(r'(?<!!)\[([^\]\n]+)\]\(((?!https?:|#)[^)\s]+)\)')


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig,
                     files: Files) -> str:
    """Change the links of a page that lead out of the site.

    Raises:
        ValueError: If one leads to nothing.
    """
    # The page that is made of configs/README.md has that file's links.
    folder = ROOT / 'docs' / PurePosixPath(page.file.src_uri).parent
    if page.file.src_uri == 'recipes.md':
        folder = ROOT / 'configs'

    def target(match: re.Match) -> str:
        text, link = match.groups()
        path, mark, anchor = link.partition('#')
        file = (folder / path).resolve()
        uri = PAGES.get(_relative(file, ROOT)) or _relative(
            file, ROOT / 'docs')
        if uri and files.get_file_from_path(uri):
            up = '../' * page.file.src_uri.count('/')
            return f'[{text}]({up}{uri}{mark}{anchor})'
        if not file.exists():
            raise ValueError(f'{page.file.src_uri}: a link to {link}, which '
                             'is not there')
        inside = _relative(file, ROOT)
        return text if text.strip('`') == inside else f'{text} (`{inside}`)'

    return LINK.sub(target, markdown)


def on_page_content(html: str, page: Page, config: MkDocsConfig,
                    files: Files) -> str:
    """Take 'required' from arguments without a type: they are not in the
    signature."""
    return HANDED_ON.sub(r'\1', html)


def _relative(file: Path, folder: Path) -> str:
    """The path of a file from a folder; '' if it is not in there."""
    return file.relative_to(folder).as_posix() if file.is_relative_to(
        folder) else ''
