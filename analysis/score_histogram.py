"""How are the scores distributed? Each trial a brick, stacked by its score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_FEWEST, _MOST = 8, 48

_NARROWEST = 0.1
"""Width of the histogram of scores that are all alike."""


@dataclass(frozen=True, eq=False)
class ScoreHistogram:
    """N trials by score.

    Attributes:
        edges: float64[B + 1], ascending; the bins are of one width, closed at their lower edge, the
            last at both.
        bin: int64[N], which bin each trial is in.
        height: int64[N], how many trials of its bin come before it, by score.
        mean: the mean score.
        deviation: the population's standard deviation of the scores; 0 for a single one.
    """

    edges: NDArray[np.float64]
    bin: NDArray[np.int64]
    height: NDArray[np.int64]
    mean: float
    deviation: float

    @property
    def highest_stack(self) -> int:
        """The number of trials in the fullest bin."""
        return int(self.height.max()) + 1


def compute(score: ArrayLike) -> ScoreHistogram:
    """Return the histogram of scores; the number of bins grows with the square root of theirs.

    Args:
        score: float[N], finite, N ≥ 1.

    Raises:
        ValueError: where there is no score, or one is not finite.
    """
    scores = np.asarray(score, dtype=np.float64)
    if scores.ndim != 1 or not scores.size or not np.isfinite(scores).all():
        raise ValueError("score must be one or more finite numbers in one dimension")
    bins = int(np.clip(np.ceil(2 * np.sqrt(scores.size)), _FEWEST, _MOST))
    lowest, highest = float(scores.min()), float(scores.max())
    if lowest == highest:
        lowest, highest = lowest - _NARROWEST / 2, highest + _NARROWEST / 2
    edges = np.linspace(lowest, highest, bins + 1)
    place = np.clip(np.searchsorted(edges, scores, side="right") - 1, 0, bins - 1)

    # Within a bin, trials are stacked by score; of equal scores, in the order given.
    height = np.empty(scores.size, dtype=np.int64)
    filled = np.zeros(bins, dtype=np.int64)
    for trial in np.argsort(scores, kind="stable"):
        height[trial] = filled[place[trial]]
        filled[place[trial]] += 1
    return ScoreHistogram(
        edges=edges,
        bin=place.astype(np.int64),
        height=height,
        mean=float(scores.mean()),
        deviation=float(scores.std()),
    )
