"""Fig. 4: the scores of some trials over their training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis.figures.style import (
    BLUE,
    INK,
    VERMILION,
    draw_baseline,
    draw_key,
    house_style,
    new_figure,
    settle,
)
from finetune.contract import Status

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from analysis.training_curves import TrainingCurve, TrainingCurves

_COLOURS = {Status.FINISHED: BLUE, Status.DIVERGED: VERMILION}


@house_style
def draw_training_curves(
    curves: TrainingCurves, *, title: str, score: str, baseline: float | None = None
) -> Figure:
    """Draw the curves, coloured by how the trials ended; the best of them is drawn in ink.

    Args:
        curves: what to draw; may be none.
        title: of the figure.
        score: what the score is.
        baseline: score of predicting the most frequent label.
    """
    figure = new_figure(3.4)
    axes = figure.subplots()
    axes.set_title(title)
    axes.set_xlabel("epoch")
    axes.set_ylabel(score)
    axes.grid(axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))

    best = max(curves.curves, key=lambda curve: curve.best, default=None)
    for place, curve in enumerate(curves.curves):
        is_best = curve is best
        axes.plot(
            curve.epoch,
            curve.score,
            color=INK if is_best else _COLOURS[curve.status],
            linewidth=1.6 if is_best else 0.8,
            alpha=1 if is_best else 0.65,
            zorder=4 if is_best else 3,
            # A curve of one point is no line.
            marker="o" if len(curve.epoch) == 1 else None,
            gid=curve_gid(place),
        )
    key = [] if best is None else _key(curves, best)
    if baseline is not None:
        key.append(draw_baseline(axes, baseline))
    if key:
        draw_key(figure, key)
    return settle(figure)


def curve_gid(place: int) -> str:
    """Return the gid of a curve in an SVG, by its place among the curves."""
    return f"curve-{place}"


def _key(curves: TrainingCurves, best: TrainingCurve) -> list[Line2D]:
    handles = [
        Line2D([], [], color=INK, lw=1.6, label=f"best shown: WI {best.wi_seed}, DO {best.do_seed}")
    ]
    for status, colour in _COLOURS.items():
        count = sum(curve.status == status for curve in curves.curves)
        if count:
            handles.append(Line2D([], [], color=colour, lw=0.9, label=f"{status} ({count})"))
    return handles
