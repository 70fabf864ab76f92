"""Had other trials been run? Resampling trials, or the seeds that they share.

Trials that were started from a grid of seeds are not independent: those with the same WI seed, or
the same DO seed, tend to score alike. What an estimate is uncertain over is therefore named: other
trials, other WI seeds with the same DO seeds, other DO seeds with the same WI seeds, or other seeds
of both. Over both, rows and columns of the grid are drawn independently and a trial comes as often
as its row times its column (Owen, 2007, "The pigeonhole bootstrap"), which is never too narrow: it
tends to be wide where the seeds explain little.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol, get_args

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Over = Literal["trials", "WI seeds", "DO seeds", "both seeds"]
"""What is resampled."""

OVERS: tuple[Over, ...] = get_args(Over)


class Seeded(Protocol):
    """What has two seeds for each of N trials: `TrialScores`, `Progress`."""

    @property
    def wi_seed(self) -> NDArray[np.int64]:
        """int64[N]."""
        ...

    @property
    def do_seed(self) -> NDArray[np.int64]:
        """int64[N]."""
        ...


def resample(
    trials: Seeded, over: Over, rng: np.random.Generator, repetitions: int
) -> NDArray[np.int64]:
    """Return how often each trial comes in each resample.

    Args:
        trials: N trials, by their seeds.
        over: what is drawn, with replacement and as many as there are.
        rng: draws.
        repetitions: how many resamples.

    Returns:
        int64[repetitions, N]. Where trials lack in the grid, a resample over both seeds may have
        other than N trials, but it always has some.
    """
    if over == "trials":
        return _drawn(len(trials.wi_seed), rng, repetitions)
    wi, wi_of = np.unique(trials.wi_seed, return_inverse=True)
    do, do_of = np.unique(trials.do_seed, return_inverse=True)
    if over == "WI seeds":
        return _drawn(len(wi), rng, repetitions)[:, wi_of]
    if over == "DO seeds":
        return _drawn(len(do), rng, repetitions)[:, do_of]
    times = np.zeros((repetitions, len(wi_of)), dtype=np.int64)
    while (empty := ~times.any(axis=1)).any():
        some = int(empty.sum())
        times[empty] = _drawn(len(wi), rng, some)[:, wi_of] * _drawn(len(do), rng, some)[:, do_of]
    return times


def units(trials: Seeded, over: Over) -> int:
    """Return how many of what is resampled there are; of both seeds, the fewer."""
    wi, do = len(np.unique(trials.wi_seed)), len(np.unique(trials.do_seed))
    counts: dict[Over, int] = {
        "trials": len(trials.wi_seed),
        "WI seeds": wi,
        "DO seeds": do,
        "both seeds": min(wi, do),
    }
    return counts[over]


def interval(
    estimates: NDArray[np.float64], number: int, *, confidence: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the percentile interval of estimates from resamples, made wider where units are few.

    Percentiles of resamples of n units have the spread of a deviation divided by n, not n − 1, and
    normal tails where Student's are due. Both are made good by taking percentiles further out
    (Hesterberg, 2015, "What teachers should know about the bootstrap", section 5).

    Args:
        estimates: float64[repetitions, …], NaN for resamples that have none.
        number: how many units were resampled.
        confidence: chance that the interval is to cover, from 0 to 1.

    Returns:
        Low and high, each of the shape of one estimate; NaN where there are fewer than two units.
    """
    from scipy.stats import norm, t

    if number < 2:
        nothing = np.full(estimates.shape[1:], np.nan)
        return nothing, nothing
    further = np.sqrt(number / (number - 1)) * t.ppf((1 - confidence) / 2, number - 1)
    tail = float(norm.cdf(further))
    low, high = np.nanquantile(estimates, [tail, 1 - tail], axis=0)
    return low, high


def _drawn(count: int, rng: np.random.Generator, repetitions: int) -> NDArray[np.int64]:
    """Return how often each of `count` comes in as many draws; int64[repetitions, count]."""
    return rng.multinomial(count, np.full(count, 1 / count), size=repetitions)
