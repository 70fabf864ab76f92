"""Do the data meet what an analysis of variance assumes? Appendix B, tested instead of argued.

It assumes independent scores, equal variances in all groups, and normal scores. The first is a
matter of how the trials were planned; the others are tested on the scores: equal variances after
Levene, with the median for centre (Brown and Forsythe, 1974), and normality after Shapiro and Wilk
(1965).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import stats

from analysis.seed_scores import FACTOR_TITLES
from analysis.significance import holm

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.seed_scores import Factor, SeedScores

LEVEL: Final = 0.05
"""The level at which an assumption is said not to hold."""

_MOST_SHAPIRO: Final = 5_000
"""scipy's p-value of Shapiro and Wilk's test is not accurate for more values."""


@dataclass(frozen=True)
class AnovaAssumptions:
    """The assumptions of an analysis of variance between the seeds of a factor.

    Attributes:
        factor: whose seeds the groups are.
        groups: S, the number of seeds.
        shared: whether the groups share the seeds of the other factor, as the rows of a crossed
            grid do. Scores are then independent within a group, and not between groups.
        sizes: the smallest and the largest number of scores of a seed.
        levene: statistic of the test of equal variances; NaN where it cannot be had.
        levene_p: its p-value.
        variance_ratio: the largest variance of a seed over the smallest; infinite where one is 0,
            NaN where all are or no seed has two scores.
        shapiro_p: float of the S tests of normality, one within each seed: the least p-value,
            adjusted after Holm; NaN where no seed can be tested.
        not_normal: how many of the seeds' scores are not normal at 0.05, adjusted after Holm.
        tested: how many seeds could be tested: those with three different scores or more.
    """

    factor: Factor
    groups: int
    shared: bool
    sizes: tuple[int, int]
    levene: float
    levene_p: float
    variance_ratio: float
    shapiro_p: float
    not_normal: int
    tested: int

    @property
    def equal_variances(self) -> bool | None:
        """Whether nothing speaks against equal variances; None where it cannot be tested."""
        return None if np.isnan(self.levene_p) else self.levene_p > LEVEL

    @property
    def normal(self) -> bool | None:
        """Whether nothing speaks against normal scores; None where it cannot be tested."""
        return None if not self.tested else not self.not_normal

    @property
    def verdict(self) -> str:
        """What holds and what does not, in plain words."""
        other = FACTOR_TITLES["do" if self.factor == "wi" else "wi"]
        return " ".join(
            [
                f"Independent within a seed by design, not between seeds: they share {other} seeds."
                if self.shared
                else f"Independent by design: no two seeds share a {other} seed.",
                _said(self.equal_variances, "Variances", "equal"),
                _said(self.normal, "Scores", "normal"),
            ]
        )


def compute(seeds: SeedScores) -> AnovaAssumptions:
    """Test the assumptions between all seeds of a factor.

    Raises:
        ValueError: where there are fewer than two seeds.
    """
    if len(seeds.seed) < 2:
        raise ValueError("an analysis of variance takes two groups")
    groups = [row[np.isfinite(row)] for row in seeds.score]
    levene, levene_p = _levene(groups)
    adjusted = holm([p for p in map(_shapiro, groups) if p is not None])
    return AnovaAssumptions(
        factor=seeds.factor,
        groups=len(groups),
        shared=bool((np.isfinite(seeds.score).sum(axis=0) > 1).any()),
        sizes=(min(map(len, groups)), max(map(len, groups))),
        levene=levene,
        levene_p=levene_p,
        variance_ratio=_variance_ratio(groups),
        shapiro_p=float(adjusted.min()) if adjusted.size else float("nan"),
        not_normal=int(np.count_nonzero(adjusted <= LEVEL)),
        tested=int(adjusted.size),
    )


def _levene(groups: list[NDArray[np.float64]]) -> tuple[float, float]:
    # Around the median of two scores both deviations are alike, whatever the scores.
    if min(map(len, groups)) < 3 or all(np.ptp(group) == 0 for group in groups):
        return float("nan"), float("nan")
    statistic, p = stats.levene(*groups, center="median")
    return float(statistic), float(p)


def _variance_ratio(groups: list[NDArray[np.float64]]) -> float:
    variances = [float(group.var(ddof=1)) for group in groups if group.size > 1]
    if not any(variances):
        return float("nan")
    return max(variances) / min(variances) if min(variances) > 0 else float("inf")


def _shapiro(group: NDArray[np.float64]) -> float | None:
    if not 3 <= group.size <= _MOST_SHAPIRO or len(np.unique(group)) < 3:
        return None
    return float(stats.shapiro(group).pvalue)


def _said(holds: bool | None, what: str, quality: str) -> str:
    if holds is None:
        return f"{what}: cannot be tested."
    if holds:
        return f"{what}: nothing speaks against {quality}."
    return f"{what}: not {quality}."
