"""Two models at each budget: their expected bests, and the chance that one beats the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.ticker import MaxNLocator, PercentFormatter

from analysis.figures.style import (
    BLUE,
    INK,
    MUTED,
    VERMILION,
    draw_key,
    house_style,
    new_figure,
    settle,
)

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

    from analysis.comparison import Comparison


@house_style
def draw_comparison(
    found: Comparison, *, names: tuple[str, str], title: str, score: str, unit: str = "trials"
) -> Figure:
    """Draw the expected best of A and B, A's lead, and the chance that A's best beats B's.

    Args:
        found: what to draw.
        names: of A and B.
        title: of the figure.
        score: what the score is.
        unit: of the budget.
    """
    figure = new_figure(5.4)
    best, lead, chance = figure.subplots(3, 1, sharex=True, height_ratios=[1.5, 1, 1])
    best.set_title(title)
    marker = "o" if len(found.budget) == 1 else None
    key: list[Artist] = []
    for mean, colour, name in zip(found.mean, (BLUE, VERMILION), names, strict=True):
        key += best.plot(found.budget, mean, color=colour, label=name, marker=marker)
    best.set_ylabel(f"expected best\n{score}")

    lead.plot(found.budget, found.lead, color=INK, linewidth=1.4, marker=marker)
    band = lead.fill_between(
        found.budget, found.low, found.high, color=MUTED, alpha=0.25, lw=0,
        label=f"{found.confidence:.0%} interval over {found.over} of each",
    )  # fmt: skip
    key.append(band)
    lead.axhline(0, color=INK, linewidth=0.8, zorder=1.5)
    lead.set_ylabel(f"lead of\n{names[0]}")
    lead.yaxis.set_major_locator(MaxNLocator(4))

    chance.plot(found.budget, found.chance, color=INK, linewidth=1.4, marker=marker)
    chance.fill_between(
        found.budget, found.chance_low, found.chance_high, color=MUTED, alpha=0.25, lw=0
    )
    chance.axhline(0.5, color=INK, linewidth=0.8, zorder=1.5)
    chance.set_ylim(0, 1)
    chance.yaxis.set_major_formatter(PercentFormatter(1))
    chance.set_ylabel(f"chance that\n{names[0]}\nfinds the better")
    chance.set_xlabel(f"budget of each: {unit}")
    chance.xaxis.set_major_locator(MaxNLocator(integer=True))
    for axes in (best, lead, chance):
        axes.grid(axis="y")
    draw_key(figure, key)
    figure.align_ylabels()
    return settle(figure)
