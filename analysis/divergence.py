"""Which trials diverged, and when? The share at the majority baseline, by seed (Sections 4 and 5).

The paper calls a trial diverged that performs close to predicting the most frequent label. How
close is a choice. At the baseline is a score not above it; close to it, one not above it by more
than a margin, such as two standard errors of a score of that size on a validation set of that size.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import sqrt
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy import stats

from analysis import seed_scores
from analysis.significance import PERMUTATIONS, rows_differ

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from analysis.scores import TrialScores
    from analysis.seed_scores import Factor
    from analysis.warehouse import Warehouse

_ROUNDING: Final = 1e-9
_CONFIDENCE: Final = 0.95
_STANDARD_ERRORS: Final = 2


@dataclass(frozen=True, eq=False)
class SeedShares:
    """How many of a seed's trials diverged.

    Attributes:
        factor: whose seeds they are.
        seed: int64[S], the lowest share first; equal ones by the number of the seed.
        diverged: int64[S].
        trials: int64[S].
        p: how often seeds that make no difference differ as much in their shares, over permutations
            within the other factor's seeds.
    """

    factor: Factor
    seed: NDArray[np.int64]
    diverged: NDArray[np.int64]
    trials: NDArray[np.int64]
    p: float


@dataclass(frozen=True, eq=False)
class Divergence:
    """The trials of a task that did not learn, or lost what they had learnt.

    Attributes:
        scores: of the N complete trials.
        baseline: the majority baseline.
        margin: how far above it counts as close.
        diverged: bool[N], whether the score is not above the baseline by more than the margin.
        at_baseline: bool[N], whether it is not above the baseline at all.
        epoch: float64[N], from which evaluation on the trial never again scored above the baseline
            by more than the margin: 0 where it never did, NaN where its last evaluation does, and
            for all where there are no evaluations to tell it by. A trial can have a good best score
            and end at the baseline.
        nonfinite: float64[N], the epoch of the first training step without a finite loss; NaN where
            there is none.
        interval: of the share of diverged trials, at 95 % (Wilson, 1927), over trials drawn anew as
            if they were independent; trials that share seeds may not be.
        by_wi: the shares of the WI seeds.
        by_do: the shares of the DO seeds.
    """

    scores: TrialScores
    baseline: float
    margin: float
    diverged: NDArray[np.bool_]
    at_baseline: NDArray[np.bool_]
    epoch: NDArray[np.float64]
    nonfinite: NDArray[np.float64]
    interval: tuple[float, float]
    by_wi: SeedShares
    by_do: SeedShares

    @property
    def share(self) -> float:
        """The share of the trials that diverged."""
        return float(self.diverged.mean())

    @property
    def as_scores(self) -> TrialScores:
        """The trials with 1 for a score where they diverged, else 0, to take its variance apart."""
        return replace(self.scores, score=self.diverged.astype(np.float64))


def compute(
    scores: TrialScores,
    baseline: float,
    margin: float,
    rng: np.random.Generator,
    *,
    falls: Mapping[str, Fall] | None = None,
    permutations: int = PERMUTATIONS,
) -> Divergence:
    """Return which trials diverged.

    Args:
        scores: of the complete trials; one or more.
        baseline: the majority baseline.
        margin: how far above it a score may be and count as close to it, from 0.
        rng: draws the permutations.
        falls: by trial, when it fell for good to the baseline and the margin (`falls_of`).
        permutations: how many.

    Raises:
        ValueError: where there is no score, or the margin is below 0.
    """
    if not len(scores) or not margin >= 0:
        raise ValueError("divergence is of one trial or more, by a margin from 0")
    diverged = scores.score <= baseline + margin + _ROUNDING
    known = [(falls or {}).get(trial, _UNKNOWN) for trial in scores.trial_id.tolist()]
    as_scores = replace(scores, score=diverged.astype(np.float64))
    return Divergence(
        scores=scores,
        baseline=baseline,
        margin=margin,
        diverged=diverged,
        at_baseline=scores.score <= baseline + _ROUNDING,
        epoch=np.array([fall.epoch for fall in known]),
        nonfinite=np.array([fall.nonfinite for fall in known]),
        interval=wilson(int(diverged.sum()), diverged.size),
        by_wi=_shares(as_scores, "wi", rng, permutations),
        by_do=_shares(as_scores, "do", rng, permutations),
    )


def margin_of(metric: str, baseline: float, validation_examples: int) -> float:
    """Return two standard errors of a score at the baseline, on a validation set of that size.

    Of accuracy, √(b(1 − b)/n) each; so too, roughly, of F1 and its mean with accuracy, which move
    with it. Of Matthews correlation, 1/√n, its standard error for predictions that have nothing to
    do with the labels.

    Args:
        metric: the task's own.
        baseline: the majority baseline, from 0 to 1.
        validation_examples: n, from 1.
    """
    variance = 1.0 if metric == "matthews_correlation" else baseline * (1 - baseline)
    return _STANDARD_ERRORS * sqrt(variance / validation_examples)


@dataclass(frozen=True)
class Fall:
    """When a trial fell to the baseline for good, and when its loss was first not finite.

    Attributes:
        epoch: NaN where its last evaluation is above.
        nonfinite: NaN where all losses are finite.
    """

    epoch: float
    nonfinite: float


_UNKNOWN: Final = Fall(float("nan"), float("nan"))


def falls_of(
    warehouse: Warehouse, study: str, task: str, baseline: float, margin: float
) -> dict[str, Fall]:
    """Return, by trial, when each complete trial of a study's task fell for good."""
    level = baseline + margin + _ROUNDING
    rows = warehouse.ask("divergence", {"study": study, "task": task, "level": level}).to_pylist()
    return {row["trial_id"]: _fall(row) for row in rows}


def _fall(row: Mapping[str, Any]) -> Fall:
    return Fall(
        *(
            float("nan") if epoch is None else float(epoch)
            for epoch in (row["epoch"], row["nonfinite_epoch"])
        )
    )


def wilson(number: int, of: int) -> tuple[float, float]:
    """Return Wilson's (1927) interval of a share at 95 %.

    Args:
        number: how many had it.
        of: of how many, from 1.
    """
    found = stats.binomtest(number, of).proportion_ci(_CONFIDENCE, method="wilson")
    return float(found.low), float(found.high)


def _shares(
    as_scores: TrialScores, factor: Factor, rng: np.random.Generator, permutations: int
) -> SeedShares:
    of_trial = as_scores.wi_seed if factor == "wi" else as_scores.do_seed
    seed, place, trials = np.unique(of_trial, return_inverse=True, return_counts=True)
    diverged = np.bincount(place, weights=as_scores.score).astype(np.int64)
    order = np.lexsort((seed, diverged / trials))
    return SeedShares(
        factor=factor,
        seed=seed[order].astype(np.int64),
        diverged=diverged[order],
        trials=trials[order].astype(np.int64),
        p=rows_differ(seed_scores.compute(as_scores, factor).score, rng, permutations),
    )
