"""How much of the variance is the seeds': shares with their intervals."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING

from matplotlib.ticker import FixedFormatter, FixedLocator, PercentFormatter

from analysis.figures.style import BLUE, MUTED, RULE, VERMILION, house_style, new_figure, settle
from analysis.variance_components import SOURCE_TITLES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import Figure

    from analysis.variance_components import VarianceComponents

_COLOURS = {"wi": BLUE, "do": VERMILION}
_ROW = 0.21


@house_style
def draw_variance_components(found: Mapping[str, VarianceComponents], *, title: str) -> Figure:
    """Draw the share of each source of variance, and its interval, task by task.

    Args:
        found: by task.
        title: of the figure.
    """
    rows = [
        (task, component) for task, of_task in found.items() for component in of_task.components
    ]
    figure = new_figure(max(1.6, _ROW * len(rows) + 0.35 * len(found) + 0.6))
    axes = figure.subplots()
    axes.set_title(title)
    places, names, place = [], [], 0.0
    for number, (task, component) in enumerate(rows):
        if number and task != rows[number - 1][0]:
            place += 0.8
            axes.axhline(place - 0.9, color=RULE, lw=0.6)
        colour = _COLOURS.get(component.source, MUTED)
        if not isnan(component.share_interval[0]):
            axes.plot(component.share_interval, (place, place), color=colour, lw=1.6, alpha=0.6)
        if not isnan(component.share):
            share = min(max(component.share, 0.0), 1.0)
            axes.plot(share, place, marker="o", markersize=5, color=colour, clip_on=False)
        places.append(place)
        names.append(f"{task}: {SOURCE_TITLES[component.source]}")
        place += 1
    axes.set_ylim(place - 0.4, -0.6)
    axes.yaxis.set_major_locator(FixedLocator(places))
    axes.yaxis.set_major_formatter(FixedFormatter(names))
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel("share of the variance, with 95 % interval over seeds")
    axes.grid(axis="x")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    return settle(figure)
