"""The scores by the seeds of one factor: what every comparison of seeds is made on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from analysis import seed_grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.scores import TrialScores

Factor = Literal["wi", "do"]
"""What a seed decides: the weight initialisation of the head, or the order of the data."""

FACTORS: tuple[Factor, ...] = get_args(Factor)

DECIMALS = 12
"""Means that agree to so many decimals are equal: sums depend on their order in the last digits."""

FACTOR_TITLES: dict[Factor, str] = {"wi": "WI", "do": "DO"}
"""The factors as tables and figures call them."""


@dataclass(frozen=True, eq=False)
class SeedScores:
    """The scores of S seeds of a factor (rows), each run with O seeds of the other (columns).

    A row is a seed's scores over the other factor; rows of different seeds share their columns.

    Attributes:
        factor: whose seeds the rows are.
        seed: int64[S], the best mean first; equal means by the number of the seed.
        other: int64[O], the seeds of the other factor.
        score: float64[S, O], the mean score of the cell's trials, of which there is one for each
            dropout seed; NaN where there is none.
        mean: float64[S], the mean of each row over its cells that are not holes.
    """

    factor: Factor
    seed: NDArray[np.int64]
    other: NDArray[np.int64]
    score: NDArray[np.float64]
    mean: NDArray[np.float64]

    def of(self, seed: int) -> NDArray[np.float64]:
        """Return the scores of one seed, holes left out.

        Raises:
            ValueError: where it has no row.
        """
        if seed not in self.seed:
            raise ValueError(f"there is no {FACTOR_TITLES[self.factor]} seed {seed}")
        row: NDArray[np.float64] = self.score[int(np.flatnonzero(self.seed == seed)[0])]
        return row[np.isfinite(row)]


def compute(scores: TrialScores, factor: Factor) -> SeedScores:
    """Return the scores by the seeds of a factor.

    Raises:
        ValueError: where there is no score.
    """
    if factor == "do":
        scores = replace(scores, wi_seed=scores.do_seed, do_seed=scores.wi_seed)
    grid = seed_grid.compute(scores)
    return SeedScores(factor, grid.wi_seed, grid.do_seed, grid.score, grid.wi_mean)
