"""How far the best seed is above the worst: where they were chosen, and where they were not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.lines import Line2D
from matplotlib.ticker import FixedFormatter, FixedLocator

from analysis.figures.style import (
    BLUE,
    INK,
    MUTED,
    RULE,
    draw_key,
    house_style,
    new_figure,
    settle,
)
from analysis.seed_scores import FACTOR_TITLES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import Figure

    from analysis.best_seed import BestSeed
    from analysis.seed_scores import Factor

_ROW = 0.3
_CHOSEN = {"marker": "o", "markersize": 5, "linestyle": "none", "markeredgecolor": MUTED,
           "markerfacecolor": "none"}  # fmt: skip
_HELD_OUT = {"marker": "o", "markersize": 6, "linestyle": "none", "color": BLUE}


@house_style
def draw_best_seed(
    found: Mapping[tuple[str, Factor], BestSeed],
    deviation: Mapping[str, float],
    *,
    title: str,
) -> Figure:
    """Draw the lead of the best seed over the worst, a row for each task and factor.

    Args:
        found: by task and factor.
        deviation: by task the standard deviation of all its scores, above 0, the unit of the axis.
        title: of the figure.
    """
    figure = new_figure(max(1.8, _ROW * len(found) + 1.3))
    axes = figure.subplots()
    axes.set_title(title)
    axes.axvline(0, color=INK, lw=0.8)
    for row, ((task, _), best) in enumerate(found.items()):
        chosen = best.paper.difference / deviation[task]
        axes.plot(chosen, row, **_CHOSEN)  # type: ignore[arg-type]
        if best.held_out is not None:
            held_out = best.held_out.difference / deviation[task]
            axes.plot((held_out, chosen), (row, row), color=RULE, lw=1.2, zorder=1)
            axes.plot(held_out, row, **_HELD_OUT)  # type: ignore[arg-type]
    axes.set_ylim(len(found) - 0.5, -0.5)
    axes.yaxis.set_major_locator(FixedLocator(range(len(found))))
    names = [f"{task}: {FACTOR_TITLES[factor]}" for task, factor in found]
    axes.yaxis.set_major_formatter(FixedFormatter(names))
    axes.set_xlabel("best seed above worst, in standard deviations of the task's scores")
    axes.grid(axis="x")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    key = [
        Line2D([], [], label="where they were chosen", **_CHOSEN),  # type: ignore[arg-type]
        Line2D([], [], label="where they were not", **_HELD_OUT),  # type: ignore[arg-type]
    ]
    draw_key(figure, key)
    return settle(figure)
