"""The house style of figures: quiet, readable for all eyes, the same bytes from the same data."""

from __future__ import annotations

from io import BytesIO
from math import ceil, isfinite, log10
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D
    from matplotlib.text import Text
    from matplotlib.typing import RcKeyType

INK: Final = "#1f2933"
"""Words and data without a colour of their own."""
MUTED: Final = "#66727f"
"""Axes, their numbers, and what only helps to read the data."""
RULE: Final = "#d3d9df"
"""Lines that should hardly be seen."""
PAPER: Final = "#ffffff"
"""The ground."""

BLUE: Final = "#0072b2"
VERMILION: Final = "#d55e00"
GREEN: Final = "#009e73"
ORANGE: Final = "#e69f00"
SKY: Final = "#56b4e9"
PURPLE: Final = "#cc79a7"
"""The palette of Okabe and Ito (2008), which colour-blind readers can tell apart.

Use them in this order, and dashes or labels beside colour: no more than three on one figure stay
apart without thought.
"""

WIDTH: Final = 5.0
"""Width of a figure in inches: a column of the report, and nearly a telephone."""

_SMALLEST: Final = 0.6
"""No label becomes smaller than this share of its size."""

GROUND: Final = "ground"
"""Id of the ground in an SVG, for pages that have their own."""

STYLE: Final[dict[RcKeyType, Any]] = {
    "figure.facecolor": PAPER,
    "axes.facecolor": "none",
    "axes.edgecolor": RULE,
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.5,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "text.color": INK,
    # The face that comes with matplotlib, so that the layout is the same on every machine.
    "font.family": ["DejaVu Sans", "sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    # Text stays text: it can be searched, read aloud, and set in the face of the page around it.
    "svg.fonttype": "none",
    # Fonts that other programs can edit and search, not outlines.
    "pdf.fonttype": 42,
    # Ids within the file are hashes of what they name and of this, not random.
    "svg.hashsalt": "seedbed",
}

house_style = mpl.rc_context(STYLE)
"""`@house_style` around what draws or saves: the settings hold inside it and nowhere else."""


@house_style
def svg(figure: Figure) -> str:
    """Return a figure as SVG, without date or name of the program: same figure, same text."""
    file = BytesIO()
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return file.getvalue().decode()


@house_style
def png(figure: Figure, *, dpi: int = 200) -> bytes:
    """Return a figure as PNG.

    Args:
        figure: what to render.
        dpi: pixels per inch.
    """
    file = BytesIO()
    figure.savefig(file, format="png", dpi=dpi, metadata={"Software": None})
    return file.getvalue()


@house_style
def pdf(figure: Figure) -> bytes:
    """Return a figure as PDF, without date or name of the program."""
    file = BytesIO()
    nothing = dict.fromkeys(("CreationDate", "Creator", "Producer"))
    figure.savefig(file, format="pdf", metadata=nothing)
    return file.getvalue()


def new_figure(height: float) -> Figure:
    """Return an empty figure of the house's width and this height, in inches."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    figure.patch.set_gid(GROUND)
    return figure


def settle(figure: Figure) -> Figure:
    """Lay a finished figure out, once for all the formats that it is saved in, and return it."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        if axes.get_visible():
            for label in (axes.xaxis.label, axes.yaxis.label):
                _fit(label, figure)
    return figure


def _fit(label: Text, figure: Figure) -> None:
    """Make the label of an axis smaller where it would stand out of the figure."""
    box, ground = label.get_window_extent(), figure.bbox
    room = [
        2 * min(at - low, high - at) / extent
        for at, low, high, extent in (
            ((box.x0 + box.x1) / 2, ground.x0, ground.x1, box.width),
            ((box.y0 + box.y1) / 2, ground.y0, ground.y1, box.height),
        )
        if extent
    ]
    if room and min(room) < 1:
        label.set_fontsize(label.get_fontsize() * max(min(room), _SMALLEST))


def decimals(values: Iterable[float]) -> int:
    """Return how many decimals tell scores of this spread apart: 2 to 4, 3 if all are equal."""
    finite = [value for value in values if isfinite(value)]
    spread = max(finite, default=0.0) - min(finite, default=0.0)
    return min(4, max(2, ceil(-log10(spread)) + 2)) if spread > 0 else 3


def draw_baseline(axes: Axes, baseline: float, *, upright: bool = False) -> Line2D:
    """Draw the majority baseline across the axes, behind the data; upright where x is the score."""
    draw = axes.axvline if upright else axes.axhline
    return draw(
        baseline,
        color=MUTED,
        linewidth=0.9,
        linestyle=(0, (4, 3)),
        zorder=1.5,
        label="majority baseline",
    )


def draw_key(figure: Figure, handles: Sequence[Artist]) -> None:
    """Draw the key below the axes, where it covers no data."""
    figure.legend(handles=handles, loc="outside lower left", ncols=2, columnspacing=2)
