"""Which trials diverged: the share of each seed's, and from when on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import FixedFormatter, FixedLocator, MaxNLocator, PercentFormatter

from analysis.figures.style import BLUE, INK, MUTED, VERMILION, house_style, new_figure, settle
from analysis.seed_scores import FACTOR_TITLES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from analysis.divergence import Divergence, SeedShares

_MOST_SEEDS_NAMED = 25


@house_style
def draw_divergence(found: Divergence, *, title: str) -> Figure:
    """Draw the share of diverged trials of each seed and, where it is known, when trials fell.

    Args:
        found: what to draw.
        title: of the figure.
    """
    is_known = bool(np.isfinite(found.epoch).any())
    figure = new_figure(4.6 if is_known else 3.1)
    figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
    panels = figure.subplots(3 if is_known else 2, 1, squeeze=False)[:, 0]
    most = max(float((each.diverged / each.trials).max()) for each in (found.by_wi, found.by_do))
    for axes, shares, colour in zip(
        panels, (found.by_wi, found.by_do), (BLUE, VERMILION), strict=False
    ):
        _draw_shares(axes, shares, colour)
        axes.axhline(found.share, color=MUTED, lw=0.9, linestyle=(0, (4, 3)))
        axes.set_ylim(0, max(1.08 * most, 0.05))
    if is_known:
        _draw_falls(panels[2], found)
    return settle(figure)


def _draw_shares(axes: Axes, shares: SeedShares, colour: str) -> None:
    places = np.arange(len(shares.seed))
    axes.bar(places, shares.diverged / shares.trials, color=colour, width=0.75)
    every = -(-len(places) // _MOST_SEEDS_NAMED)
    axes.xaxis.set_major_locator(FixedLocator(places[::every].tolist()))
    axes.xaxis.set_major_formatter(
        FixedFormatter([str(seed) for seed in shares.seed[::every].tolist()])
    )
    axes.tick_params(axis="x", length=0, labelsize=7)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.set_xlabel(f"{FACTOR_TITLES[shares.factor]} seed, least often at left")
    axes.set_ylabel("diverged")
    axes.grid(axis="y")


def _draw_falls(axes: Axes, found: Divergence) -> None:
    """Draw how large a share of the trials is at the baseline for good, epoch by epoch."""
    epoch = np.sort(found.epoch[np.isfinite(found.epoch)])
    share = np.arange(1, epoch.size + 1) / found.epoch.size
    axes.step([0, *epoch.tolist()], [0, *share.tolist()], where="post", color=INK, lw=1.4)
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel("epoch")
    axes.set_ylabel("down for good")
    axes.grid(axis="y")
