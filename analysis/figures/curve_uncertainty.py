"""How well the curve of expected performance is known, by what that is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.figures.expected_performance import mark_budgets
from analysis.figures.style import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    VERMILION,
    draw_key,
    house_style,
    new_figure,
    settle,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

    from analysis.curve_uncertainty import Band, CurveInterval
    from analysis.expected_performance import ExpectedPerformance

_LINES = {
    "trials": (MUTED, (0, (1, 1.5))),
    "WI seeds": (BLUE, (0, (5, 2))),
    "DO seeds": (VERMILION, (0, (5, 2))),
    "both seeds": (GREEN, "solid"),
}


@house_style
def draw_curve_uncertainty(
    curve: ExpectedPerformance,
    band: Band,
    intervals: Sequence[CurveInterval],
    *,
    title: str,
    score: str,
) -> Figure:
    """Draw the curve, the band about the whole of it, and the intervals of each budget.

    Args:
        curve: the expected best of n trials.
        band: for all budgets at once; its part for the mean is shaded.
        intervals: for one budget at a time, one for each of what they are over; drawn as lines.
        title: of the figure.
        score: what the score is.
    """
    figure = new_figure(3.8)
    axes = figure.subplots()
    axes.set_title(title)
    axes.set_xlabel("budget: number of trials n")
    axes.set_ylabel(f"expected best {score}")
    axes.grid(axis="y")
    key: list[Artist] = []
    for interval in intervals:
        colour, dashes = _LINES[interval.over]
        for end, label in ((interval.low, f"interval over {interval.over}"), (interval.high, None)):
            drawn = axes.plot(
                interval.n, end, color=colour, linestyle=dashes, linewidth=1.1, label=label
            )
            key += drawn if label else []
    budget = band.n[-1]
    key += axes.plot(
        curve.n[:budget], curve.mean[:budget], color=INK, label="expected best", zorder=4
    )
    bottom, top = axes.get_ylim()
    key.append(
        axes.fill_between(
            band.n, *band.mean, color=ORANGE, alpha=0.16, lw=0,
            label=f"{band.confidence:.0%} band, all budgets at once",
        )
    )  # fmt: skip
    # The band ends where the metric does for all but small budgets: there is no more of it to see.
    height = top - bottom
    axes.set_ylim(bottom - 0.6 * height, top + 0.6 * height)
    mark_budgets(axes, int(budget))
    draw_key(figure, key)
    return settle(figure)
