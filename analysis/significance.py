"""How often would chance do as well? Permutations, and p-values of many tests at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray

PERMUTATIONS: Final = 9_999
"""With the observed arrangement 10,000, so that the least p-value is 0.0001."""

_BATCH: Final = 2_000_000
"""Numbers worked on at a time: 16 MB."""

_MOST_OF_A_ROW: Final = 200
"""For how many statistics of each row there shall be room as well."""


def shuffles(
    score: NDArray[np.float64], rng: np.random.Generator, count: int
) -> Iterator[NDArray[np.float64]]:
    """Yield the scores with each column's permuted among its rows.

    If the seed of a row made no difference, the scores of a column, which share the other factor's
    seed, would be exchangeable: each arrangement of them as likely as the one observed. What the
    other factor does to a column is kept. Holes stay where they are.

    Args:
        score: float64[S, O]; NaN is a hole.
        rng: draws the arrangements.
        count: how many there shall be.

    Yields:
        float64[b, S, O], `count` arrangements in all.
    """
    rows, columns = score.shape
    at_once = max(1, _BATCH // max(rows * max(columns, _MOST_OF_A_ROW), 1))
    is_there = np.isfinite(score)
    while count > 0:
        size = min(count, at_once)
        batch = np.repeat(score[None], size, axis=0)
        for column, present in enumerate(is_there.T):
            batch[:, present, column] = rng.permuted(batch[:, present, column], axis=1)
        yield batch
        count -= size


def p_value(observed: float, by_chance: ArrayLike) -> float:
    """Return how often chance does at least as well, the observed arrangement counted in.

    So counted, (1 + number at least as large) / (1 + number of permutations), the chance of a
    p-value of at most α is at most α where there is no effect (Phipson and Smyth, 2010).

    Args:
        observed: the statistic; large speaks against chance.
        by_chance: float[B], the same of B permutations.
    """
    drawn = np.asarray(by_chance, dtype=np.float64)
    # Sums taken in another order may differ in their last digits, and equal ones must count.
    slack = 1e-9 * max(1.0, abs(observed))
    return float((1 + np.count_nonzero(drawn >= observed - slack)) / (1 + drawn.size))


def rows_differ(score: NDArray[np.float64], rng: np.random.Generator, permutations: int) -> float:
    """Return how often the means of rows that make no difference vary as much, by `shuffles`.

    Args:
        score: float64[S, O]; NaN is a hole, and no row is all holes.
        rng: draws the arrangements.
        permutations: how many.
    """
    by_chance = [
        np.nanmean(batch, axis=2).var(axis=1) for batch in shuffles(score, rng, permutations)
    ]
    return p_value(float(np.nanmean(score, axis=1).var()), np.concatenate(by_chance))


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """Return the p-values of several tests adjusted after Holm (1979).

    Reject those whose adjusted p-value is at most α: the chance of any false rejection is then at
    most α, however the tests depend on each other.

    Args:
        p: float[m], from 0 to 1.

    Returns:
        float64[m], none below the p-value it adjusts.
    """
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    stepped = values[order] * np.arange(values.size, 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return adjusted
