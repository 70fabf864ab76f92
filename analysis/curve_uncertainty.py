"""How well is the curve of expected performance known? Bands and intervals, by what they are over.

Two answers to two questions. A *band* covers the whole curve at once, for all scores that the
trials could have had: every budget lies in it together, with the stated confidence. An *interval*
is for one budget at a time, and over other trials, other WI seeds, other DO seeds, or both.

The band is that of the scores' distribution function, carried over to the best of n: if F lies
between two functions everywhere, F^n does between their powers (Lourie, Cho and He, 2023, "Show
your work with confidence"). F̂ − ε and F̂ + ε are such, by the inequality of Dvoretzky, Kiefer and
Wolfowitz with Massart's constant, ε² = log(2/α)/(2N); and so are the tighter ones that the package
opda computes, for scores without ties. All hold for N independent trials. Those of a crossed grid
are not: where seeds explain some of the spread, N trials say no more about F than fewer independent
ones would, and ε is taken for that number instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from analysis.bootstrap import interval, resample, units

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.bootstrap import Over
    from analysis.scores import TrialScores

    Floats = NDArray[np.float64]

Method = Literal["dkw", "ks", "ld_equal_tailed", "ld_highest_density"]
"""Of the band. `dkw` holds for any scores; the others are exact for scores without ties.

`ks` has the width of Kolmogorov's statistic; `ld_…`, after Learned-Miller and DeStefano, is narrow
at the ends, where the best of many trials lies, but is simulated: N numbers 100,000 times.
"""

_BOUNDS = {
    "matthews_correlation": (-1.0, 1.0),
    "pearson": (-1.0, 1.0),
    "spearman": (-1.0, 1.0),
    "pearson_and_spearman": (-1.0, 1.0),
}
"""Between which scores a metric lies; from 0 to 1 if not named."""


@dataclass(frozen=True, eq=False)
class Band:
    """Between what the curves of the best of n trials lie, all budgets at once.

    Attributes:
        n: int64[B], the budgets 1 … B, in trials.
        mean: float64[B] low and high, for the expected best score. Where few of the trials can
            tell how good the best of n is, its end is that of the metric.
        median: the same for the median of the best score.
        confidence: chance that the band covers the whole curve.
        method: how it was computed.
        trials: N.
        effective_trials: how many independent trials tell as much about the scores.
        caveats: where the assumptions do not hold, in sentences.
    """

    n: NDArray[np.int64]
    mean: tuple[Floats, Floats]
    median: tuple[Floats, Floats]
    confidence: float
    method: Method
    trials: int
    effective_trials: float
    caveats: tuple[str, ...]

    @property
    def over(self) -> str:
        """What the band is over."""
        return (
            f"all that {self.trials} trials of these settings could have scored, "
            "all budgets at once"
        )


def band(
    scores: TrialScores,
    *,
    method: Method | None = None,
    confidence: float = 0.95,
    budget: int | None = None,
    rng: np.random.Generator | None = None,
) -> Band:
    """Return the simultaneous confidence band of the curve of expected performance.

    Args:
        scores: one or more.
        method: see `Method`. If not given: `ks`, which is exact, where no trials share seeds and no
            scores are equal, else `dkw`. If given where it is not exact, the caveats say so.
        confidence: between 0 and 1.
        budget: the largest n; the number of trials if not given.
        rng: simulates what the methods `ld_…` need.

    Raises:
        ValueError: where there is no score, or no `rng` for a method that needs one.
    """
    trials = len(scores)
    if not trials:
        raise ValueError("there is no score to give a band of")
    low_end, high_end = _BOUNDS.get(scores.metric, (0.0, 1.0))
    ends = min(low_end, float(scores.score.min())), max(high_end, float(scores.score.max()))
    effective = effective_trials(scores)
    if method is None:
        method = "dkw" if _ties(scores) or _shares_seeds(scores) else "ks"

    # The distribution function at each level lies between these.
    levels, counts = np.unique(scores.score, return_counts=True)
    at_most = np.cumsum(counts)
    if method == "dkw":
        width = np.sqrt(np.log(2 / (1 - confidence)) / (2 * effective))
        below = np.clip(at_most / trials - width, 0, 1)
        above = np.clip(at_most / trials + width, 0, 1)
        before = min(width, 1.0)
    else:
        below, above, before = _opda_band(scores.score, method, confidence, rng)

    # The curves that go with these functions; what is missing of one lies at an end of the metric.
    n = np.arange(1, (budget or trials) + 1)
    worst = np.concatenate([[ends[0]], levels]), np.concatenate([[before], above])
    best = np.concatenate([levels, [ends[1]]]), np.concatenate([below, [1.0]])
    return Band(
        n=n,
        mean=(_mean_of_best(*worst, n), _mean_of_best(*best, n)),
        median=(_median_of_best(*worst, n), _median_of_best(*best, n)),
        confidence=confidence,
        method=method,
        trials=trials,
        effective_trials=effective,
        caveats=_caveats(scores, method, effective),
    )


def _opda_band(
    score: Floats, method: Method, confidence: float, rng: np.random.Generator | None
) -> tuple[Floats, Floats, float]:
    """Return F's lower and upper bound at each level, and the upper one before the first."""
    import warnings

    from opda.nonparametric import EmpiricalDistribution

    if rng is None and method.startswith("ld_"):
        raise ValueError(f"the method {method} simulates, and needs a generator")
    with warnings.catch_warnings():
        # It warns of ties, which the caveats tell in their own words.
        warnings.simplefilter("ignore", RuntimeWarning)
        lower, _, upper = EmpiricalDistribution.confidence_bands(
            score, confidence, generator=rng, method=method, n_jobs=1
        )
    levels = np.unique(score)
    return lower.cdf(levels), upper.cdf(levels), float(upper.cdf(np.nextafter(levels[0], -np.inf)))


