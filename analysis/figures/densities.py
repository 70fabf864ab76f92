"""Fig. 3: where the scores of the best and worst seeds lie; Fig. 8: where seeds' deviations lie."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.lines import Line2D

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
from analysis.seed_scores import FACTOR_TITLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from analysis.best_against_worst import BestAgainstWorst
    from analysis.density import Density
    from analysis.seed_scores import Factor
    from analysis.variance import ScoreDeviation, SeedDeviations

_LINES: dict[Factor, tuple[float, tuple[float, ...]]] = {"wi": (0, ()), "do": (0, (4, 2))}
"""Dashes of a factor's lines: none, which is solid, for WI; as in the paper."""
_RUG_HEIGHT = 0.035
"""Of one row of ticks, as a share of the axes."""


@house_style
def draw_best_and_worst(
    pairs: Sequence[BestAgainstWorst],
    densities: Sequence[tuple[Density | None, Density | None]],
    *,
    title: str,
    score: str,
    baseline: float | None = None,
) -> Figure:
    """Draw the densities of the scores of the best and the worst seed of each factor (Fig. 3).

    Solid lines are WI seeds, dashed ones DO seeds, as in the paper. Below the curves stand the
    scores themselves, a row of ticks for each curve.

    Args:
        pairs: of one factor or of both.
        densities: of the scores of each pair.
        title: of the figure.
        score: what the score is.
        baseline: score of predicting the most frequent label; drawn where it is in sight.
    """
    figure, axes = _axes(title, score)
    key: list[Line2D] = []
    for pair, of_pair in zip(pairs, densities, strict=True):
        name = FACTOR_TITLES[pair.factor]
        named = (f"best {name} {pair.best}", f"worst {name} {pair.worst}")
        of_both = (pair.of_best, pair.of_worst)
        for colour, label, density, values in zip(
            (BLUE, VERMILION), named, of_pair, of_both, strict=True
        ):
            key.append(_draw_density(axes, density, values, colour, pair.factor, label, len(key)))
    _make_room_for_rug(axes, len(key))
    low, high = axes.get_xlim()
    if baseline is not None and low <= baseline <= high:
        key.append(
            axes.axvline(
                baseline, color=MUTED, lw=0.9, linestyle=(0, (1, 2)), label="majority baseline"
            )
        )
    draw_key(figure, key)
    return settle(figure)


@house_style
def draw_deviations(deviation: ScoreDeviation, *, title: str, score: str) -> Figure:
    """Draw the densities of the standard deviations given a seed, and the total (Fig. 8).

    Args:
        deviation: what to draw; factors without two different deviations have no curve.
        title: of the figure.
        score: what the deviations are of.
    """
    figure, axes = _axes(title, f"standard deviation of {score}")
    key: list[Line2D] = []
    of_factors: tuple[tuple[Factor, SeedDeviations, str], ...] = (
        ("wi", deviation.given_wi, BLUE),
        ("do", deviation.given_do, VERMILION),
    )
    for factor, given, colour in of_factors:
        label = f"given a {FACTOR_TITLES[factor]} seed"
        key.append(_draw_density(axes, given.density, given.known, colour, factor, label, len(key)))
    _make_room_for_rug(axes, len(key))
    key.append(
        axes.axvline(deviation.total, color=INK, linewidth=1, label="of all trials", zorder=2)
    )
    draw_key(figure, key)
    return settle(figure)


def _axes(title: str, score: str) -> tuple[Figure, Axes]:
    figure = new_figure(3.2)
    axes = figure.subplots()
    axes.set_title(title)
    axes.set_xlabel(score)
    # A density has no scale that anyone reads; its unit is one over the score's.
    axes.set_ylabel("density")
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.spines["bottom"].set_color(MUTED)
    return figure, axes


def _draw_density(
    axes: Axes,
    density: Density | None,
    values: NDArray[np.float64],
    colour: str,
    factor: Factor,
    label: str,
    row: int,
) -> Line2D:
    """Draw a curve, and its values as the row of ticks of that number below it."""
    line = _LINES[factor]
    if density is not None:
        axes.plot(density.at, density.density, color=colour, linestyle=line, linewidth=1.6)
    # In shares of the axes, upwards from their foot.
    heights = axes.get_xaxis_transform()
    foot = _RUG_HEIGHT * row
    axes.vlines(
        values, foot, foot + 0.8 * _RUG_HEIGHT, transform=heights, color=colour, lw=0.7, alpha=0.8
    )
    return Line2D([], [], color=colour, linestyle=line, linewidth=1.6, label=label)


def _make_room_for_rug(axes: Axes, rows: int) -> None:
    top = axes.get_ylim()[1]
    axes.set_ylim(-top * rows * _RUG_HEIGHT / (1 - rows * _RUG_HEIGHT), top)
