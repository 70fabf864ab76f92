"""Are some seeds good on all tasks? Ranks of each seed on each task, and a test (Section 4.3).

A WI seed gives every head of as many classes the same weights, so it may be good across tasks; a DO
seed shuffles each task's own data. Whether ranks on different tasks agree is measured by Kendall's
coefficient of concordance W (Kendall and Babington Smith, 1939), whose test is Friedman's, and
tested by permuting the ranks within each task. The paper points at the seed that does best on all
tasks; such a seed was picked from many, and is held against the best that chance picks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from analysis import seed_scores
from analysis.significance import PERMUTATIONS, p_value, shuffles

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from analysis.scores import TrialScores
    from analysis.seed_scores import Factor


@dataclass(frozen=True, eq=False)
class GoodSeeds:
    """The ranks of the S seeds of a factor that were run on all of T tasks.

    Attributes:
        factor: whose seeds they are.
        tasks: the names of the tasks, in the order of the columns.
        seed: int64[S], the best mean rank first; equal ones by the number of the seed.
        rank: float64[S, T], 1 for the seed with the best mean score on the task; equal means share
            the mean of their ranks.
        mean_rank: float64[S], over the tasks.
        concordance: Kendall's W, from 0, no agreement at all, to 1, the same ranks on all tasks;
            its expectation by chance is 1/T. NaN where all ranks are tied.
        concordance_p: how often ranks without agreement agree as much, over permutations of the
            ranks within each task.
        friedman_p: the same by Friedman's chi-squared with S − 1 degrees of freedom.
        best_p: how often, over the same permutations, the best mean rank of all seeds is as good as
            that of `seed[0]`: the seed was picked for it.
        left_out: how many seeds were run on some of the tasks only.
        permutations: how many there were.
    """

    factor: Factor
    tasks: tuple[str, ...]
    seed: NDArray[np.int64]
    rank: NDArray[np.float64]
    mean_rank: NDArray[np.float64]
    concordance: float
    concordance_p: float
    friedman_p: float
    best_p: float
    left_out: int
    permutations: int


def compute(
    scores: Mapping[str, TrialScores],
    factor: Factor,
    rng: np.random.Generator,
    *,
    permutations: int = PERMUTATIONS,
) -> GoodSeeds:
    """Rank the seeds of a factor on each task, and test whether the ranks agree.

    Args:
        scores: by task; of two tasks or more.
        factor: whose seeds are ranked.
        rng: draws the permutations.
        permutations: how many.

    Raises:
        ValueError: where there are fewer than two tasks, or than two seeds that all tasks share.
    """
    means = {
        task: dict(zip(own.seed.tolist(), own.mean.tolist(), strict=True))
        for task, own in (
            (task, seed_scores.compute(of_task, factor)) for task, of_task in scores.items()
        )
    }
    if len(means) < 2:
        raise ValueError("to be good across tasks takes two tasks")
    shared = sorted(set.intersection(*(set(each) for each in means.values())))
    if len(shared) < 2:
        raise ValueError("the tasks share fewer than two seeds")

    # Rank each task's seeds; rounded, so that the order of summation tells no equal means apart.
    rank = np.column_stack(
        [
            stats.rankdata(-np.round([each[seed] for seed in shared], seed_scores.DECIMALS))
            for each in means.values()
        ]
    )
    mean_rank = rank.mean(axis=1)
    order = np.lexsort((shared, mean_rank))

    # Hold agreement, and the best seed, against ranks permuted within each task.
    spreads, bests = [], []
    for batch in shuffles(rank, rng, permutations):
        by_chance = batch.mean(axis=2)
        spreads.append(by_chance.var(axis=1))
        bests.append(-by_chance.min(axis=1))
    concordance = _concordance(rank)
    return GoodSeeds(
        factor=factor,
        tasks=tuple(means),
        seed=np.array(shared, dtype=np.int64)[order],
        rank=rank[order],
        mean_rank=mean_rank[order],
        concordance=concordance,
        concordance_p=p_value(float(mean_rank.var()), np.concatenate(spreads)),
        friedman_p=float(
            stats.chi2.sf(len(means) * (len(shared) - 1) * concordance, len(shared) - 1)
        ),
        best_p=p_value(float(-mean_rank.min()), np.concatenate(bests)),
        left_out=len(set.union(*(set(each) for each in means.values()))) - len(shared),
        permutations=permutations,
    )


def _concordance(rank: NDArray[np.float64]) -> float:
    """Return Kendall's W: the variance of the mean ranks over the mean variance of the ranks.

    That is 12 Σ(R − R̄)² / (T² (S³ − S)) where no ranks are tied, and corrected for ties else.
    """
    within = rank.var(axis=0).mean()
    return float(rank.mean(axis=1).var() / within) if within > 0 else float("nan")
