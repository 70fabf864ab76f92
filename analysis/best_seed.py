"""Is the best seed truly better? The comparison of Table 4, corrected for choosing after looking.

Of many seeds that make no difference, some seed has the best mean and some the worst, and the two
lie far apart. So the range of the means is held against the ranges that arise when the scores are
permuted (`analysis.significance.shuffles`), which are ranges of a best and a worst chosen in the
same way. And the best and the worst seed are chosen on half of the other factor's seeds, and
compared on the other half, where nothing was chosen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import stats

from analysis import best_against_worst
from analysis.significance import PERMUTATIONS, p_value, shuffles

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.best_against_worst import BestAgainstWorst
    from analysis.seed_scores import SeedScores

_SPLITS: Final = 50
LEVEL: Final = 0.05
"""At which the paper calls a difference significant."""


@dataclass(frozen=True)
class HeldOut:
    """What choosing the best and the worst seed on half of the data is worth on the other half.

    Means over random splits of the other factor's seeds into halves, each half in turn the one that
    is chosen on. The splits share their trials, so how they differ says nothing of how well the
    means are known; the p-values do.

    Attributes:
        difference: how far the seed chosen as best is above the one chosen as worst, where they
            were not chosen. 0 is expected where seeds make no difference.
        gain: how far the seed chosen as best is above the mean of all seeds, likewise.
        superiority: chance that a score of the seed chosen as best is above one of the seed chosen
            as worst, equal ones counted half; 0.5 is expected where seeds make no difference.
        difference_p: p-value of the difference, over permutations.
        gain_p: p-value of the gain, over permutations.
        splits: how many splits.
    """

    difference: float
    gain: float
    superiority: float
    difference_p: float
    gain_p: float
    splits: int


@dataclass(frozen=True)
class BestSeed:
    """What is left of "the best seed is better than the worst".

    Attributes:
        paper: the paper's own comparison.
        seeds: S, the number of seeds that the best and the worst were chosen from.
        other: O, the number of seeds of the other factor.
        range_p: how often the means of seeds that make no difference lie as far apart, over
            permutations within the seeds of the other factor.
        false_alarms: in how many of those permutations, which have no effect of the seed in them,
            the paper's analysis of variance of best against worst has p < 0.05.
        kruskal_h: statistic of Kruskal and Wallis (1952) between all seeds; NaN where all scores
            are equal or a seed has none.
        kruskal_p: its p-value, by chi-squared with S − 1 degrees of freedom, as if the scores of
            different seeds were independent.
        cohens_d: the difference of best and worst in standard deviations within the two. It was
            chosen for its size, and overstates what will be found again.
        superiority: chance that a score of the best is above one of the worst, equal ones counted
            half; overstated in the same way.
        held_out: the same where nothing was chosen; None where there are fewer than four seeds of
            the other factor to split, or holes in the grid.
        permutations: how many there were.
    """

    paper: BestAgainstWorst
    seeds: int
    other: int
    range_p: float
    false_alarms: float
    kruskal_h: float
    kruskal_p: float
    cohens_d: float
    superiority: float
    held_out: HeldOut | None
    permutations: int


def compute(
    seeds: SeedScores,
    rng: np.random.Generator,
    *,
    permutations: int = PERMUTATIONS,
    splits: int = _SPLITS,
) -> BestSeed:
    """Test whether the best seed of a factor is truly better.

    Args:
        seeds: the scores by seed.
        rng: draws the permutations and the splits.
        permutations: how many, from 1.
        splits: into halves, how many, from 1.

    Raises:
        ValueError: where there are fewer than two seeds, or the best and the worst have but one
            score each.
    """
    paper = best_against_worst.compute(seeds)
    score = seeds.score
    halves = _halves(score, rng, splits)

    ranges, anova, differences, gains = [], [], [], []
    for batch in shuffles(score, rng, permutations):
        ranges.append(_range(batch))
        anova.append(_anova_p(batch))
        if halves is not None:
            difference, gain = _held_out(batch, halves)
            differences.append(difference)
            gains.append(gain)

    h, kruskal_p = _kruskal(score)
    return BestSeed(
        paper=paper,
        seeds=len(seeds.seed),
        other=len(seeds.other),
        range_p=p_value(float(_range(score[None])[0]), np.concatenate(ranges)),
        false_alarms=float(np.mean(np.concatenate(anova) < LEVEL)),
        kruskal_h=h,
        kruskal_p=kruskal_p,
        cohens_d=_cohens_d(paper),
        superiority=float(superiority(paper.of_best, paper.of_worst)),
        held_out=(
            None
            if halves is None
            else _summary(score, halves, np.concatenate(differences), np.concatenate(gains))
        ),
        permutations=permutations,
    )


def superiority(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return the chance that a value of one is above one of the other, equal ones counted half."""
    compared = np.sign(one[:, None] - other[None, :])
    return float((compared.mean() + 1) / 2)


