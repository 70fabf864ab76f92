"""The scores of a task: each trial a brick, stacked by its score."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.ticker import MaxNLocator

from analysis.figures.style import (
    BLUE,
    INK,
    draw_baseline,
    draw_key,
    house_style,
    new_figure,
    settle,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from analysis.score_histogram import ScoreHistogram

BRICKS: Final = "bricks"
"""Gid of the bricks in an SVG, in the order of the trials."""

_TALLEST_STACK_WITH_JOINTS = 40

_JOINT = 0.08
"""What is left free between bricks that can be told apart, as a share of a brick."""


@house_style
def draw_score_histogram(
    histogram: ScoreHistogram, *, title: str, score: str, baseline: float | None = None
) -> Figure:
    """Draw the stacks, the mean score, and the majority baseline where it is in sight.

    Args:
        histogram: what to draw.
        title: of the figure.
        score: what the score is.
        baseline: score of predicting the most frequent label.
    """
    figure = new_figure(2.6)
    axes = figure.subplots()
    axes.set_title(title)
    axes.set_xlabel(score)
    axes.set_ylabel("trials")

    low, width = histogram.edges[histogram.bin], np.diff(histogram.edges)[0]
    joint = _JOINT if histogram.highest_stack <= _TALLEST_STACK_WITH_JOINTS else 0.0
    near, far = joint / 2, 1 - joint / 2
    corners = np.array([[near, near], [far, near], [far, far], [near, far]]) * [width, 1]
    at = np.column_stack([low, histogram.height])
    axes.add_collection(
        PolyCollection(
            at[:, None, :] + corners,
            facecolor=BLUE,
            edgecolor="none" if joint else "face",
            linewidth=0.5,
            gid=BRICKS,
        )
    )
    mean = axes.axvline(histogram.mean, color=INK, linewidth=1.2, label="mean")

    lowest, highest = histogram.edges[0], histogram.edges[-1]
    margin = 0.04 * (highest - lowest)
    key = [mean]
    if baseline is not None and lowest - 0.5 * (highest - lowest) <= baseline <= highest:
        line = draw_baseline(axes, baseline, upright=True)
        key.append(line)
        lowest = min(lowest, baseline)
    axes.set_xlim(lowest - margin, highest + margin)
    axes.set_ylim(0, 1.06 * histogram.highest_stack)
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=1))
    draw_key(figure, key)
    return settle(figure)
