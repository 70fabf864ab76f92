"""Which of two models is better, for a budget? Two studies of one task, at equal cost.

With one trial each the model with the higher mean tends to win; with many, that with the better
best. Which is ahead depends on the budget, and so they are compared at each: the expected best of n
trials of either, where one overtakes the other, and the chance that A's best beats B's. Whole
distributions are compared, not two numbers that two groups happened to publish.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.bootstrap import interval, resample, units
from analysis.curve_uncertainty import resampled_means

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from analysis.bootstrap import Over
    from analysis.scores import TrialScores

    Floats = NDArray[np.float64]
    Counts = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Comparison:
    """A's best against B's, for each of B budgets.

    Attributes:
        budget: float64[B], ascending: what each model may spend, in the unit of the costs.
        n: int64[B] of A and of B, how many trials that buys, one at least.
        mean: float64[B] of A and of B, the expected best score, drawn with replacement.
        lead: float64[B], A's mean less B's.
        low: float64[B], between this
        high: float64[B], and this the lead lies, for one budget at a time.
        chance: float64[B], the chance that A's best of its n is above B's best of its own, draws
            counted half. With enough trials known this is what a reader of both papers would see.
        chance_low: float64[B], between this
        chance_high: float64[B], and this the chance lies.
        overtakes: the budgets from which on another model leads than before, and which does, "A" or
            "B"; the first names the leader at the smallest budget.
        trials: how many of A and of B were drawn from.
        over: what was resampled for the intervals, each study by itself.
        units: how many of those A and B have.
        confidence: of the intervals.
    """

    budget: Floats
    n: tuple[Counts, Counts]
    mean: tuple[Floats, Floats]
    lead: Floats
    low: Floats
    high: Floats
    chance: Floats
    chance_low: Floats
    chance_high: Floats
    overtakes: tuple[tuple[float, str], ...]
    trials: tuple[int, int]
    over: Over
    units: tuple[int, int]
    confidence: float


def compute(
    ours: TrialScores,
    theirs: TrialScores,
    rng: np.random.Generator,
    *,
    cost: tuple[float, float] = (1.0, 1.0),
    over: Over = "both seeds",
    largest: float | None = None,
    budgets: int = 100,
    repetitions: int = 500,
    confidence: float = 0.95,
) -> Comparison:
    """Compare two models at each budget.

    Args:
        ours: the scores of A, one or more.
        theirs: the scores of B on the same task.
        rng: resamples.
        cost: what a trial of A and of B costs, in whatever unit the budgets are to have.
        over: what is resampled.
        largest: the largest budget; if not given what all trials of the study that has less to
            spend would cost, since beyond that it cannot tell.
        budgets: at most how many, evenly spaced, up to the largest.
        repetitions: how many resamples.
        confidence: of the intervals, between 0 and 1.

    Raises:
        ValueError: where a study has no score, they are of other metrics, a cost is not positive,
            or the largest budget does not buy a trial of either.
    """
    both = ours, theirs
    if not all(map(len, both)):
        raise ValueError("a study without a score cannot be compared")
    if ours.metric != theirs.metric:
        raise ValueError(f"{ours.metric} and {theirs.metric} cannot be compared")
    if min(cost) <= 0:
        raise ValueError(f"the costs of a trial must be positive; got {cost}")
    if largest is None:
        largest = max(*cost, min(len(of) * one for of, one in zip(both, cost, strict=True)))
    if largest < max(cost):
        raise ValueError(f"a budget of {largest} buys no trial at a cost of {max(cost)}")

    steps = min(budgets, int((largest - max(cost)) / max(cost)) + 1)
    budget = np.linspace(max(cost), largest, steps)
    # Rounding must not take the last trial from a budget that just buys it.
    n = tuple((budget / one * (1 + 1e-12)).astype(np.int64) for one in cost)

    # As they are, and resampled.
    means, resampled = [], []
    times = [resample(of, over, rng, repetitions) for of in both]
    for of, own, number in zip(both, times, n, strict=True):
        once = np.ones((1, len(of)), dtype=np.int64)
        means.append(resampled_means(of.score, once, int(number.max()))[0, number - 1])
        resampled.append(resampled_means(of.score, own, int(number.max()))[:, number - 1])
    lead = means[0] - means[1]
    few = min(units(of, over) for of in both)
    # As in `curve_uncertainty.bootstrap`: a resample's best of n is lower than the sample's.
    leads = resampled[0] - resampled[1]
    low, high = interval(leads - 2 * (leads.mean(axis=0) - lead), few, confidence=confidence)
    chances = _chances(ours.score, theirs.score, times[0], times[1], n)
    chance_low, chance_high = interval(chances, few, confidence=confidence)
    once_each = [np.ones((1, len(of)), dtype=np.int64) for of in both]
    return Comparison(
        budget=budget,
        n=(n[0], n[1]),
        mean=(means[0], means[1]),
        lead=lead,
        low=low,
        high=high,
        chance=_chances(ours.score, theirs.score, once_each[0], once_each[1], n)[0],
        chance_low=chance_low,
        chance_high=chance_high,
        overtakes=_overtakes(budget, lead),
        trials=(len(ours), len(theirs)),
        over=over,
        units=(units(ours, over), units(theirs, over)),
        confidence=confidence,
    )


def chance_of_beating(ours: ArrayLike, theirs: ArrayLike, n: int, m: int) -> float:
    """Return the chance that the best of n of one's trials is above the best of m of the other's.

    Trials are drawn with replacement; where the two bests are equal, it counts half.

    Args:
        ours: float64[N], scores.
        theirs: float64[M], scores.
        n: how many trials of ours, at least 1.
        m: how many of theirs, at least 1.
    """
    a, b = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    once = np.ones((1, len(a)), dtype=np.int64), np.ones((1, len(b)), dtype=np.int64)
    return float(_chances(a, b, *once, (np.array([n]), np.array([m])))[0, 0])


def _chances(
    a: Floats, b: Floats, times_a: Counts, times_b: Counts, n: tuple[Counts, ...]
) -> Floats:
    """Return the chance that A's best beats B's in each resample, at each budget.

    Returns:
        float64[repetitions, B].
    """
    levels = np.union1d(a, b)
    share_a, share_b = (
        _share_at_most(score, times, levels) for score, times in ((a, times_a), (b, times_b))
    )
    chances = np.empty((len(times_a), len(n[0])))
    for place, (own, other) in enumerate(zip(*n, strict=True)):
        # Σ over levels v of P(A's best = v) · (P(B's best < v) + P(B's best = v)/2)
        at_a = np.diff(share_a**own, axis=1, prepend=0.0)
        at_most_b = share_b**other
        below_b = np.hstack([np.zeros((len(at_most_b), 1)), at_most_b[:, :-1]])
        chances[:, place] = (at_a * (at_most_b + below_b) / 2).sum(axis=1)
    return chances


def _share_at_most(score: Floats, times: Counts, levels: Floats) -> Floats:
    """Return what share of each resample is at most each level; float64[repetitions, L]."""
    order = np.argsort(score, kind="stable")
    at_most = np.hstack([np.zeros((len(times), 1)), np.cumsum(times[:, order], axis=1)])
    return at_most[:, np.searchsorted(score[order], levels, side="right")] / at_most[:, -1:]


def _overtakes(budget: Floats, lead: Floats) -> tuple[tuple[float, str], ...]:
    changes: list[tuple[float, str]] = []
    for at, ahead in zip(budget, lead, strict=True):
        if abs(ahead) <= _ROUNDING:
            continue
        leader = "A" if ahead > 0 else "B"
        if not changes or changes[-1][1] != leader:
            changes.append((float(at), leader))
    return tuple(changes)


_ROUNDING = 1e-12
