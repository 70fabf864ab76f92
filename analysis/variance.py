"""How much of the spread is left once a seed is fixed? Section 4.1, Table 3 and Fig. 8.

For each WI seed, the standard deviation of the scores of all trials with that seed; then its mean
over the WI seeds, the table's "Agg. over WI". The same for DO seeds. Where one factor explained
all the spread, fixing its seed would leave none.

Deviations are those of the population (divided by the number of trials): so computed, the paper's
2,100 scores give its printed table, with one degree of freedom less they do not. A population
deviation is low on few trials, by about 3/(4m) of itself on m of them, so on small grids the
given-a-seed figures lie below the total even where seeds explain nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis import density

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.density import Density
    from analysis.scores import TrialScores


@dataclass(frozen=True, eq=False)
class SeedDeviations:
    """The standard deviation of the scores given each seed of one factor.

    Attributes:
        seed: int64[S], the seeds, ascending.
        deviation: float64[S], over all trials with that seed; NaN where there is but one.
        trials: int64[S], the number of trials with that seed.
    """

    seed: NDArray[np.int64]
    deviation: NDArray[np.float64]
    trials: NDArray[np.int64]

    @property
    def expected(self) -> float:
        """The mean over the seeds that have two trials or more; NaN if none has."""
        return float(self.known.mean()) if self.known.size else float("nan")

    @property
    def density(self) -> Density | None:
        """Where these deviations lie (Fig. 8); None where there are not two different ones."""
        return density.compute(self.known, lowest=0.0)

    @property
    def known(self) -> NDArray[np.float64]:
        """The deviations that are known: of the seeds with two trials or more."""
        return self.deviation[np.isfinite(self.deviation)]


@dataclass(frozen=True, eq=False)
class ScoreDeviation:
    """A column of Table 3.

    Attributes:
        given_wi: the deviation given each WI seed: over data orders (and dropout masks).
        given_do: the deviation given each DO seed: over weight initialisations.
        total: the standard deviation over all trials; NaN where there is but one.
        trials: the number of trials.
    """

    given_wi: SeedDeviations
    given_do: SeedDeviations
    total: float
    trials: int


def compute(scores: TrialScores) -> ScoreDeviation:
    """Return the standard deviation of the scores in all and given a seed.

    Raises:
        ValueError: where there is no score.
    """
    if not len(scores):
        raise ValueError("there is no score to compute a deviation of")
    return ScoreDeviation(
        given_wi=_given(scores.wi_seed, scores.score),
        given_do=_given(scores.do_seed, scores.score),
        total=_deviation(scores.score),
        trials=len(scores),
    )


def _given(seed: NDArray[np.int64], score: NDArray[np.float64]) -> SeedDeviations:
    seeds, trials = np.unique(seed, return_counts=True)
    deviation = np.array([_deviation(score[seed == one]) for one in seeds])
    return SeedDeviations(seeds, deviation, trials.astype(np.int64))


def _deviation(score: NDArray[np.float64]) -> float:
    # One score has no spread to speak of; 0 would pass for perfect agreement.
    return float(np.std(score)) if score.size > 1 else float("nan")