def _mean_of_best(levels: Floats, at_most: Floats, n: NDArray[np.int64]) -> Floats:
    """Return the mean of the best of n, where F is `at_most` at the ascending levels."""
    return np.asarray(levels[-1] - at_most[:-1] ** n[:, None] @ np.diff(levels))


def _median_of_best(levels: Floats, at_most: Floats, n: NDArray[np.int64]) -> Floats:
    """Return the median of the best of n: the lowest level of which F^n is one half or more."""
    return np.asarray(levels[np.searchsorted(at_most, 0.5 ** (1 / n) - _ROUNDING)])


_ROUNDING = 1e-12


def effective_trials(scores: TrialScores) -> float:
    """Return how many independent trials would tell as much about the distribution of scores.

    On a full grid of R × C seeds with one trial a cell, whether a score is at most a level varies
    over rows, columns and what remains; the mean over the grid then has the variance
    (MS_rows + MS_columns − MS_rest)/(R·C), where independent trials have that of one over R·C. Both
    are averaged over levels. Never more than there are trials, which is what is returned for any
    other layout of trials that share no seeds.

    Args:
        scores: of trials, one or more.
    """
    grid = _full_grid(scores)
    trials = len(scores)
    if grid is None:
        return float(units(scores, "both seeds") if _shares_seeds(scores) else trials)
    rows, columns = grid.shape
    levels = np.unique(scores.score)[:-1]
    if not len(levels):
        return float(trials)
    is_most = (grid <= levels[:, None, None]).astype(float)
    share = is_most.mean(axis=(1, 2))
    of_row, of_column = is_most.mean(axis=2), is_most.mean(axis=1)
    row = columns * np.square(of_row - share[:, None]).sum() / (rows - 1)
    column = rows * np.square(of_column - share[:, None]).sum() / (columns - 1)
    rest = is_most - of_row[:, :, None] - of_column[:, None, :] + share[:, None, None]
    remaining = np.square(rest).sum() / ((rows - 1) * (columns - 1))
    inflation = (row + column - remaining) / (share * (1 - share)).sum()
    return float(trials / max(1.0, inflation))


