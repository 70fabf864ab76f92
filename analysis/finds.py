"""What does starting many and continuing some find? The expected best score, exactly (Section 5).

Of N trials t are drawn and started. They are ranked by their best score so far at the stopping
point, and the best p of them trained to their end. What is found is the best score of all that was
trained; if any trial goes on, none of those stopped can hold it, for whatever goes on had scored no
less already.

The expectation is exact here where the paper draws 50,000 times. Sort the N trials by their best
score so far at the stopping point, best first, and draw t of them without replacement. If the p-th
best drawn is the trial at position k, the p − 1 others that go on are among the k − 1 before it:

    P(find ≤ v) = Σ_k [final_k ≤ v] · C(g(k, v), p − 1) · C(N − k, t − p) / C(N, t)

with g(k, v) the number of the first k − 1 whose final score is at most v. Trials with equal scores
at the stopping point are one tie group; averaging over the orders they could be ranked in, r of a
group of m go on as a random choice of r among the m: with a trials ahead of the group,

    P(find ≤ v) = Σ_groups Σ_r  P(p − r of those ahead are drawn, and r or more of the group)
                  · C(a_v, p − r) / C(a, p − r) · C(m_v, r) / C(m, r)

where a_v and m_v count those whose final score is at most v. Groups of one give the formula above.
The last two factors are matrix products over v; the first is hypergeometric, from log-gamma.

Drawn with replacement, position is a number u in [0, 1], and

    P(find ≤ v) = ∫ C(t, p) · (t − p) · (1 − u)^(t − p − 1) · G_v(u)^p du

with G_v(u) the share of all trials that are ranked before u and end with at most v: linear within a
tie group, so that Gauss's quadrature on each of N equal parts is exact to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from analysis import expected_performance

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Counts = NDArray[np.int64]

PAPERS_DRAWS = 50_000
"""How often the paper draws for each setting."""


@dataclass(frozen=True, eq=False)
class Finds:
    """The best score found by each setting that stops at one point.

    Attributes:
        mean: float64[T + 1, P + 1], its expectation when t are started and p continued, at [t, p];
            NaN where p exceeds t, for t = 0, and for what was not asked for.
        deviation: float64[T + 1, P + 1], its standard deviation over draws of t trials.
    """

    mean: Floats
    deviation: Floats


def exact_finds(
    at_stop: ArrayLike,
    final: ArrayLike,
    *,
    most_started: int,
    most_continued: int,
    replacement: bool = False,
    tie_order: ArrayLike | None = None,
) -> Finds:
    """Return the expected best score found by all settings that stop at one point, in closed form.

    Args:
        at_stop: float64[N], each trial's best score so far when it may be stopped, which ranks the
            trials. Negative infinity ranks last.
        final: float64[N], each trial's score at the end of its training, finite.
        most_started: T, the largest t, from 1 to N.
        most_continued: P, the largest p, from 0.
        replacement: whether a trial can be drawn twice.
        tie_order: N different numbers, of equal scores the lowest ranks first; if not given, equal
            scores are averaged over all their orders.

    Raises:
        ValueError: where the scores are not N finite ones, or T is not from 1 to N.
    """
    ranked_by, finals = _checked(at_stop, final, most_started)
    levels, level = np.unique(finals, return_inverse=True)
    # With y = highest − find, E[y] = Σ_v P(find ≤ v)·(v⁺ − v) over all levels v but the highest, v⁺
    # the next above v; and E[y²] likewise, of squares. Sums of positive numbers: nothing cancels.
    short = levels[-1] - levels
    gaps = np.stack([-np.diff(short), -np.diff(np.square(short))], axis=1)

    moments = np.full((2, most_started + 1, most_continued + 1), np.nan)
    most = min(most_continued, most_started)
    if most:
        moments_of = _shortfalls_with if replacement else _shortfalls_without
        found = moments_of(_tie_groups(ranked_by, level, tie_order), gaps, most_started, most)
        # The p best of t: of fewer than p there are none.
        started, continued = np.ogrid[: most_started + 1, : most + 1]
        found[:, (continued > started) | (continued == 0)] = np.nan
        moments[:, :, : most + 1] = found
    finds = Finds(levels[-1] - moments[0], _root(moments[1] - np.square(moments[0])))
    if np.isfinite(ranked_by).all():
        curve = expected_performance.compute(
            ranked_by, replacement=replacement, budget=most_started
        )
        finds.mean[1:, 0], finds.deviation[1:, 0] = curve.mean, curve.deviation
    return finds


def _shortfalls_without(
    groups: Sequence[_TieGroup], gaps: Floats, started: int, continued: int
) -> Floats:
    """Return E[y] and E[y²] at [:, t, p], drawn without replacement."""
    trials = groups[-1].ahead + groups[-1].size
    log_factorial = _log_factorials(trials)
    t = np.arange(started + 1)
    i = np.arange(continued)
    rest = np.maximum(t[:, None] - i, 0)  # drawn, and not ahead

    moments = np.zeros((2, started + 1, continued + 1))
    for group in groups:
        most = min(continued, group.size)
        # E[y] and E[y²] at [:, i, r − 1], where i of those ahead and r of the group go on.
        from_ahead = _chance_all_at_most(group.ahead_at_most, group.ahead, continued - 1)
        from_group = _chance_all_at_most(group.at_most, group.size, most)[1:]
        shortfall = [(from_ahead * gap) @ from_group.T for gap in gaps.T]

        drawn_ahead = _hypergeometric(log_factorial, i, trials, group.ahead, t[:, None])
        fewer = np.zeros(len(t))  # the chance that fewer than r of the group are drawn
        for r in range(1, most + 1):
            hits = np.array(r - 1)
            fewer += _hypergeometric(log_factorial, hits, trials - group.ahead, group.size, t)
            taken = continued - r + 1
            chance = (drawn_ahead * (1 - fewer)[rest])[:, :taken]
            for moment, of_taken in zip(moments, shortfall, strict=True):
                moment[:, r:] += chance * of_taken[:taken, r - 1]
    return moments


def _shortfalls_with(
    groups: Sequence[_TieGroup], gaps: Floats, started: int, continued: int
) -> Floats:
    """Return E[y] and E[y²] at [:, t, p], drawn with replacement."""
    t = np.arange(started + 1)[:, None]
    log_factorial = _log_factorials(started)
    moments = np.zeros((2, started + 1, continued + 1))
    for u, weight, share in _nodes(groups):
        all_at_most = np.ones_like(share)
        for p in range(1, min(continued, started - 1) + 1):
            all_at_most *= share
            stopped = t[p + 1 :] - p
            log_ways = log_factorial[t[p + 1 :]] - log_factorial[p] - log_factorial[stopped]
            log_density = p * np.log(u) + (stopped - 1) * np.log1p(-u)
            density = np.exp(log_ways + np.log(stopped) + log_density)
            moments[:, p + 1 :, p] += ((density * weight) @ (all_at_most @ gaps)).T

    # Where none is stopped, the p are any p.
    last = groups[-1]
    at_most = (last.ahead_at_most + last.at_most) / (last.ahead + last.size)
    for p in range(1, min(continued, started) + 1):
        moments[:, p, p] = at_most**p @ gaps
    return moments


_NODES = 6
"""Of Gauss's quadrature on each of the N parts of [0, 1]. Over a part that matters the integrand
changes by about a factor e, and on such a function 6 nodes err by 2e-16 of it."""

_NUMBERS_AT_ONCE = 2_000_000


def _nodes(groups: Sequence[_TieGroup]) -> Iterator[tuple[Floats, Floats, Floats]]:
    """Yield nodes u, their weights, and G_v(u)/u for each level v but the highest; in blocks."""
    trials = groups[-1].ahead + groups[-1].size
    node, weight = np.polynomial.legendre.leggauss(_NODES)
    positions = max(1, _NUMBERS_AT_ONCE // (_NODES * max(len(groups[0].at_most), 1)))
    places, shares = [], []
    for group in groups:
        into = (np.arange(group.size)[:, None] + (node + 1) / 2).ravel()
        for begin in range(0, len(into), positions * _NODES):
            part = into[begin : begin + positions * _NODES, None]
            places.append(group.ahead + part)
            at_most = group.ahead_at_most + part * (group.at_most / group.size)
            shares.append(at_most / (group.ahead + part))
            is_last = group.ahead + group.size == trials and begin + len(part) == len(into)
            if is_last or sum(map(len, places)) >= positions * _NODES:
                place = np.vstack(places).ravel()
                weights = np.tile(weight / 2 / trials, len(place) // _NODES)
                yield place / trials, weights, np.vstack(shares)
                places, shares = [], []


def sampled_finds(
    at_stop: ArrayLike,
    final: ArrayLike,
    wanted: Sequence[tuple[int, int]],
    rng: np.random.Generator,
    *,
    draws: int = PAPERS_DRAWS,
    replacement: bool = False,
    tie_order: ArrayLike | None = None,
) -> Finds:
    """Return the mean best score found by settings that stop at one point, over random draws.

    The way of the paper. Settings that start as many trials share their draws.

    Args:
        at_stop: as for `exact_finds`.
        final: as for `exact_finds`.
        wanted: pairs t, p, with 0 ≤ p ≤ t.
        rng: draws the trials.
        draws: how often for each t, at least 1. The standard error of a mean is its deviation over
            the square root of this.
        replacement: whether a trial can be drawn twice.
        tie_order: as for `exact_finds`; if not given, equal scores are put in a new random order at
            each draw.

    Raises:
        ValueError: where the scores are not N finite ones, or a t is not from 1 to N.
    """
    most_started = max(started for started, _ in wanted)
    most_continued = max(continued for _, continued in wanted)
    ranked_by, finals = _checked(at_stop, final, most_started)
    mean = np.full((most_started + 1, most_continued + 1), np.nan)
    deviation = mean.copy()
    for started, own in groupby(sorted(wanted), key=lambda pair: pair[0]):
        continued = np.array([pair[1] for pair in own])
        found = np.empty((draws, len(continued)))
        for begin in range(0, draws, _DRAWS_AT_ONCE):
            size = min(_DRAWS_AT_ONCE, draws - begin)
            drawn = _draw(rng, size, started, len(finals), replacement=replacement)
            tie = rng.random(drawn.shape) if tie_order is None else np.asarray(tie_order)[drawn]
            order = np.lexsort((tie, -ranked_by[drawn]), axis=1)
            ranked = np.take_along_axis(drawn, order, axis=1)
            best = np.maximum.accumulate(finals[ranked], axis=1)
            first = ranked_by[ranked[:, :1]]
            found[begin : begin + size] = np.hstack([first, best])[:, continued]
        mean[started, continued] = found.mean(axis=0)
        deviation[started, continued] = found.std(axis=0)
    return Finds(mean, deviation)


_DRAWS_AT_ONCE = 2_000


def _draw(
    rng: np.random.Generator, draws: int, size: int, trials: int, *, replacement: bool
) -> Counts:
    if replacement:
        return rng.integers(trials, size=(draws, size))
    return np.argpartition(rng.random((draws, trials)), size - 1, axis=1)[:, :size]


def _checked(at_stop: ArrayLike, final: ArrayLike, most_started: int) -> tuple[Floats, Floats]:
    ranked_by, finals = np.asarray(at_stop, np.float64), np.asarray(final, np.float64)
    if ranked_by.ndim != 1 or ranked_by.shape != finals.shape or not len(finals):
        raise ValueError("at_stop and final must be one score each per trial, in one dimension")
    if np.isnan(ranked_by).any() or not np.isfinite(finals).all():
        raise ValueError("final must be finite, and at_stop no NaN")
    if not 1 <= most_started <= len(finals):
        raise ValueError(
            f"from 1 to {len(finals)} trials can be started, as many as there are; "
            f"got {most_started}"
        )
    return ranked_by, finals


@dataclass(frozen=True, eq=False)
class _TieGroup:
    """Trials with the same score at the stopping point.

    Attributes:
        size: how many they are.
        at_most: float64[L], how many of them end with at most each level but the highest.
        ahead: how many trials are ranked before them.
        ahead_at_most: float64[L], how many of those end with at most each level.
    """

    size: int
    at_most: Floats
    ahead: int
    ahead_at_most: Floats


def _tie_groups(ranked_by: Floats, level: Counts, tie_order: ArrayLike | None) -> list[_TieGroup]:
    """Return the tie groups, the best first; of one trial each where an order breaks the ties."""
    if tie_order is None:
        order = np.argsort(-ranked_by, kind="stable")
        ranked = ranked_by[order]
        ends = np.flatnonzero(ranked[1:] != ranked[:-1]) + 1
    else:
        order = np.lexsort((np.asarray(tie_order), -ranked_by))
        ends = np.arange(1, len(order))
    levels = int(level.max())
    groups = []
    ahead, ahead_at_most = 0, np.zeros(levels)
    for members in np.split(order, ends):
        at_most = np.bincount(level[members], minlength=levels + 1)[:-1].cumsum().astype(float)
        groups.append(_TieGroup(len(members), at_most, ahead, ahead_at_most))
        ahead, ahead_at_most = ahead + len(members), ahead_at_most + at_most
    return groups


def _chance_all_at_most(at_most: Floats, count: int, most: int) -> Floats:
    """Return the chance that r trials, drawn without replacement, are all at most a level.

    Args:
        at_most: float64[L], how many of the trials are at most each level.
        count: how many there are.
        most: the largest r.

    Returns:
        float64[most + 1, L], at [r, l]: C(at_most_l, r) / C(count, r); 0 where r exceeds `count`.
    """
    r = np.arange(most)[:, None]
    factors = np.maximum(at_most - r, 0) / np.maximum(count - r, 1)
    return np.vstack([np.ones(len(at_most)), np.cumprod(factors, axis=0)])


def _log_factorials(largest: int) -> Floats:
    from scipy.special import gammaln

    return np.asarray(gammaln(np.arange(largest + 1) + 1.0))


def _hypergeometric(
    log_factorial: Floats,
    hits: Counts,
    total: int,
    marked: int,
    drawn: Counts,
) -> Floats:
    """Return the chance of so many marked trials among those drawn without replacement.

    Args:
        log_factorial: of 0, 1, … up to `total` at least.
        hits: how many marked ones are drawn; broadcast with `drawn`.
        total: how many trials there are.
        marked: how many of them are marked.
        drawn: how many are drawn; more than `total` is impossible, and has chance 0.
    """
    misses = drawn - hits
    possible = (hits <= marked) & (misses >= 0) & (misses <= total - marked) & (drawn <= total)

    def log_ways(of: int, chosen: Counts) -> Floats:
        inside = np.minimum(np.maximum(chosen, 0), of)  # np.clip takes thrice as long
        return np.asarray(log_factorial[of] - log_factorial[inside] - log_factorial[of - inside])

    log_chance = log_ways(marked, hits) + log_ways(total - marked, misses) - log_ways(total, drawn)
    return np.where(possible, np.exp(np.where(possible, log_chance, 0.0)), 0.0)


def _root(variance: Floats) -> Floats:
    return np.sqrt(np.maximum(variance, 0.0))
