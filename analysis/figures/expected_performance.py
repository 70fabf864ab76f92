"""Fig. 1: the expected best score of n trials over the budget n."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from analysis.figures.style import (
    BLUE,
    GREEN,
    VERMILION,
    draw_baseline,
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

    from analysis.expected_performance import ExpectedPerformance

_LINES = ((BLUE, "solid"), (VERMILION, "solid"), (GREEN, (0, (2.5, 2))))
"""Colours and dashes: the third curve often lies on the second, and must let it be seen."""

_LONGEST_LINEAR_BUDGET = 12
_FEW = 25


@house_style
def draw_expected_performance(
    curves: Mapping[str, ExpectedPerformance],
    *,
    title: str,
    score: str,
    baseline: float | None = None,
) -> Figure:
    """Draw one to three curves of expected performance.

    Args:
        curves: by what they are of. Only the first has its deviation shaded, since three shades on
            each other show none of them.
        title: of the figure.
        score: what the score is.
        baseline: score of predicting the most frequent label; drawn where it is in sight.

    Raises:
        ValueError: where there are no curves or more than three.
    """
    if not 1 <= len(curves) <= len(_LINES):
        raise ValueError(f"from 1 to {len(_LINES)} curves can be drawn, not {len(curves)}")
    figure = new_figure(3.4)
    axes = figure.subplots()
    axes.set_title(title)
    axes.set_xlabel("budget: number of trials n")
    axes.set_ylabel(f"expected best {score}")
    axes.grid(axis="y")

    key: list[Artist] = []
    for place, (label, curve) in enumerate(curves.items()):
        colour, dashes = _LINES[place]
        key += axes.plot(
            curve.n,
            curve.mean,
            color=colour,
            linestyle=dashes,
            label=label,
            marker="o" if len(curve.n) == 1 or (place == 0 and len(curve.n) <= _FEW) else None,
            markersize=3.5 - 0.7 * place,
            zorder=3 + 0.1 * place,
        )
        if place == 0:
            low, high = curve.band
            shade = "±1 s.d. over draws of n trials"
            key.append(
                axes.fill_between(curve.n, low, high, color=colour, alpha=0.16, lw=0, label=shade)
            )

    mark_budgets(axes, max(len(curve.n) for curve in curves.values()))
    bottom, top = axes.get_ylim()
    if baseline is not None and bottom - (top - bottom) / 4 <= baseline <= top:
        key.append(draw_baseline(axes, baseline))
    draw_key(figure, key)
    return settle(figure)


def mark_budgets(axes: Axes, largest: int) -> None:
    """Give the axis of budgets whole numbers: as they are if few, else 1, 2, 5, 10, 20, …."""
    if largest <= _LONGEST_LINEAR_BUDGET:
        axes.set_xlim(0.5, largest + 0.5)
        axes.xaxis.set_major_locator(FixedLocator(range(1, largest + 1)))
        return
    axes.set_xscale("log")
    axes.set_xlim(0.93, largest * 1.08)
    marks = [m * 10**power for power in range(7) for m in (1, 2, 5) if m * 10**power <= largest]
    axes.xaxis.set_major_locator(FixedLocator(marks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda n, _: f"{n:,.0f}"))
