"""Parts of the page as HTML. Every word that comes from a file is escaped:
names of classes and of videos are other people's."""
import base64
import io
from html import escape
from typing import Dict, List, Mapping

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from ..prediction.answers import Answer, Guess
from ..prediction.drawing import COLORS
from ..visualization.overlay import Row, blend

# One colour a task; blue, vermilion and green of Okabe and Ito.
TASK_COLORS = dict(label=COLORS[0], verb=COLORS[0], noun=COLORS[5],
                   action=COLORS[2])
STYLE = '''
.cast-bars { margin: 0 0 .8rem }
.cast-bars h4 { margin: .2rem 0; font-size: .95rem }
.cast-bar { position: relative; margin: 3px 0; height: 1.75rem;
  border-radius: 4px; background: var(--background-fill-secondary) }
.cast-fill { position: absolute; inset: 0 auto 0 0; border-radius: 4px;
  opacity: .38 }
.cast-name, .cast-score { position: absolute; top: 0; line-height: 1.75rem;
  font-size: .9rem; color: var(--body-text-color) }
.cast-name { left: .6rem; right: 4.2rem; overflow: hidden;
  white-space: nowrap; text-overflow: ellipsis }
.cast-score { right: .6rem; font-variant-numeric: tabular-nums }
.cast-columns { display: grid; gap: 0 1.4rem;
  grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)) }
.cast-answer > :nth-child(3) { grid-column: 1 / -1 }
.cast-note { padding: .5rem .8rem; border-radius: 4px; font-size: .92rem;
  margin: .2rem 0; border-left: 4px solid #0072B2;
  background: var(--background-fill-secondary);
  color: var(--body-text-color) }
.cast-note.error { border-color: #D55E00 }
.cast-note.toy { border-color: #E69F00 }
.cast-picture { width: 100%; background: white; border-radius: 4px }
.cast-picture.chart { max-width: 60rem }
.cast-strip { display: flex; gap: 6px; flex-wrap: wrap }
.cast-strip img { height: 84px; border-radius: 3px }
.cast-row h4 { margin: .9rem 0 .3rem; font-size: .95rem }
.cast-steps { display: grid; gap: 8px;
  grid-template-columns: repeat(auto-fill, minmax(112px, 1fr)) }
.cast-steps.few { grid-template-columns: repeat(4, minmax(0, 15rem)) }
.cast-step { margin: 0 }
.cast-step > div { position: relative }
.cast-step img { width: 100%; display: block; border-radius: 3px;
  image-rendering: pixelated }
.cast-step figcaption { font-size: .8rem; text-align: center;
  color: var(--body-text-color); opacity: .8 }
.cast-asks { position: absolute; box-sizing: border-box;
  border: 3px solid #56B4E9; outline: 1px solid black }
footer { display: none }
.cast-small { opacity: .75 }
#examples .grid-wrap { min-height: 0 }
'''


def bars(guesses: List[Guess], task: str) -> str:
    """The best classes of a task, with their probabilities."""
    rows = ''.join(
        f'<div class="cast-bar"><div class="cast-fill" style="width:'
        f'{100 * guess.score:.1f}%;background:{TASK_COLORS[task]}"></div>'
        f'<span class="cast-name" title="{escape(guess.name)}">'
        f'{escape(guess.name)}</span>'
        f'<span class="cast-score">{100 * guess.score:.1f} %</span></div>'
        for guess in guesses)
    title = '' if task == 'label' else f'<h4>{task}</h4>'
    return f'<div class="cast-bars">{title}{rows}</div>'


def answer(one: Answer) -> str:
    """All tasks of an answer, side by side."""
    columns = ''.join(bars(guesses, task) for task, guesses in one.top.items())
    return f'<div class="cast-columns cast-answer">{columns}</div>'


def side_by_side(answers: Mapping[str, Answer], top: int = 3) -> str:
    """The first classes of several models, a column a model."""
    columns = ''
    for name, one in answers.items():
        tasks = ''.join(bars(guesses[:top], task)
                        for task, guesses in one.top.items())
        columns += f'<div><h3>{escape(name)}</h3>{tasks}</div>'
    return f'<div class="cast-columns">{columns}</div>'


def note(text: str, kind: str = '') -> str:
    """A sentence in a box; of the kinds '', 'error' and 'toy'."""
    role = 'alert' if kind == 'error' else 'status'
    return f'<div class="cast-note {kind}" role="{role}">{escape(text)}</div>'


def figure(drawing: Figure, says: str) -> str:
    """A chart, as part of the page: nothing is left on the disk."""
    buffer = io.BytesIO()
    drawing.savefig(buffer, format='png', dpi=120)
    return _image(buffer.getvalue(), says, 'class="cast-picture chart"')


def strip(pictures: List[np.ndarray]) -> str:
    """Frames in a row."""
    images = ''.join(
        _png(picture, f'frame {number}')
        for number, picture in enumerate(pictures, 1))
    return f'<div class="cast-strip">{images}</div>'


def row(one: Row) -> str:
    """A map over the moments of a clip, hot where it is strong."""
    title = one.title
    if not one.heat.any():
        title += ' (no patch speaks for it)'
    largest, least = float(one.heat.max()) or 1., float(one.heat.min())
    shares = one.heat.sum(axis=(1, 2)) / (float(one.heat.sum()) or 1.)
    steps = ''
    for step, (picture, heat) in enumerate(zip(one.pictures, one.heat)):
        caption = f'moment {step}'
        if one.bars:
            caption += f', {100 * shares[step]:.0f} %'
        shown = blend(picture, (heat - least) / largest)
        image = _png(shown[::-1] if one.low_first else shown, caption)
        asks = ''
        if one.asking is not None and one.asking[0] == step:
            (_, y, x), (rows, columns) = one.asking, one.asking_grid
            y = rows - 1 - y if one.low_first else y
            asks = _frame(y, x, rows, columns)
        steps += (f'<figure class="cast-step"><div>{image}{asks}</div>'
                  f'<figcaption>{caption}</figcaption></figure>')
    few = 'few' if len(one.pictures) <= 4 else ''
    return (f'<div class="cast-row"><h4>{escape(title)}</h4>'
            f'<div class="cast-steps {few}">{steps}</div></div>')


def _frame(y: int, x: int, rows: int, columns: int) -> str:
    """The patch that asks, framed."""
    return (f'<span class="cast-asks" style="left:{100 * x / columns:.2f}%;'
            f'top:{100 * y / rows:.2f}%;width:{100 / columns:.2f}%;'
            f'height:{100 / rows:.2f}%"></span>')


def _png(picture: np.ndarray, says: str) -> str:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, 'png')
    return _image(buffer.getvalue(), says, '')


def _image(png: bytes, says: str, attributes: str) -> str:
    data = base64.b64encode(png).decode()
    return (f'<img {attributes} alt="{escape(says)}" '
            f'src="data:image/png;base64,{data}">')
