"""Can a trial's end be told from its beginning? Correlation over training (Section 5, Figs. 5, 9).

Over the trials of a task, the correlation between their best scores so far at one evaluation and at
another. Where it is high early on, the trials that lag then are those that end low, and little is
lost by stopping them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.progress import Progress

Kind = Literal["spearman", "pearson"]
"""Of ranks (Fig. 5), equal scores sharing the mean of their ranks; or of scores (Fig. 9)."""


@dataclass(frozen=True, eq=False)
class Correlation:
    """The correlation, over trials, between the best scores so far at each two of E evaluations.

    Attributes:
        epoch: float64[E], when each evaluation was made.
        correlation: float64[E, E], symmetric; NaN where all trials have the same score at either,
            or one has none yet.
        kind: of ranks or of scores.
        trials: how many trials it is over.
    """

    epoch: NDArray[np.float64]
    correlation: NDArray[np.float64]
    kind: Kind
    trials: int

    @property
    def with_the_end(self) -> NDArray[np.float64]:
        """float64[E], the correlation of each evaluation with the last."""
        return self.correlation[:, -1]

    def first_epoch_above(self, threshold: float) -> float | None:
        """Return from when on the correlation with the end is never below a threshold.

        Args:
            threshold: from −1 to 1.

        Returns:
            The epoch of that evaluation; None where it is reached at the last one only.
        """
        below = np.flatnonzero(~(self.with_the_end >= threshold))
        first = int(below[-1]) + 1 if len(below) else 0
        return float(self.epoch[first]) if first < len(self.epoch) - 1 else None


def compute(progress: Progress, *, kind: Kind = "spearman") -> Correlation:
    """Return the correlations between all evaluations of a task's trials.

    Raises:
        ValueError: where there are fewer than three trials, over which nothing correlates.
    """
    from scipy.stats import rankdata

    trials = len(progress)
    if trials < 3:
        raise ValueError(f"a correlation is over three trials or more; there are {trials}")
    values = progress.best
    has_score = np.isfinite(values).all(axis=0)
    values = np.where(has_score, values, 0.0)  # not to be correlated: constant
    if kind == "spearman":
        values = rankdata(values, axis=0)

    away = values - values.mean(axis=0)
    away[:, np.ptp(values, axis=0) == 0] = 0.0  # where rounding of the mean leaves something
    length = np.linalg.norm(away, axis=0)
    unit = np.divide(away, length, out=np.full_like(away, np.nan), where=length > 0)
    return Correlation(
        epoch=progress.epoch,
        correlation=np.clip(unit.T @ unit, -1.0, 1.0),
        kind=kind,
        trials=trials,
    )
