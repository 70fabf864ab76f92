"""The winner's curse: the best validation score of n trials, and what is expected behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.figures.expected_performance import mark_budgets
from analysis.figures.style import BLUE, VERMILION, draw_key, house_style, new_figure, settle

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from analysis.winners_curse import WinnersCurse


@house_style
def draw_winners_curse(curse: WinnersCurse, *, title: str, score: str) -> Figure:
    """Draw the expected best validation score over the budget, and the chosen trial's own score.

    Args:
        curse: what to draw.
        title: of the figure.
        score: what the score is.
    """
    figure = new_figure(3.3)
    axes = figure.subplots()
    axes.set_title(title)
    axes.set_xlabel("budget: number of trials n")
    axes.set_ylabel(score)
    axes.grid(axis="y")
    marker = "o" if len(curse.n) == 1 else None
    key = [
        *axes.plot(
            curse.n, curse.expected_best, color=BLUE, marker=marker,
            label="expected best validation score of n",
        ),
        *axes.plot(
            curse.n, curse.expected_own, color=VERMILION, linestyle=(0, (5, 2)), marker=marker,
            label="expected of that trial on other examples",
        ),
        axes.fill_between(
            curse.n, curse.expected_own, curse.expected_best, color=VERMILION, alpha=0.12, lw=0,
            label="overstatement",
        ),
    ]  # fmt: skip
    mark_budgets(axes, len(curse.n))
    draw_key(figure, key)
    return settle(figure)
