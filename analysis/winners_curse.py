"""By how much does the best of n flatter the model? The winner's curse of choosing by validation.

A score on V validation examples is the model's own score, that on all examples of the kind, plus
noise. The best of n trials was chosen for its score, and so for its noise: on other examples it is
expected to score less. The more trials, the fewer examples and the more alike the models, the more.

Without predictions it goes by a formula. An accuracy of μ on V examples is binomial; from the
scores of all trials the distribution of the μ is estimated, of whatever shape (the mixing
distribution of maximum likelihood, after Kiefer and Wolfowitz, 1956, on a grid), and with it the
expected μ of a trial that scored v. The curse is the mean of v − E[μ | v] over what the best of n
scores. Where the score is not an accuracy the noise is taken as normal, with the deviation that the
large-sample formula gives. Trials are scored on the same examples: what makes all of them look
good alike makes none of them chosen. The formula does not know that part and takes all of the noise
for each trial's own. Where the models err on the same examples it therefore says too much; where
they do not, it is right to about a tenth.

With predictions the part that is each trial's own is seen, and the examples are resampled.

Both are about choosing among trials. That a trial's score is the best over its evaluations is
another choice on the same examples, and comes on top.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis import expected_performance

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class WinnersCurse:
    """By how much the best of n trials overstates what it would score on other examples.

    Attributes:
        n: int64[B], the budgets 1 … B, in trials.
        expected_best: float64[B], the expected best validation score of n trials.
        overstatement: float64[B], how far the own score of the trial chosen is expected below it.
        noise: the standard deviation of one trial's score over validation sets, that part of it
            which is the trial's own; the mean over trials.
        trials: N, the number of trials drawn from.
        examples: V, the number of validation examples.
        over: what the noise is over.
    """

    n: NDArray[np.int64]
    expected_best: Floats
    overstatement: Floats
    noise: float
    trials: int
    examples: int
    over: str

    @property
    def expected_own(self) -> Floats:
        """float64[B], what the trial chosen is expected to score on other examples."""
        return self.expected_best - self.overstatement


def noise_of(metric: str, examples: int) -> Callable[[Floats], Floats] | None:
    """Return the standard deviation of a score over validation sets, as a function of the score.

    Args:
        metric: what the score is.
        examples: V, of the validation set.

    Returns:
        None where no formula needs only these. Accuracy: that of the binomial. Matthews
        correlation: √((1 − φ²)/V), exact in the limit of many examples where both classes are as
        frequent, and low by less than a tenth where one is up to 70 % (Bishop, Fienberg and
        Holland, 1975).
        Pearson correlation: (1 − r²)/√V, for normal values.
    """
    formulas: dict[str, Callable[[Floats], Floats]] = {
        "accuracy": lambda score: np.sqrt(np.clip(score * (1 - score), 0, None) / examples),
        "matthews_correlation": lambda score: np.sqrt(np.clip(1 - score**2, 0, None) / examples),
        "pearson": lambda score: (1 - score**2) / np.sqrt(examples),
    }
    return formulas.get(metric)


def compute(
    score: ArrayLike, metric: str, examples: int, *, budget: int | None = None
) -> WinnersCurse:
    """Return the winner's curse by formula, all noise taken for each trial's own.

    Args:
        score: float64[N], one or more, finite; each of one evaluation.
        metric: what the scores are, see `noise_of`.
        examples: V, the number of validation examples, at least 1.
        budget: the largest n; the number of trials if not given.

    Raises:
        ValueError: where there is no score, no formula for the metric, or no example.
    """
    scores = np.asarray(score, np.float64)
    noise = noise_of(metric, examples)
    if noise is None:
        raise ValueError(f"there is no formula for the noise of {metric}: it takes predictions")
    if examples < 1 or not len(scores):
        raise ValueError("the winner's curse takes one or more scores on one or more examples")
    levels = np.unique(scores)
    if metric == "accuracy":
        own = _own_scores_binomial(scores, levels, examples)
    else:
        deviation = np.maximum(noise(levels), _LEAST_NOISE)
        own = _own_scores_normal(scores, levels, deviation)
    return _curse(
        scores,
        levels,
        own,
        noise=float(noise(scores).mean()),
        examples=examples,
        budget=budget,
        over="validation sets of this size, all of the noise taken for each trial's own",
    )


def from_predictions(
    right: ArrayLike,
    rng: np.random.Generator,
    *,
    budget: int | None = None,
    repetitions: int = 500,
) -> WinnersCurse:
    """Return the winner's curse of accuracies, resampling the validation examples.

    A trial's own noise is what a resample of the examples adds to its score beyond what it adds to
    all. In each resample that noise is put on scores spread as the trials' own are estimated to be,
    the best of n is chosen, and what the noise gave it is its overstatement.

    Args:
        right: bool[N, V], whether each trial predicts each validation example right; V ≥ 2.
        rng: resamples the examples.
        budget: the largest n; the number of trials if not given.
        repetitions: how many resamples.

    Raises:
        ValueError: where there are no trials or fewer than two examples.
    """
    correct = np.asarray(right, dtype=np.float64)
    if correct.ndim != 2 or not len(correct) or correct.shape[1] < 2:
        raise ValueError("right must be of one or more trials on two or more examples")
    trials, examples = correct.shape
    budget = budget or trials
    scores = correct.mean(axis=1)
    # The deviation of each trial's score about the mean of all, over examples.
    apart = correct - correct.mean(axis=0)
    variance = apart.var(axis=1, ddof=1) / examples
    deviation = float(np.sqrt(variance.mean()))
    own = _own_spread(scores, max(deviation, _LEAST_NOISE))

    best, gained = np.zeros(budget), np.zeros(budget)
    for _ in range(repetitions):
        times = rng.multinomial(examples, np.full(examples, 1 / examples))
        noise = apart @ times / examples - apart.mean(axis=1)
        order = np.argsort(own + noise)
        chance = _chance_of_being_best(trials, budget)
        best += chance @ (own + noise)[order] / repetitions
        gained += chance @ noise[order] / repetitions
    curve = expected_performance.compute(scores, replacement=False, budget=budget)
    return WinnersCurse(
        n=curve.n,
        expected_best=curve.mean,
        overstatement=gained,
        noise=deviation,
        trials=trials,
        examples=examples,
        over=f"{repetitions} resamples of the {examples} validation examples",
    )


_LEAST_NOISE = 1e-6
"""Noise below this is none to speak of, and too little to divide by."""


def _curse(
    scores: Floats,
    levels: Floats,
    own: Floats,
    *,
    noise: float,
    examples: int,
    budget: int | None,
    over: str,
) -> WinnersCurse:
    """Return the curse where a trial that scores each level is expected to have its own score."""
    budget = budget or len(scores)
    curve = expected_performance.compute(scores, replacement=False, budget=budget)
    flattered = (levels - own)[np.searchsorted(levels, np.sort(scores))]
    return WinnersCurse(
        n=curve.n,
        expected_best=curve.mean,
        overstatement=_chance_of_being_best(len(scores), budget) @ flattered,
        noise=noise,
        trials=len(scores),
        examples=examples,
        over=over,
    )


def _chance_of_being_best(trials: int, budget: int) -> Floats:
    """Return the chance that the best of n, drawn without replacement, is the k-th lowest.

    Returns:
        float64[budget, trials], at [n − 1, k − 1]: C(k − 1, n − 1)/C(N, n).
    """
    from scipy.special import gammaln

    k, n = np.arange(1, trials + 1), np.arange(1, budget + 1)[:, None]
    possible = k >= n
    above = np.where(possible, k, n)
    log_sets = gammaln(trials + 1) - gammaln(n + 1) - gammaln(trials - n + 1)
    log_own = gammaln(above) - gammaln(n) - gammaln(above - n + 1)
    return np.where(possible, np.exp(log_own - log_sets), 0.0)


# ── The trials' own scores ───────────────────────────────────────────────────────────────────────
def _own_scores_binomial(scores: Floats, levels: Floats, examples: int) -> Floats:
    """Return the expected own accuracy of a trial that scored each level."""
    from scipy.stats import binom

    reach = 2 / np.sqrt(examples)
    own = np.linspace(max(levels[0] - reach, 0), min(levels[-1] + reach, 1), _GRID)
    likelihood = np.asarray(binom.pmf(np.rint(levels * examples)[:, None], examples, own))
    return _posterior_mean(own, likelihood, _mixing(scores, levels, likelihood))


def _own_scores_normal(scores: Floats, levels: Floats, deviation: Floats) -> Floats:
    """Return the expected own score of a trial that scored each level, with normal noise."""
    own, likelihood = _normal(levels, deviation)
    return _posterior_mean(own, likelihood, _mixing(scores, levels, likelihood))


def _own_spread(scores: Floats, deviation: float) -> Floats:
    """Return scores in the order of the trials', spread as their own are without the noise."""
    levels = np.unique(scores)
    own, likelihood = _normal(levels, np.full(len(levels), deviation))
    at_most = np.cumsum(_mixing(scores, levels, likelihood))
    place = (np.argsort(np.argsort(scores)) + 0.5) / len(scores)
    spread: Floats = own[np.minimum(np.searchsorted(at_most, place * at_most[-1]), len(own) - 1)]
    return spread