# ── The best and the worst of all ────────────────────────────────────────────────────────────────
def _range(score: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far the means of the rows lie apart; float64[B] of float64[B, S, O]."""
    mean = np.nanmean(score, axis=2)
    return np.asarray(mean.max(axis=1) - mean.min(axis=1))


def _anova_p(score: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the paper's p-value between the rows of highest and lowest mean; float64[B]."""
    mean = np.nanmean(score, axis=2)
    each = np.arange(len(score))
    _, p = best_against_worst.one_way(
        score[each, mean.argmax(axis=1)], score[each, mean.argmin(axis=1)]
    )
    return p


def _kruskal(score: NDArray[np.float64]) -> tuple[float, float]:
    rows = [row[np.isfinite(row)] for row in score]
    if len(np.unique(np.concatenate(rows))) < 2:
        return float("nan"), float("nan")
    h, p = stats.kruskal(*rows)
    return float(h), float(p)


def _cohens_d(pair: BestAgainstWorst) -> float:
    n, m = pair.of_best.size, pair.of_worst.size
    within = (n * pair.of_best.var() + m * pair.of_worst.var()) / (n + m - 2)
    return float(pair.difference / np.sqrt(within)) if within > 0 else float("nan")


# ── Chosen on one half, compared on the other ────────────────────────────────────────────────────
def _halves(
    score: NDArray[np.float64], rng: np.random.Generator, splits: int
) -> NDArray[np.bool_] | None:
    """Return random halves of the columns; bool[2 × splits, O], a half followed by the other."""
    columns = score.shape[1]
    if columns < 4 or np.isnan(score).any():
        return None
    order = rng.permuted(np.tile(np.arange(columns), (splits, 1)), axis=1)
    half = order < columns // 2
    return np.stack([half, ~half], axis=1).reshape(-1, columns)


def _held_out(
    score: NDArray[np.float64], halves: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return difference and gain where nothing was chosen, each float64[B], means over the splits.

    Args:
        score: float64[B, S, O], without holes.
        halves: bool[H, O], the columns that the best and the worst are chosen on.
    """
    # Seeds come last, where they lie side by side in memory and the best is quickly found.
    by_column = np.swapaxes(score, 1, 2)
    chosen_on = (halves / halves.sum(axis=1, keepdims=True)) @ by_column
    held_out = (~halves / (~halves).sum(axis=1, keepdims=True)) @ by_column
    best, worst = (
        np.take_along_axis(held_out, pick(chosen_on, axis=2)[:, :, None], axis=2)[:, :, 0]
        for pick in (np.argmax, np.argmin)
    )
    return (best - worst).mean(axis=1), (best - held_out.mean(axis=2)).mean(axis=1)


def _summary(
    score: NDArray[np.float64],
    halves: NDArray[np.bool_],
    differences: NDArray[np.float64],
    gains: NDArray[np.float64],
) -> HeldOut:
    (difference,), (gain,) = _held_out(score[None], halves)
    chances = []
    for half in halves:
        mean = score[:, half].mean(axis=1)
        chances.append(superiority(score[mean.argmax(), ~half], score[mean.argmin(), ~half]))
    return HeldOut(
        difference=float(difference),
        gain=float(gain),
        superiority=float(np.mean(chances)),
        difference_p=p_value(float(difference), differences),
        gain_p=p_value(float(gain), gains),
        splits=len(halves) // 2,
    )
