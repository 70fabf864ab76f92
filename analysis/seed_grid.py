"""Which seeds are good? The scores by WI and DO seed, sorted (Section 4, Fig. 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.scores import TrialScores

_DECIMALS = 12


@dataclass(frozen=True, eq=False)
class SeedGrid:
    """Scores by WI seed (R rows) and DO seed (C columns), both sorted by their means.

    A cell holds the trials of one WI and one DO seed: as many as there are dropout seeds, which it
    averages; most often one. Means of rows and columns are over their cells that are not holes,
    each counted once.

    Attributes:
        wi_seed: int64[R], the seed of each row, the best mean first (the top row).
        do_seed: int64[C], the seed of each column, the best mean last (the right-most column).
        score: float64[R, C], the mean score of the cell's trials; NaN where there is none.
        trials: int64[R, C], how many trials the cell has.
        wi_mean: float64[R], the mean of each row.
        do_mean: float64[C], the mean of each column.
    """

    wi_seed: NDArray[np.int64]
    do_seed: NDArray[np.int64]
    score: NDArray[np.float64]
    trials: NDArray[np.int64]
    wi_mean: NDArray[np.float64]
    do_mean: NDArray[np.float64]

    @property
    def holes(self) -> int:
        """How many cells have no trial with a score."""
        return int(np.count_nonzero(self.trials == 0))

    @property
    def best(self) -> tuple[int, int]:
        """Row and column of the cell with the highest score; the first of equal ones."""
        row, column = divmod(int(np.nanargmax(self.score)), self.score.shape[1])
        return row, column


def compute(scores: TrialScores) -> SeedGrid:
    """Return the grid of scores; equal means are ordered by the number of the seed.

    Raises:
        ValueError: where there is no score.
    """
    if not len(scores):
        raise ValueError("there is no score to lay out on a grid")

    # Sum and count the trials of each cell, by ascending seeds.
    wi_seed, row = np.unique(scores.wi_seed, return_inverse=True)
    do_seed, column = np.unique(scores.do_seed, return_inverse=True)
    trials = np.zeros((len(wi_seed), len(do_seed)), dtype=np.int64)
    total = np.zeros(trials.shape)
    np.add.at(trials, (row, column), 1)
    np.add.at(total, (row, column), scores.score)
    score = np.full(trials.shape, np.nan)
    np.divide(total, trials, out=score, where=trials > 0)

    # Sort: best row first, best column last; a stable sort keeps equal ones by their seed, and
    # rounding keeps the order of summation from telling equal ones apart. Each row and column was
    # made by a trial, so no mean is of nothing.
    wi_mean, do_mean = np.nanmean(score, axis=1), np.nanmean(score, axis=0)
    rows = np.argsort(-wi_mean.round(_DECIMALS), kind="stable")
    columns = np.argsort(do_mean.round(_DECIMALS), kind="stable")
    return SeedGrid(
        wi_seed=wi_seed[rows],
        do_seed=do_seed[columns],
        score=score[np.ix_(rows, columns)],
        trials=trials[np.ix_(rows, columns)],
        wi_mean=wi_mean[rows],
        do_mean=do_mean[columns],
    )