def _full_grid(scores: TrialScores) -> Floats | None:
    """Return the scores by WI and DO seed, if each pair of two or more of both has one trial."""
    wi, row = np.unique(scores.wi_seed, return_inverse=True)
    do, column = np.unique(scores.do_seed, return_inverse=True)
    cells = len(np.unique(row * len(do) + column))
    if not cells == len(scores) == len(wi) * len(do) or min(len(wi), len(do)) < 2:
        return None
    grid = np.empty((len(wi), len(do)))
    grid[row, column] = scores.score
    return grid


def _ties(scores: TrialScores) -> int:
    """Return how many scores are equal to one counted before."""
    return len(scores) - len(np.unique(scores.score))


def _shares_seeds(scores: TrialScores) -> bool:
    return min(units(scores, "WI seeds"), units(scores, "DO seeds")) < len(scores)


def _caveats(scores: TrialScores, method: Method, effective: float) -> tuple[str, ...]:
    caveats = []
    trials = len(scores)
    if (ties := _ties(scores)) and method != "dkw":
        caveats.append(
            f"{ties} of the {trials} scores are equal to another, and the method {method} is exact "
            "only for scores without ties: the band is wider than it need be."
        )
    if _shares_seeds(scores):
        number = f"{effective:.0f} independent trial{'' if round(effective) == 1 else 's'}"
        what = (
            f"they tell as much as {number}, and the band is that of so many."
            if method == "dkw"
            else f"they tell as much as {number}, and the band, which is for {trials}, is too "
            "narrow."
        )
        caveats.append(f"The {trials} trials share seeds and are not independent: {what}")
    return tuple(caveats)


# ── One budget at a time ─────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, eq=False)
class CurveInterval:
    """Between what the expected best score of n trials lies, for one budget at a time.

    Attributes:
        n: int64[B], the budgets 1 … B, in trials.
        low: float64[B].
        high: float64[B].
        confidence: chance that one of them covers.
        over: what was resampled.
        units: how many of those there are; with fewer than two nothing can be said (NaN).
    """

    n: NDArray[np.int64]
    low: Floats
    high: Floats
    confidence: float
    over: Over
    units: int


def bootstrap(
    scores: TrialScores,
    over: Over,
    rng: np.random.Generator,
    *,
    confidence: float = 0.95,
    budget: int | None = None,
    repetitions: int = 1_000,
) -> CurveInterval:
    """Return the bootstrap's interval of the expected best score of n trials.

    It says between what the curve lies for n well below the number of units resampled: the best of
    as many trials as there are cannot be told from them.

    Args:
        scores: one or more.
        over: what is resampled; what is not is taken as it is.
        rng: resamples.
        confidence: between 0 and 1.
        budget: the largest n; the number of trials if not given.
        repetitions: how many resamples.

    Raises:
        ValueError: where there is no score.
    """
    if not len(scores):
        raise ValueError("there is no score to resample")
    largest = budget or len(scores)
    once = np.ones((1, len(scores)), dtype=np.int64)
    (curve,) = resampled_means(scores.score, once, largest)
    curves = resampled_means(scores.score, resample(scores, over, rng, repetitions), largest)
    # The best of n drawn from few is lower than from all that could be run, and from a resample of
    # the few lower still, by about as much: put back twice, the interval has the right middle.
    curves -= 2 * (curves.mean(axis=0) - curve)
    number = units(scores, over)
    low, high = interval(curves, number, confidence=confidence)
    return CurveInterval(np.arange(1, largest + 1), low, high, confidence, over, number)


def resampled_means(score: Floats, times: NDArray[np.int64], budget: int) -> Floats:
    """Return the expected best of n trials, drawn with replacement, in each resample.

    Args:
        score: float64[N].
        times: int64[repetitions, N], how often each trial comes.
        budget: the largest n.

    Returns:
        float64[repetitions, budget].
    """
    order = np.argsort(score)
    ascending = score[order]
    at_most = np.cumsum(times[:, order], axis=1)
    share = at_most[:, :-1] / at_most[:, -1:]
    gaps = np.diff(ascending)
    means = np.empty((len(times), budget))
    power = np.ones_like(share)
    for n in range(budget):
        power *= share
        means[:, n] = ascending[-1] - power @ gaps
    return means
