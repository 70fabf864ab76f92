"""Section 4.3: the ranks of seeds on each task."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import FixedFormatter, FixedLocator, MaxNLocator

from analysis.figures.style import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    PURPLE,
    RULE,
    SKY,
    VERMILION,
    draw_key,
    house_style,
    new_figure,
    settle,
)
from analysis.seed_scores import FACTOR_TITLES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from analysis.good_seeds import GoodSeeds

_MARKS = (
    ("o", BLUE), ("s", VERMILION), ("^", GREEN), ("D", ORANGE), ("v", SKY), ("P", PURPLE),
)  # fmt: skip
"""Shape and colour of a task's marks; both come round again where there are more tasks."""

_ROW = 0.17
"""Height of a seed's row in inches."""


@house_style
def draw_seed_ranks(seeds: GoodSeeds, *, title: str) -> Figure:
    """Draw the rank of each seed on each task, a row a seed, the best mean rank on top.

    Args:
        seeds: what to draw.
        title: of the figure.
    """
    number = len(seeds.seed)
    figure = new_figure(max(2.0, _ROW * number + 1.3))
    axes = figure.subplots()
    axes.set_title(title)
    rows = np.arange(number)
    axes.hlines(rows, seeds.rank.min(axis=1), seeds.rank.max(axis=1), color=RULE, lw=1, zorder=1)
    key = []
    for place, task in enumerate(seeds.tasks):
        marker, colour = _MARKS[place % len(_MARKS)]
        key += axes.plot(
            seeds.rank[:, place], rows,
            linestyle="none", marker=marker, markersize=4.5, color=colour, alpha=0.85, label=task,
        )  # fmt: skip
    key += axes.plot(
        seeds.mean_rank, rows,
        linestyle="none", marker="|", markersize=9, markeredgewidth=2, color=INK, label="mean",
    )  # fmt: skip
    axes.set_ylim(number - 0.5, -0.5)
    axes.yaxis.set_major_locator(FixedLocator(rows.tolist()))
    axes.yaxis.set_major_formatter(FixedFormatter([str(seed) for seed in seeds.seed.tolist()]))
    axes.set_ylabel(f"{FACTOR_TITLES[seeds.factor]} seed, best mean rank at top")
    axes.set_xlabel("rank on a task, 1 is best")
    axes.set_xlim(0.5, number + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.tick_params(length=0)
    draw_key(figure, key)
    return settle(figure)