def _normal(levels: Floats, deviation: Floats) -> tuple[Floats, Floats]:
    """Return a grid of own scores, and float64[L, grid], the likelihood of each at each level."""
    reach = 2 * deviation.max()
    own = np.linspace(levels[0] - reach, levels[-1] + reach, _GRID)
    away = (levels[:, None] - own) / deviation[:, None]
    return own, np.exp(-np.square(away) / 2) / deviation[:, None]


def _mixing(scores: Floats, levels: Floats, likelihood: Floats) -> Floats:
    """Return the mixing distribution of maximum likelihood on the grid, by the EM algorithm."""
    counts = np.bincount(np.searchsorted(levels, scores), minlength=len(levels))
    weight = np.full(likelihood.shape[1], 1 / likelihood.shape[1])
    for _ in range(_STEPS):
        mixed = np.maximum(likelihood @ weight, _TINY)
        weight = weight * ((counts / mixed) @ likelihood) / len(scores)
    return weight


def _posterior_mean(own: Floats, likelihood: Floats, weight: Floats) -> Floats:
    joint = likelihood * weight
    return np.asarray(joint @ own / np.maximum(joint.sum(axis=1), _TINY))


_GRID = 300
"""Own scores that the mixing distribution may have."""
_STEPS = 500
"""Of the EM algorithm; on the published scores the next 500 move the curse by less than 0.0004."""
_TINY = 1e-300
