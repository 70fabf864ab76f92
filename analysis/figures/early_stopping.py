"""Figs. 6 and 7: the best setting of each budget, and what it saves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import MaxNLocator, PercentFormatter

from analysis.figures.style import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    draw_key,
    house_style,
    new_figure,
    settle,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from analysis.early_stopping import EarlyStopping

_COLOURS = (BLUE, VERMILION, GREEN, ORANGE, SKY, PURPLE)
_DASHES = ("solid", (0, (5, 2)), (0, (2, 2)))


@house_style
def draw_best_settings(stopping: EarlyStopping, *, title: str) -> Figure:
    """Draw how many trials the best setting of each budget starts and continues, and when it stops.

    Args:
        stopping: what to draw.
        title: of the figure.
    """
    figure = new_figure(4.2)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1.1])
    above.set_title(title)
    best = stopping.best
    line = {"marker": "o", "markersize": 3, "linewidth": 1.2}
    key: list[Artist] = []
    for values, colour, label in (
        (stopping.started[best], BLUE, "trials started"),
        (stopping.continued[best], VERMILION, "trials trained to their end"),
    ):
        key += above.plot(stopping.budget, values, color=colour, label=label, **line)
    key += above.plot(
        stopping.budget, stopping.budget, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)),
        label="full training: as many as the budget", zorder=1.5,
    )  # fmt: skip
    above.set_ylabel("trials")
    above.set_ylim(bottom=0)
    above.yaxis.set_major_locator(MaxNLocator(integer=True))
    below.plot(stopping.budget, stopping.part[best] / stopping.points, color=GREEN, **line)
    below.set_ylabel("stopped after")
    below.set_ylim(0, 1.04)
    below.yaxis.set_major_formatter(PercentFormatter(1))
    below.set_xlabel("budget: number of full trainings")
    below.xaxis.set_major_locator(MaxNLocator(integer=True))
    for axes in (above, below):
        axes.grid(axis="y")
    draw_key(figure, key)
    return settle(figure)


@house_style
def draw_error_reduction(found: Mapping[str, EarlyStopping], *, title: str) -> Figure:
    """Draw by what share the best setting of each budget reduces the error of full training.

    Args:
        found: by task; the label of a line stands at its end.
        title: of the figure.
    """
    figure = new_figure(3.2)
    axes = figure.subplots()
    axes.set_title(title)
    ends: list[tuple[float, str, str]] = []
    longest = 1
    for place, (task, stopping) in enumerate(found.items()):
        colour = _COLOURS[place % len(_COLOURS)]
        reduction = stopping.error_reduction
        axes.plot(
            stopping.budget,
            reduction,
            color=colour,
            linestyle=_DASHES[place // len(_COLOURS) % len(_DASHES)],
            marker="o" if len(reduction) == 1 else None,
            linewidth=1.5,
        )
        longest = max(longest, int(stopping.budget[-1]))
        if np.isfinite(reduction).any():
            last = int(np.flatnonzero(np.isfinite(reduction))[-1])
            ends.append((float(reduction[last]), task, colour))
    axes.set_xlabel("budget: number of full trainings")
    axes.set_ylabel("error saved beside full training")
    axes.set_xlim(0.5, longest + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=1))
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    axes.axhline(0, color=INK, linewidth=0.8, zorder=1.5)
    axes.grid(axis="y")
    _name_ends(axes, ends, longest)
    return settle(figure)


def _name_ends(axes: Axes, ends: list[tuple[float, str, str]], at: int) -> None:
    """Write each line's name at its end, far enough apart to be read."""
    bottom, top = axes.get_ylim()
    least = 0.055 * (top - bottom)
    height = -np.inf
    for value, name, colour in sorted(ends):
        height = max(value, height + least)
        axes.annotate(
            name, (at, height), xytext=(6, 0), textcoords="offset points", va="center",
            color=colour, fontsize=8, annotation_clip=False,
        )  # fmt: skip
