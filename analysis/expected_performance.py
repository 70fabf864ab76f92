"""How good is the best of n trials? Expected validation performance (Section 3.1, Fig. 1).

The maximum of n trials drawn from the N that were run, after Dodge et al. (2019), "Show your work:
improved reporting of experimental results", or drawn without replacement, which is unbiased.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, eq=False)
class ExpectedPerformance:
    """The mean, standard deviation and median of the best score of n trials, for each budget n.

    Attributes:
        n: int64[B], the budgets 1 … B, in trials.
        mean: float64[B], the expected highest score of n trials.
        deviation: float64[B], the standard deviation of that highest score over the draws of n
            trials. It says how much the best of n varies from one draw to another, not how well
            its mean is known.
        median: float64[B], the median of that highest score: the lowest score that it does not
            exceed in half of the draws or more.
        lowest: the lowest score observed.
        highest: the highest score observed.
        trials: N, the number of trials drawn from.
        replacement: whether a trial can be drawn twice.
    """

    n: NDArray[np.int64]
    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]
    median: NDArray[np.float64]
    lowest: float
    highest: float
    trials: int
    replacement: bool

    @property
    def over(self) -> str:
        """What the deviation is over."""
        how = "with" if self.replacement else "without"
        return f"draws of n from {self.trials} trials, {how} replacement"

    @property
    def band(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The mean less and plus one deviation, cut at the observed extremes (footnote 5)."""
        return (
            np.maximum(self.mean - self.deviation, self.lowest),
            np.minimum(self.mean + self.deviation, self.highest),
        )


def compute(
    score: ArrayLike, *, replacement: bool = True, budget: int | None = None
) -> ExpectedPerformance:
    """Return the expected highest score of n trials, for n from 1 to the budget.

    Args:
        score: float[N], the score of each trial, finite, N ≥ 1.
        replacement: draw with replacement, which is the estimate of Dodge et al. (2019) and the
            paper's; or without, which is unbiased and reaches the highest score at n = N.
        budget: the largest n, from 1 to N; N if not given.

    Raises:
        ValueError: where there is no score, one is not finite, or the budget is not in 1 … N.
    """
    # Validate the arguments.
    scores = np.asarray(score, dtype=np.float64)
    trials = scores.size
    budget = trials if budget is None else budget
    if scores.ndim != 1 or not trials or not np.isfinite(scores).all():
        raise ValueError("score must be one or more finite numbers in one dimension")
    if not 1 <= budget <= trials:
        raise ValueError(f"budget must be from 1 to the number of trials, {trials}; got {budget}")

    # The chance that all n draws are at most a level is a product of one factor for each draw,
    # whether or not the trials drawn before are put back: (c/N)^n, or C(c, n) / C(N, n), with c
    # the number of trials at most that level. Neither can overflow when built up draw by draw.
    levels, counts = np.unique(scores, return_counts=True)
    at_most = np.cumsum(counts)
    chance_at_most = np.ones(len(levels))
    mean, deviation, median = np.empty(budget), np.empty(budget), np.empty(budget)
    for drawn in range(budget):
        gone = 0 if replacement else drawn
        chance_at_most *= np.maximum(at_most - gone, 0) / (trials - gone)
        chance = np.diff(chance_at_most, prepend=0.0)
        mean[drawn] = chance @ levels
        deviation[drawn] = np.sqrt(chance @ np.square(levels - mean[drawn]))
        median[drawn] = levels[np.searchsorted(chance_at_most, 0.5 - _ROUNDING)]

    return ExpectedPerformance(
        n=np.arange(1, budget + 1, dtype=np.int64),
        mean=mean,
        deviation=deviation,
        median=median,
        lowest=float(levels[0]),
        highest=float(levels[-1]),
        trials=trials,
        replacement=replacement,
    )


_ROUNDING = 1e-12
"""What the product of chances may fall short of one half by rounding alone."""
