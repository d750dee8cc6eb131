"""Maps of tokens drawn over the frames of a clip."""
from fractions import Fraction
from pathlib import Path
from typing import List, NamedTuple, Optional, Sequence, Tuple

import av
import matplotlib
import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from ..atomic_write import atomic_write

HEAT = colormaps['inferno']  # of even lightness, also for the colour-blind
MARK = '#56B4E9'  # the patch that asks
STRONGEST = .75  # how much the hottest place covers of the picture
WIDTH = 5.6  # inches at least: room for a title above a single picture


class Row(NamedTuple):
    """One map over the steps of a clip.

    Attributes:
        title: What it shows, above the row.
        heat: ``(T, h, w)`` from 0 up. What a place has more than the least
            is drawn, relative to the largest: an even map leaves the picture
            as it is.
        pictures: One for each step, ``(H, W, 3)`` uint8 RGB.
        asking: Step, row and column of the patch that asks, in the grid of
            ``asking_grid``; None if no patch asks.
        asking_grid: Rows and columns.
        bars: Draw below each step its share of the whole map.
        low_first: The first row of picture and heat is the lowest one, as
            with the pitch of a spectrogram.
    """
    title: str
    heat: np.ndarray
    pictures: Sequence[np.ndarray]
    asking: Optional[Tuple[int, int, int]] = None
    asking_grid: Tuple[int, int] = (1, 1)
    bars: bool = True
    low_first: bool = False


def step_pictures(frames: Tensor, num_steps: int) -> List[np.ndarray]:
    """The frame that each time step ends with.

    Args:
        frames: ``(3, F, H, W)`` uint8.
        num_steps: Divides F.
    """
    per_step = frames.shape[1] // num_steps
    picked = frames[:, per_step - 1::per_step]
    return list(picked.permute(1, 2, 3, 0).numpy())


def blend(picture: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """A picture under heat ``(h, w)`` from 0 to 1, cell by cell: where a cell
    ends is where a token ends."""
    height, width = picture.shape[:2]
    rows = np.arange(height) * heat.shape[0] // height
    columns = np.arange(width) * heat.shape[1] // width
    fine = heat[rows][:, columns][..., None]
    colour = HEAT(fine[..., 0])[..., :3] * 255
    grey = picture.mean(axis=2, keepdims=True) * .6 + picture * .4
    share = fine * STRONGEST
    return ((1 - share) * grey + share * colour).astype(np.uint8)


def contact_sheet(rows: Sequence[Row], title: str = '') -> Figure:
    """All steps side by side, a row a map."""
    columns = max(len(row.pictures) for row in rows)
    with matplotlib.rc_context({'font.size': 9}):
        figure = Figure(
            (max(1.3 * columns + .4, WIDTH), 2.1 * len(rows) + .5),
            layout='constrained')
        parts = np.atleast_1d(figure.subfigures(len(rows), 1))
        for part, row in zip(parts, rows):
            _draw_row(part, row, columns)
        figure.suptitle(title)
    return figure


def _draw_row(part, row: Row, columns: int) -> None:
    part.suptitle(row.title, fontsize=9, x=.01, ha='left')
    if len(row.pictures) == 1:  # has the whole width
        _draw_step(part.subplots(), row, 0)
        return
    axes = part.subplots(
        2, columns, squeeze=False, height_ratios=[12, 1 if row.bars else .01])
    shares = row.heat.sum(axis=(1, 2)) / (float(row.heat.sum()) or 1.)
    for ax in axes.flatten():
        ax.set_axis_off()
    for step, ax in enumerate(axes[0, :len(row.pictures)]):
        _draw_step(ax, row, step)
        if row.bars:
            bar = axes[1, step]
            bar.barh([0], [shares[step]], color=HEAT(.6))
            bar.set_xlim(0, max(shares))
            ax.set_title(f'{100 * shares[step]:.0f} %', fontsize=8, pad=2)


def _draw_step(ax, row: Row, step: int) -> None:
    """One step's picture under its heat, and the patch that asks."""
    heat = row.heat[step] - row.heat.min()
    ax.imshow(
        blend(row.pictures[step], heat / (float(row.heat.max()) or 1.)),
        interpolation='nearest',
        origin='lower' if row.low_first else 'upper')
    ax.set_axis_off()
    _mark(ax, row, step)


def _mark(ax, row: Row, step: int) -> None:
    """Frames the patch that asks, in its own step."""
    if row.asking is None or row.asking[0] != step:
        return
    height, width = row.pictures[step].shape[:2]
    _, y, x = row.asking
    size = width / row.asking_grid[1], height / row.asking_grid[0]
    ax.add_patch(
        Rectangle((x * size[0] - .5, y * size[1] - .5),
                  *size,
                  fill=False,
                  edgecolor=MARK,
                  linewidth=2))


def save_sheet(figure: Figure, path: Path) -> None:
    """Write a figure; it appears whole."""
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=120, format=path.suffix[1:])


def save_video(rows: Sequence[Row], path: Path, title: str = '',
               fps: int = 2) -> None:
    """Write the steps one after the other as an mp4, a column a row of the
    sheet.

    Args:
        rows: Maps; those with fewer steps show a step for longer.
        path: The mp4 file.
        title: Line above.
        fps: Steps a second.
    """
    steps = max(len(row.pictures) for row in rows)
    with atomic_write(path) as temporary, av.open(
            str(temporary), 'w', format='mp4') as writer:
        stream = None
        for step in range(steps):
            image = _rendered(rows, step, steps, title)
            if stream is None:
                stream = writer.add_stream('libx264', rate=Fraction(fps))
                stream.height, stream.width = image.shape[:2]
                stream.pix_fmt = 'yuv420p'
            frame = av.VideoFrame.from_ndarray(image, 'rgb24')
            for packet in stream.encode(frame):
                writer.mux(packet)
        for packet in stream.encode():
            writer.mux(packet)


def _rendered(rows: Sequence[Row], step: int, steps: int,
              title: str) -> np.ndarray:
    """One step of all rows as a picture with even sides."""
    with matplotlib.rc_context({'font.size': 9}):
        figure = Figure((3.2 * len(rows), 3.7), dpi=100, layout='constrained')
        axes = figure.subplots(1, len(rows), squeeze=False)[0]
        for ax, row in zip(axes, rows):
            own = step * len(row.pictures) // steps
            _draw_step(ax, row, own)
            ax.set_title(f'{row.title}\nstep {own + 1} of '
                         f'{len(row.pictures)}', fontsize=8)
        figure.suptitle(title)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        image = np.asarray(canvas.buffer_rgba())[..., :3]
    height, width = (side // 2 * 2 for side in image.shape[:2])
    return np.ascontiguousarray(image[:height, :width])
