"""Charts of results."""
from itertools import cycle
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

# A value and how far it spreads; None where there is none.
Value = Optional[Union[float, 'Spread']]


class Spread(NamedTuple):
    """A mean and its standard deviation.

    Attributes:
        mean: The mean.
        deviation: The standard deviation; None of a single value.
    """
    mean: float
    deviation: Optional[float] = None


class Panel(NamedTuple):
    """Groups of horizontal bars over one scale.

    Attributes:
        title: What is shown.
        groups: Names of the groups, from top to bottom.
        series: Name to one value per group.
    """
    title: str
    groups: Sequence[str]
    series: Dict[str, Sequence[Value]]


class Points(NamedTuple):
    """Named points, what is reached over what it costs.

    Attributes:
        title: What is shown.
        cost: Of the axis of costs, which is logarithmic.
        reached: Of the other axis.
        points: Name to cost and what is reached.
    """
    title: str
    cost: str
    reached: str
    points: Dict[str, Tuple[float, Spread]]


def point_chart(path: Union[str, Path],
                panels: Sequence[Points],
                title: str = '') -> None:
    """Draws panels of points side by side and writes them to a file.

    Args:
        path: File to write; its ending tells the format.
        panels: At least one.
        title: Line above all.
    """
    with matplotlib.rc_context({'font.size': 9}):
        figure = Figure((5.2 * len(panels), 4.2), layout='constrained')
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for ax, panel in zip(axes, panels):
            _draw_points(ax, panel)
        figure.suptitle(title)
        figure.savefig(path, dpi=150)


def _draw_points(ax, panel: Points) -> None:
    for (name, (cost, value)), marker in zip(panel.points.items(),
                                             cycle('oPsDv^X*p')):
        ax.errorbar(cost, value.mean, value.deviation or 0, fmt=marker,
                    markersize=6, capsize=2, label=name)
    ax.set_xscale('log')
    for axis in (ax.xaxis.set_major_formatter, ax.xaxis.set_minor_formatter):
        axis(FuncFormatter(lambda x, _: f'{x:g}'))
    ax.tick_params(axis='x', which='both', labelrotation=45, labelsize=7)
    ax.margins(x=.1, y=.12)
    ax.legend(fontsize=8)
    ax.set_xlabel(panel.cost)
    ax.set_ylabel(panel.reached)
    ax.set_title(panel.title, fontsize=9)
    ax.grid(alpha=.3, which='both')


class Lines(NamedTuple):
    """Lines over steps.

    Attributes:
        title: What is shown.
        lines: Name to steps and values.
    """
    title: str
    lines: Dict[str, Tuple[Sequence[float], Sequence[float]]]


def line_chart(path: Union[str, Path], panels: Sequence[Lines]) -> None:
    """Draws panels of lines side by side, at most three in a row, and writes
    them to a file.

    Args:
        path: File to write; its ending tells the format.
        panels: At least one.
    """
    columns = min(len(panels), 3)
    rows = -(-len(panels) // columns)
    with matplotlib.rc_context({'font.size': 9}):
        figure = Figure((4.2 * columns, 3 * rows), layout='constrained')
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for ax, panel in zip(axes, panels):
            for name, (steps, values) in panel.lines.items():
                ax.plot(steps, values, label=name, marker='.', markersize=3,
                        linewidth=1.2)
            ax.set_title(panel.title)
            ax.set_xlabel('step')
            ax.grid(alpha=.3)
            ax.legend(fontsize=7)
        for ax in axes[len(panels):]:
            ax.axis('off')
        figure.savefig(path, dpi=150)


def matrix_chart(path: Union[str, Path], values: np.ndarray,
                 names: Sequence[str], title: str) -> None:
    """Draws a confusion matrix with the names of its classes.

    Args:
        path: File to write; its ending tells the format.
        values: ``(C, C)``, per cent of each row; NaN stays blank.
        names: Of the C classes.
        title: Line above.
    """
    side = 2.2 + .28 * len(names)
    with matplotlib.rc_context({'font.size': 8}):
        figure = Figure((side + 1, side), layout='constrained')
        ax = figure.subplots()
        image = ax.imshow(values, cmap='cividis', vmin=0, vmax=100)
        ax.set_xticks(range(len(names)), names, rotation=90)
        ax.set_yticks(range(len(names)), names)
        for i, j in zip(*np.nonzero(np.nan_to_num(values) >= 1)):
            ax.text(j, i, f'{values[i, j]:.0f}', ha='center', va='center',
                    fontsize=6,
                    color='black' if values[i, j] > 50 else 'white')
        ax.set_xlabel('taken for')
        ax.set_ylabel('is')
        ax.set_title(title)
        figure.colorbar(image, ax=ax, shrink=.6, label='per cent of the row')
        figure.savefig(path, dpi=150)


def bar_chart(path: Union[str, Path],
              panels: List[Panel],
              title: str = '') -> None:
    """Draws panels side by side and writes them to a file.

    Args:
        path: File to write; its ending tells the format.
        panels: At least one.
        title: Line above all.
    """
    rows = max(
        len(panel.groups) * (len(panel.series) + 1) for panel in panels)
    with matplotlib.rc_context({'font.size': 9}):
        figure = Figure((1.2 + 3.4 * len(panels), 1.4 + .2 * rows),
                        layout='constrained')
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for i, (ax, panel) in enumerate(zip(axes, panels)):
            _draw(ax, panel)
            if i and panel.groups == panels[i - 1].groups:
                ax.tick_params(labelleft=False)
        figure.suptitle(title)
        figure.savefig(path, dpi=150)


def _draw(ax, panel: Panel) -> None:
    height = .8 / len(panel.series)
    for i, (name, values) in enumerate(panel.series.items()):
        known = [(place, value if isinstance(value, Spread) else Spread(value))
                 for place, value in enumerate(values) if value is not None]
        bars = ax.barh(
            [place + (i + .5) * height - .4 for place, _ in known],
            [value.mean for _, value in known],
            height,
            xerr=[value.deviation or 0 for _, value in known],
            label=name)
        ax.bar_label(bars, fmt='%.1f', padding=2, fontsize=7)
    ax.set_yticks(range(len(panel.groups)), panel.groups)
    ax.margins(x=.3)  # for the figures behind the bars
    ax.set_ylim(len(panel.groups) - .4, -.6)
    ax.set_title(panel.title)
    ax.legend(
        fontsize=7,
        loc='upper center',
        bbox_to_anchor=(.5, -.05),
        ncols=len(panel.series),
        frameon=False)
