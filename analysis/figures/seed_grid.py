"""Fig. 2: the scores by WI and DO seed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import matplotlib as mpl
import numpy as np
from matplotlib.axis import XAxis
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedFormatter, FixedLocator, MaxNLocator, ScalarFormatter

from analysis.figures.style import INK, MUTED, WIDTH, decimals, house_style, new_figure, settle

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

    from analysis.seed_grid import SeedGrid

CELLS: Final = "cells"
"""Gid of the mesh of cells, by rows from the top, in an SVG."""

_COLOUR_MAP = "viridis"
_BLACK, _WHITE = "#000000", "#ffffff"
_GRID_WIDTH = 0.66 * WIDTH
_TALLEST_CELL, _TALLEST_GRID, _LOWEST_GRID = 0.5, 5.6, 0.5
_MEANS_HEIGHT = 0.5
_ROWS_WITH_NUMBERS, _COLUMNS_WITH_NUMBERS = 12, 8
_MOST_SEEDS_NAMED, _MOST_SEEDS_UPRIGHT = 25, 15


@house_style
def draw_seed_grid(
    grid: SeedGrid, *, title: str, score: str, baseline: float | None = None
) -> Figure:
    """Draw the grid with the means of its rows and columns beside it.

    The best WI seed is the top row, the best DO seed the right-most column. A hole stays empty and
    is hatched; the best cell is framed; a small grid has its scores written in.

    Args:
        grid: what to draw.
        title: of the figure.
        score: what the score is.
        baseline: score of predicting the most frequent label; marked on the scale of colours where
            it is among the scores.
    """
    rows, columns = grid.score.shape
    height = _grid_height(rows, columns)
    # Beside a single row or column, means would be the scores over again.
    has_means = rows > 1 and columns > 1
    means_height = _MEANS_HEIGHT if has_means else 0.02
    figure = new_figure(height + means_height + 0.95)
    panels = figure.subplots(
        2,
        3,
        width_ratios=[6, 1.1 if has_means else 0.02, 0.25],
        height_ratios=[means_height, height],
    )
    (above, *corner), (cells, beside, scale) = panels
    for empty in corner:
        empty.set_axis_off()
    figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")

    lowest, highest = float(np.nanmin(grid.score)), float(np.nanmax(grid.score))
    norm = Normalize(lowest, highest)
    _draw_cells(cells, grid, norm)
    _draw_means(above, beside, grid)
    above.set_visible(has_means)
    beside.set_visible(has_means)

    # Where all scores are alike there is no scale.
    scale.set_axis_off()
    if lowest < highest:
        scale.set_axis_on()
        bar = figure.colorbar(ScalarMappable(norm, _COLOUR_MAP), cax=scale)
        bar.outline.set_visible(False)
        is_marked = baseline is not None and lowest <= baseline <= highest
        # The label stands upright, so that this triangle points to the right, as its mark does.
        bar.set_label(f"{score}   ▾ majority baseline" if is_marked else score)
        if is_marked:
            # From the left, where the scale has no numbers; the tip touches it.
            scale.plot(
                [0], [baseline], marker=5, markersize=5, color=INK, clip_on=False,
                transform=scale.get_yaxis_transform(),
            )  # fmt: skip
    return settle(figure)


def _grid_height(rows: int, columns: int) -> float:
    """Return a height of the grid, in inches, that makes its cells square, within reason."""
    cell = min(_GRID_WIDTH / columns, _TALLEST_CELL)
    return float(np.clip(rows * cell, _LOWEST_GRID, _TALLEST_GRID))


def _draw_cells(axes: Axes, grid: SeedGrid, norm: Normalize) -> None:
    rows, columns = grid.score.shape
    axes.pcolormesh(
        np.ma.masked_invalid(grid.score),
        gid=CELLS,
        cmap=_COLOUR_MAP,
        norm=norm,
        # Without an edge of their own colour, the ground shines through between the cells.
        edgecolors="face",
        linewidth=0.8,
    )
    axes.invert_yaxis()
    for row, column in np.argwhere(np.isnan(grid.score)):
        axes.add_patch(Rectangle((column, row), 1, 1, fill=False, hatch="////", ec=MUTED, lw=0))
    row, column = grid.best
    axes.add_patch(Rectangle((column, row), 1, 1, fill=False, ec=_BLACK, lw=1.6, clip_on=False))
    for side in axes.spines.values():
        side.set_visible(False)
    axes.tick_params(length=0)
    _name_seeds(axes.xaxis, grid.do_seed.tolist())
    _name_seeds(axes.yaxis, grid.wi_seed.tolist())
    axes.set_xlabel("DO seed, best mean at right" if columns > 1 else "DO seed")
    axes.set_ylabel("WI seed, best mean at top" if rows > 4 else "WI seed")
    if rows <= _ROWS_WITH_NUMBERS and columns <= _COLUMNS_WITH_NUMBERS:
        _write_scores(axes, grid, norm)


def _write_scores(axes: Axes, grid: SeedGrid, norm: Normalize) -> None:
    places = decimals(grid.score.ravel())
    colours = mpl.colormaps[_COLOUR_MAP]
    for (row, column), score in np.ndenumerate(grid.score):
        if np.isfinite(score):
            red, green, blue, _ = colours(float(norm(score)))
            is_dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.55
            axes.text(
                column + 0.5, row + 0.5, f"{score:.{places}f}",
                ha="center", va="center", fontsize=7.5, color=_WHITE if is_dark else _BLACK,
            )  # fmt: skip


def _draw_means(above: Axes, beside: Axes, grid: SeedGrid) -> None:
    """Draw the mean of each column above the grid, of each row beside it, on one scale."""
    rows, columns = grid.score.shape
    means = np.concatenate([grid.do_mean, grid.wi_mean])
    margin = 0.08 * float(np.ptp(means)) or 0.01
    limits = float(means.min()) - margin, float(means.max()) + margin
    dots = {"color": INK, "linestyle": "none", "marker": "o", "markersize": 2.6, "clip_on": False}

    above.plot(np.arange(columns) + 0.5, grid.do_mean, **dots)  # type: ignore[arg-type]
    above.set(xlim=(0, columns), ylim=limits)
    above.set_ylabel("mean", fontsize=7.5, color=MUTED)
    above.spines["bottom"].set_visible(False)
    above.grid(axis="y")

    beside.plot(grid.wi_mean, np.arange(rows) + 0.5, **dots)  # type: ignore[arg-type]
    beside.set(xlim=limits, ylim=(rows, 0))
    beside.set_xlabel("mean", fontsize=7.5, color=MUTED)
    beside.spines["left"].set_visible(False)
    beside.grid(axis="x")
    beside.tick_params(axis="x", labelrotation=90)

    for axes, scale, seeds in (
        (above, above.yaxis, above.xaxis),
        (beside, beside.xaxis, beside.yaxis),
    ):
        scale.set_major_locator(MaxNLocator(2))
        scale.set_major_formatter(ScalarFormatter(useOffset=False))
        seeds.set_ticks([])
        axes.tick_params(labelsize=6.5, length=0)


def _name_seeds(axis: Axis, seeds: list[int]) -> None:
    """Write the seeds along an axis: each, or every so many where they are too many to read."""
    every = -(-len(seeds) // _MOST_SEEDS_NAMED)
    named = range(0, len(seeds), every)
    axis.set_major_locator(FixedLocator([place + 0.5 for place in named]))
    axis.set_major_formatter(FixedFormatter([str(seeds[place]) for place in named]))
    few = len(seeds) <= _MOST_SEEDS_UPRIGHT
    axis.set_tick_params(labelsize=8 if few else 6)
    if isinstance(axis, XAxis) and not few:
        axis.set_tick_params(labelrotation=90)
