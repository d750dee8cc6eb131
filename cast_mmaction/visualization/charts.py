"""Charts of results."""
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Union

import matplotlib
from matplotlib.figure import Figure

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
