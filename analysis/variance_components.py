"""How much of the variance is the seeds'? The score taken apart into WI, DO and what is left.

Beyond Section 4.1. With random effects, score = mean + a(WI) + b(DO) + rest, where the rest holds
the interaction of the two and all else. Half the squared difference of two trials then has the
expectation

    σ²(DO) + σ²(rest)             where they share the WI seed only,
    σ²(WI) + σ²(rest)             where they share the DO seed only,
    σ²(WI) + σ²(DO) + σ²(rest)    where they share neither,

whatever the distributions are. Its means over all such pairs are solved for the components. That is
unbiased, with holes in the grid or without, and on a full grid gives the estimates of the analysis
of variance. (Gao and Owen, 2017, use such moments on large crossed data.)

Where cells hold several trials, one for each dropout seed, pairs within a cell tell the rest apart
into the interaction WI × DO and what differs within a cell: dropout, and all else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from scipy import stats

from analysis import seed_scores
from analysis.significance import PERMUTATIONS, rows_differ

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.scores import TrialScores

Source = Literal["wi", "do", "interaction", "within", "rest"]

SOURCE_TITLES: Final[dict[Source, str]] = {
    "wi": "WI seed",
    "do": "DO seed",
    "interaction": "WI × DO",
    "within": "dropout and all else",
    "rest": "WI × DO and all else",
}
"""The sources of variance as tables and figures call them."""

CONFIDENCE: Final = 0.95


@dataclass(frozen=True)
class Component:
    """One source of the variance.

    Attributes:
        source: what the variance is of.
        variance: estimated without bias, and so below 0 at times where the truth is near it.
        interval: of the variance, at 95 %, over WI and DO seeds drawn anew; NaN where there are
            fewer than three seeds of a factor, or no variance at all.
        share: of the total; NaN where that is not above 0.
        share_interval: at 95 %, over the same.
        p: of a seed that makes no difference, by permutation within the other factor's seeds; NaN
            for what is no seed's.
    """

    source: Source
    variance: float
    interval: tuple[float, float]
    share: float
    share_interval: tuple[float, float]
    p: float


@dataclass(frozen=True)
class VarianceComponents:
    """The variance of the scores, taken apart.

    Attributes:
        components: WI, DO and the rest; or WI, DO, interaction and within a cell.
        total: their sum, the variance between trials that share no seed.
        trials: the number of trials.
        wi_seeds: the number of WI seeds.
        do_seeds: the number of DO seeds.
    """

    components: tuple[Component, ...]
    total: float
    trials: int
    wi_seeds: int
    do_seeds: int

    def of(self, source: Source) -> Component:
        """Return the component of a source.

        Raises:
            KeyError: where the variance was not taken apart so far.
        """
        return {component.source: component for component in self.components}[source]


def compute(
    scores: TrialScores, rng: np.random.Generator, *, permutations: int = PERMUTATIONS
) -> VarianceComponents:
    """Take the variance of the scores apart.

    The intervals are the jackknife's: each WI seed and each DO seed is left out in turn, with all
    its trials. Those of the variances are formed on the logarithm of the variance between the means
    of the seeds, those of the shares on the shares, both by Student's t with the number of seeds
    less one. Simulated, they cover the truth in 92 to 99 % of cases with normal, bimodal and
    skewed residuals, most often where a factor has no effect; with strongly skewed effects of the
    seeds in as few as 80 % (`tests/analysis/test_variance_components.py`).

    Args:
        scores: of the trials; may also be 0 and 1, such as whether each diverged.
        rng: draws the permutations.
        permutations: how many.

    Raises:
        ValueError: where there are fewer than two seeds of either factor, or no pairs of trials
            that share one seed, or neither.
    """
    trials = _Trials.of(scores)
    estimates = trials.estimates()
    if not np.isfinite(estimates).all():
        raise ValueError(
            "to take variance apart takes two seeds of each factor, crossed: trials that share a "
            "WI seed, trials that share a DO seed, and trials that share neither"
        )
    intervals, share_intervals = _intervals(trials, estimates)
    total = float(estimates.sum())
    p: dict[Source, float] = {
        factor: rows_differ(seed_scores.compute(scores, factor).score, rng, permutations)
        for factor in seed_scores.FACTORS
    }
    return VarianceComponents(
        components=tuple(
            Component(
                source=source,
                variance=float(estimates[place]),
                interval=intervals[place],
                share=float(estimates[place] / total) if total > 0 else float("nan"),
                share_interval=share_intervals[place],
                p=p.get(source, float("nan")),
            )
            for place, source in enumerate(trials.sources)
        ),
        total=total,
        trials=len(scores),
        wi_seeds=trials.seeds["wi"],
        do_seeds=trials.seeds["do"],
    )


# ── Estimates ────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, eq=False)
class _Trials:
    """Scores, each with the number of its seeds, counted from 0."""

    score: NDArray[np.float64]
    wi: NDArray[np.intp]
    do: NDArray[np.intp]
    dropout: NDArray[np.intp]
    several: bool
    """Whether cells hold several trials."""
    by_dropout: bool
    """Whether these have dropout seeds of their own."""

    @classmethod
    def of(cls, scores: TrialScores) -> _Trials:
        wi, do, dropout = (
            np.unique(seed, return_inverse=True)[1]
            for seed in (scores.wi_seed, scores.do_seed, scores.dropout_seed)
        )
        cells, trials = len(set(zip(wi, do, strict=True))), len(wi)
        own = len(set(zip(wi, do, dropout, strict=True)))
        # Centred, so that sums of squares keep their digits.
        centred = scores.score - scores.score.mean() if trials else scores.score
        return cls(centred, wi, do, dropout, several=cells < trials, by_dropout=cells < own)

    @property
    def sources(self) -> tuple[Source, ...]:
        return ("wi", "do", "interaction", "within") if self.several else ("wi", "do", "rest")

    @property
    def seeds(self) -> dict[Source, int]:
        return {"wi": len(np.unique(self.wi)), "do": len(np.unique(self.do))}

    def without(self, factor: Source, seed: int) -> _Trials:
        """Return the trials with another seed of the factor."""
        kept = (self.wi if factor == "wi" else self.do) != seed
        return _Trials(
            self.score[kept], self.wi[kept], self.do[kept], self.dropout[kept],
            self.several, self.by_dropout,
        )  # fmt: skip

    def estimates(self) -> NDArray[np.float64]:
        """Return the variance of each source; NaN where there are no pairs to tell it by."""
        cell = self._pairs(self.wi, self.do)
        same_wi, same_do = self._pairs(self.wi) - cell, self._pairs(self.do) - cell
        neither = self._pairs() - same_wi - same_do - cell
        given_wi, given_do, total = (
            half / number if number > 0.5 else np.nan
            for half, number in (same_wi, same_do, neither)
        )
        wi, do = total - given_wi, total - given_do
        rest = given_wi + given_do - total
        if not self.several:
            return np.array([wi, do, rest])
        half, number = cell
        within = half / number if number > 0.5 else np.nan
        return np.array([wi, do, rest - within, within])

    def noise(self, estimates: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how much variance the means have that each source is told by, besides its own."""
        cells = len(np.unique(self.wi * (self.do.max() + 1) + self.do))
        each_wi, each_do = cells / self.seeds["wi"], cells / self.seeds["do"]
        if not self.several:
            rest = estimates[2]
            return np.array([rest / each_wi, rest / each_do, 0.0])
        _, _, interaction, within = estimates
        of_cell = interaction + within * cells / len(self.score)
        return np.array(
            [of_cell / each_wi, of_cell / each_do, within * cells / len(self.score), 0.0]
        )

    def _pairs(self, *shared: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return the sum of half the squared differences of pairs, and the number of the pairs.

        The pairs are those that share all of the given seeds, or all pairs where none is given.
        Where dropout seeds vary within cells, pairs with the same dropout seed are left out: they
        might be alike for that.
        """
        pairs = self._pairs_with(*shared)
        return pairs - self._pairs_with(*shared, self.dropout) if self.by_dropout else pairs

    def _pairs_with(self, *shared: NDArray[np.intp]) -> NDArray[np.float64]:
        group = np.zeros(len(self.score), dtype=np.intp)
        for seed in shared:
            group = group * (seed.max(initial=0) + 1) + seed
        _, group = np.unique(group, return_inverse=True)
        number = np.bincount(group)
        total = np.bincount(group, weights=self.score)
        squares = np.bincount(group, weights=self.score**2)
        half = (number * squares - total**2).sum() / 2
        return np.array([half, (number * (number - 1)).sum() / 2])


# ── Intervals ────────────────────────────────────────────────────────────────────────────────────
Interval = tuple[float, float]


def _intervals(
    trials: _Trials, estimates: NDArray[np.float64]
) -> tuple[list[Interval], list[Interval]]:
    """Return the intervals of the variances and of the shares, by source."""
    with np.errstate(divide="ignore", invalid="ignore"):
        logs, shares = _statistics(trials, estimates)
        errors = np.zeros((2, len(estimates)))
        for factor, number in trials.seeds.items():
            left = (trials.without(factor, seed) for seed in range(number))
            without = np.array([_statistics(rest, rest.estimates()) for rest in left])
            deviations = without - without.mean(axis=0)
            errors += (number - 1) / number * (deviations**2).sum(axis=0)
        log_errors, share_errors = np.sqrt(errors)

    noise = trials.noise(estimates)
    seeds = [trials.seeds.get(source, min(trials.seeds.values())) for source in trials.sources]
    of_variances, of_shares = [], []
    for place, number in enumerate(seeds):
        t = float(stats.t.ppf((1 + CONFIDENCE) / 2, number - 1))
        log, step = logs[place], t * log_errors[place]
        of_variances.append(_bounded(np.exp([log - step, log + step]) - noise[place], np.inf))
        share, step = shares[place], t * share_errors[place]
        of_shares.append(_bounded(np.array([share - step, share + step]), 1.0))
    return of_variances, of_shares


def _statistics(trials: _Trials, estimates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what the jackknife is of; float64[2, sources]: logarithms of variances, and shares."""
    return np.array(
        [np.log(estimates + trials.noise(estimates)), estimates / estimates.sum()],
    )


def _bounded(interval: NDArray[np.float64], most: float) -> Interval:
    if not np.isfinite(interval).all():
        return float("nan"), float("nan")
    low, high = np.clip(interval, 0.0, most)
    return float(low), float(high)
