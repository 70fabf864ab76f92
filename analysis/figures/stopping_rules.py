"""Stopping rules at equal cost: what each gains over full training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.ticker import FixedFormatter, FixedLocator, MaxNLocator

from analysis.figures.style import BLUE, INK, house_style, new_figure, settle

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from analysis.stopping_rules import StoppingRules


@house_style
def draw_stopping_rules(rules: StoppingRules, *, title: str, score: str) -> Figure:
    """Draw the gain of each rule over full training, with its interval.

    Args:
        rules: what to draw.
        title: of the figure.
        score: what the score is.
    """
    outcomes = rules.outcomes[1:]
    figure = new_figure(0.42 * max(len(outcomes), 1) + 1.2)
    axes = figure.subplots()
    axes.set_title(title)
    for place, outcome in enumerate(outcomes):
        axes.plot((outcome.low, outcome.high), (place, place), color=BLUE, lw=1.8, alpha=0.6)
        axes.plot(outcome.gain, place, color=BLUE, marker="o", markersize=5)
    axes.axvline(0, color=INK, linewidth=0.8, zorder=1.5)
    axes.set_ylim(len(outcomes) - 0.4, -0.6)
    axes.yaxis.set_major_locator(FixedLocator(range(len(outcomes))))
    axes.yaxis.set_major_formatter(FixedFormatter([outcome.plan.rule for outcome in outcomes]))
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.set_xlabel(
        f"gain in expected best {score} over full training,\n"
        f"with {rules.confidence:.0%} interval over {rules.over}"
    )
    axes.grid(axis="x")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    return settle(figure)
