"""A report as one HTML file that needs no other."""
import base64
from html import escape
from pathlib import Path
from typing import List, NamedTuple, Optional, Sequence

STYLE = '''
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px;
       margin: 2em auto; padding: 0 1em; color: #1b1b1b; }
h1 { font-size: 1.5em; } h2 { font-size: 1.2em; margin-top: 2em; }
table { border-collapse: collapse; font-size: .9em; }
th, td { padding: .25em .8em; border-bottom: 1px solid #ccc; }
th { text-align: left; } td + td { text-align: right; }
.wide { overflow-x: auto; } img { max-width: 100%; height: auto; }
'''


class Section(NamedTuple):
    """A part of a report.

    Attributes:
        title: Its heading.
        text: A paragraph.
        header: Of the table; empty for no table.
        rows: Of the table, one text per column.
        pictures: PNG files; their names, without the ending, are what a
            reader who does not see them is told.
    """
    title: str
    text: str = ''
    header: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    pictures: Sequence[Path] = ()


def html_page(title: str, sections: Sequence[Section]) -> str:
    """The whole file, its pictures within."""
    parts: List[Optional[str]] = [
        '<!DOCTYPE html>', '<html lang="en">', '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width">',
        f'<title>{escape(title)}</title>', f'<style>{STYLE}</style>',
        f'<h1>{escape(title)}</h1>'
    ]
    for section in sections:
        parts.append(f'<h2>{escape(section.title)}</h2>')
        if section.text:
            parts.append(f'<p>{escape(section.text)}</p>')
        if section.header:
            parts += ['<div class="wide"><table>', _row('th', section.header)]
            parts += [_row('td', row) for row in section.rows]
            parts.append('</table></div>')
        for picture in section.pictures:
            data = base64.b64encode(Path(picture).read_bytes()).decode()
            parts.append(f'<img alt="{escape(Path(picture).stem)}" '
                         f'src="data:image/png;base64,{data}">')
    return '\n'.join([*parts, '</html>', ''])


def _row(tag: str, cells: Sequence[str]) -> str:
    cells = ''.join(f'<{tag}>{escape(str(x))}</{tag}>' for x in cells)
    return f'<tr>{cells}</tr>'
