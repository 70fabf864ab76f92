"""Do the best and the worst seed differ? The paper's own test (Section 4.2, Table 4, Fig. 3).

An analysis of variance between the scores of the seed with the best mean and those of the seed with
the worst. The two were chosen after looking at the means they are compared by, so that the p-value
is not what it says; `analysis.best_seed` asks the same question with that taken into account.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from analysis import density

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from analysis.density import Density
    from analysis.seed_scores import Factor, SeedScores


@dataclass(frozen=True, eq=False)
class BestAgainstWorst:
    """A cell of Table 4, and two curves of Fig. 3.

    Attributes:
        factor: whose seeds are compared.
        best: the seed with the best mean.
        worst: the seed with the worst mean.
        of_best: float64[n], the scores of the best, over the other factor's seeds.
        of_worst: float64[m], those of the worst.
        f: the ratio of the variance between the two to that within; infinite where neither has any
            variance within, and the means differ.
        p: the chance of as large a ratio between two seeds *chosen beforehand*, with independent
            and normal scores of one variance.
        df_within: degrees of freedom within, n + m − 2; between the two there is one.
    """

    factor: Factor
    best: int
    worst: int
    of_best: NDArray[np.float64]
    of_worst: NDArray[np.float64]
    f: float
    p: float
    df_within: int

    @property
    def difference(self) -> float:
        """The mean score of the best less that of the worst."""
        return float(self.of_best.mean() - self.of_worst.mean())


def compute(seeds: SeedScores) -> BestAgainstWorst:
    """Compare the best and the worst seed of a factor.

    Raises:
        ValueError: where there are fewer than two seeds, or the two have but one score each.
    """
    if len(seeds.seed) < 2:
        raise ValueError("to compare the best seed with the worst takes two seeds of a factor")
    best, worst = int(seeds.seed[0]), int(seeds.seed[-1])
    one, other = seeds.of(best), seeds.of(worst)
    if one.size + other.size < 3:
        raise ValueError("the best and the worst seed have one score each, too few to compare")
    (f,), (p,) = one_way(one[None], other[None])
    return BestAgainstWorst(
        seeds.factor, best, worst, one, other, float(f), float(p), one.size + other.size - 2
    )


def densities(pairs: Sequence[BestAgainstWorst]) -> list[tuple[Density | None, Density | None]]:
    """Return where the scores of the best and of the worst of each pair lie (Fig. 3).

    All have one width; None where all scores are equal.
    """
    found = density.compute_alike(
        [scores for pair in pairs for scores in (pair.of_best, pair.of_worst)]
    )
    return list(zip(found[::2], found[1::2], strict=True))


def one_way(
    one: NDArray[np.float64], other: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return F and p of the analyses of variance of many pairs of groups at once.

    Args:
        one: float64[B, n], NaN where a group has no score; each group has one or more.
        other: float64[B, m], the same.

    Returns:
        Two of float64[B]: F, which is 0 for equal means, and infinite where means differ and
        nothing varies within; and p, which is 1 where two groups have but one score each.
    """
    n, m = (np.isfinite(group).sum(axis=1) for group in (one, other))
    means = [np.nanmean(group, axis=1) for group in (one, other)]
    between = (means[0] - means[1]) ** 2 * n * m / (n + m)
    squares = sum(
        np.nansum((group - mean[:, None]) ** 2, axis=1)
        for group, mean in zip((one, other), means, strict=True)
    )
    df_within = n + m - 2
    within = squares / np.maximum(df_within, 1)
    f = np.where(between > 0, np.inf, 0.0)
    np.divide(between, within, out=f, where=within > 0)
    p = np.where(df_within > 0, stats.f.sf(f, 1, np.maximum(df_within, 1)), 1.0)
    return f, p
