"""Figs. 5 and 9: the correlation between points of training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.ticker import MaxNLocator

from analysis.figures.style import BLUE, house_style, new_figure, settle

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from analysis.correlation import Correlation

_COLOUR_MAP: Final = "PuOr_r"
"""Two hues that colour-blind readers can tell apart, white where nothing correlates."""

_BELOW: Final = 0.04
"""Between the lowest point of the line and the panel's edge, so that the line is not cut."""

_TITLES = {"spearman": "rank correlation", "pearson": "Pearson correlation"}


@house_style
def draw_correlation(found: Correlation, *, title: str) -> Figure:
    """Draw the correlation between each two evaluations, and above it that with the last.

    Pairs without one, where all trials stood alike, stay empty.

    Args:
        found: what to draw.
        title: of the figure.
    """
    figure = new_figure(5.2)
    (above, corner), (cells, scale) = figure.subplots(
        2, 2, width_ratios=[6, 0.25], height_ratios=[1.2, 4.6]
    )
    corner.set_axis_off()
    above.set_title(title)
    edges = _edges(found.epoch)

    above.plot(found.epoch, found.with_the_end, color=BLUE, linewidth=1.4)
    above.set_xlim(edges[0], edges[-1])
    lowest = float(np.nanmin(found.with_the_end, initial=_BELOW))
    above.set_ylim(min(0.0, lowest - _BELOW), 1.02)
    above.set_ylabel("with the end", fontsize=8)
    above.grid(axis="y")
    above.tick_params(labelbottom=False)

    norm = Normalize(-1, 1)
    cells.pcolormesh(
        edges, edges, np.ma.masked_invalid(found.correlation), cmap=_COLOUR_MAP, norm=norm,
        rasterized=True,
    )  # fmt: skip
    cells.invert_yaxis()
    for axis in (above.xaxis, cells.xaxis, cells.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    cells.set_xlabel("epoch")
    cells.set_ylabel("epoch")
    for side in cells.spines.values():
        side.set_visible(False)
    bar = figure.colorbar(ScalarMappable(norm, _COLOUR_MAP), cax=scale)
    bar.outline.set_visible(False)
    bar.set_label(_TITLES[found.kind])
    return settle(figure)


def _edges(epoch: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> list[float]:
    """Return the edges of cells around the epochs, half way between them."""
    middle = (epoch[1:] + epoch[:-1]) / 2
    first, last = (2 * epoch[0] - middle[0], 2 * epoch[-1] - middle[-1])
    return [float(first), *middle.tolist(), float(last)]
