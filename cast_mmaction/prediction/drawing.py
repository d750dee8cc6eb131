"""Answers drawn: into the video itself, and as a line of time."""
from fractions import Fraction
from pathlib import Path
from typing import Dict, List, Optional, Sequence

import av
import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont
from PIL import Image, ImageDraw, ImageFont

from ..atomic_write import atomic_write
from .answers import Answer, Guess

# Okabe and Ito's colours, which the colour-blind can tell apart.
COLORS = ('#0072B2', '#E69F00', '#009E73', '#CC79A7', '#56B4E9', '#D55E00',
          '#F0E442', '#000000')
MIN_HEIGHT = 240  # pixels: below, names cannot be read


def draw_answers(answers: Sequence[Answer], path: Path) -> None:
    """Write a video again with its answers in a band below the picture.

    Args:
        answers: Of one video: one, or one a window. A frame shows the window
            whose middle is nearest.
        path: The mp4 file to write.
    """
    source = answers[0].video
    with av.open(source) as reader, atomic_write(path) as temporary:
        stream = reader.streams.video[0]
        rate = stream.average_rate or Fraction(30)
        with av.open(str(temporary), 'w', format='mp4') as writer:
            output = None
            for number, frame in enumerate(reader.decode(stream)):
                image = _enlarged(frame.to_image())
                answer = _at(answers, number / float(rate))
                image = _with_band(image, answer)
                if output is None:
                    output = writer.add_stream('libx264', rate=rate)
                    output.width, output.height = image.size
                    output.pix_fmt = 'yuv420p'
                for packet in output.encode(
                        av.VideoFrame.from_image(image)):
                    writer.mux(packet)
            for packet in output.encode():
                writer.mux(packet)


def _enlarged(image: Image.Image) -> Image.Image:
    """At least ``MIN_HEIGHT`` high, with even sides as codecs want them."""
    factor = max(MIN_HEIGHT / image.height, 1)
    size = [round(side * factor / 2) * 2 for side in image.size]
    return image if list(image.size) == size else image.resize(size)


def _at(answers: Sequence[Answer], seconds: float) -> Answer:
    if answers[0].start is None:
        return answers[0]
    return min(
        answers, key=lambda a: abs((a.start + a.stop) / 2 - seconds))


def _with_band(image: Image.Image, answer: Answer) -> Image.Image:
    lines = _lines(answer)
    size = max(image.height // 18, 12)
    font = ImageFont.truetype(findfont('DejaVu Sans'), size)
    row = size * 3 // 2
    height = (row * len(lines) + size) // 2 * 2
    canvas = Image.new('RGB', (image.width, image.height + height), 'black')
    canvas.paste(image)
    draw = ImageDraw.Draw(canvas)
    for place, guess in enumerate(lines):
        top = image.height + size // 2 + place * row
        width = int(guess.score * (image.width - size))
        draw.rectangle(
            (size // 2, top, size // 2 + width, top + row - 3),
            fill=COLORS[0])
        draw.text((size // 2 + 4, top),
                  _fitting(f'{100 * guess.score:.0f} %  {guess.name}', font,
                           image.width - size - 8),
                  font=font,
                  fill='white')
    return canvas


def _lines(answer: Answer) -> List[Guess]:
    """Three guesses of one task, or the best of each of several."""
    if len(answer.top) == 1:
        guesses, = answer.top.values()
        return guesses[:3]
    return [
        Guess(f'{task}: {guesses[0].name}', guesses[0].score)
        for task, guesses in answer.top.items()
    ]


def _fitting(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    while font.getlength(text) > width and len(text) > 8:
        text = text[:-2] + '…'
    return text


def timeline_chart(answers: Sequence[Answer], path: Path) -> None:
    """Write :func:`timeline_figure`; the file's ending tells the format."""
    timeline_figure(answers).savefig(path, dpi=150)


def timeline_figure(answers: Sequence[Answer]) -> Figure:
    """Which class leads when, a panel a task.

    Args:
        answers: The windows of one video, in order.
    """
    answers = [answer for answer in answers if answer.top]
    tasks = list(answers[0].top)
    leaders = {
        task: _leaders([answer.top[task][0] for answer in answers])
        for task in tasks
    }
    rows = sum(len(names) + 1.5 for names in leaders.values())
    with matplotlib.rc_context({'font.size': 9}):
        figure = Figure((9, 1 + .28 * rows), layout='constrained')
        axes = figure.subplots(
            len(tasks), 1, squeeze=False, sharex=True,
            height_ratios=[len(leaders[task]) + 1 for task in tasks])[:, 0]
        for ax, task in zip(axes, tasks):
            _draw_task(ax, task, answers, leaders[task])
        axes[-1].set_xlabel('seconds')
        figure.suptitle(Path(answers[0].video).name)
    return figure


def _leaders(best: Sequence[Guess]) -> Dict[str, int]:
    """Rows of the classes that lead somewhere, by first appearance."""
    return {
        name: row
        for row, name in enumerate(dict.fromkeys(g.name for g in best))
    }


def _draw_task(ax, task: str, answers: Sequence[Answer],
               rows: Dict[str, int]) -> None:
    edges = _shares([answer.start for answer in answers],
                    [answer.stop for answer in answers])
    for answer, (begin, end) in zip(answers, edges):
        best = answer.top[task][0]
        row = rows[best.name]
        ax.broken_barh([(begin, end - begin)], (row - .4, .8),
                       facecolor=COLORS[row % len(COLORS)],
                       alpha=min(max(best.score, .15), 1.))
    ax.set_yticks(range(len(rows)), list(rows))
    ax.set_ylim(len(rows) - .4, -.6)
    ax.set_title(f'{task} (the stronger the colour, the surer)', loc='left',
                 fontsize=9)


def _shares(starts: Sequence[Optional[float]],
            stops: Sequence[Optional[float]]) -> np.ndarray:
    """Overlapping windows as parts that touch: each gives way to the next
    half-way between their middles."""
    middles = (np.array(starts) + np.array(stops)) / 2
    cuts = (middles[1:] + middles[:-1]) / 2
    return np.stack([
        np.concatenate([starts[:1], cuts]),
        np.concatenate([cuts, stops[-1:]])
    ], axis=1)
