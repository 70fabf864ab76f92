"""Where the spread comes from: the variance taken apart, and the trials that diverged."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from analysis import divergence, task_summary, variance_components
from analysis.exhibits.by_task import Answers, of_each_task, require_spread
from analysis.exhibits.exhibit import CannotSay, Finding, Subject, of_study, of_task
from analysis.exhibits.text import (
    DASH,
    count,
    deviation_text,
    known,
    p_is,
    p_text,
    percent,
    score_text,
    table,
    trials_text,
)
from analysis.figures import draw_divergence, draw_variance_components
from analysis.seed_scores import FACTOR_TITLES
from analysis.variance_components import SOURCE_TITLES

if TYPE_CHECKING:
    from collections.abc import Callable

    from analysis.divergence import Divergence, SeedShares
    from analysis.scores import TrialScores
    from analysis.variance_components import Component, VarianceComponents


# ── Variance components ──────────────────────────────────────────────────────────────────────────
@of_study(
    "variance-components",
    title="Where the variance comes from",
    question="How much of the variance is the seeds'?",
)
def components_of_scores(subject: Subject) -> Finding:
    """Show the variance of the scores taken apart."""
    rng = subject.rng()

    def components(scores: TrialScores) -> VarianceComponents:
        require_spread(scores)
        return variance_components.compute(scores, rng)

    return _components(
        of_each_task(subject, components),
        what="the scores",
        title="Where the variance comes from",
        source=subject.sql("complete_trials"),
    )


@of_study(
    "divergence-components",
    title="Where divergence comes from",
    question="Does divergence hang on the seeds?",
)
def components_of_divergence(subject: Subject) -> Finding:
    """Show the variance of whether a trial diverged, taken apart."""
    rng = subject.rng()
    diverged = {
        task: _diverged(subject, task).as_scores
        for task in subject.scored_tasks()
        if subject.baseline(task) is not None
    }
    if not diverged:
        raise CannotSay("No task has a majority baseline to diverge to.")

    def components(scores: TrialScores) -> VarianceComponents:
        if len(set(scores.score.tolist())) < 2:
            raise ValueError(f"{'every' if scores.score.all() else 'no'} trial diverged")
        return variance_components.compute(scores, rng)

    return _components(
        of_each_task(subject, components, diverged),
        what="whether a trial diverged (1 or 0)",
        title="Where divergence comes from",
        source=subject.sql("complete_trials"),
    )


def _components(
    found: Answers[VarianceComponents], *, what: str, title: str, source: str
) -> Finding:
    rows = [(task, each) for task, of_task in found.items() for each in of_task.components]
    return Finding(
        says=" ".join(
            f"{task}: {_share(of_task.of('wi'))} of the variance is the WI seeds', "
            f"{_share(of_task.of('do'))} the DO seeds'."
            for task, of_task in found.items()
        )
        + found.unsaid,
        n=count(found.trials, "trial"),
        over="the seeds of both factors, drawn anew",
        how=(
            f"The variance of {what} as a sum: what differs between WI seeds, between DO seeds, "
            "and the rest, which is how the two go together and all else. From the squared "
            "differences of trials that share a seed, or none, whatever the distribution. "
            "Estimates are unbiased, and so may lie below 0, which is shown as 0. Intervals at "
            "95 %, by leaving out one seed at a time; p: how often seeds that make no difference "
            "differ as much, by permutation."
        ),
        source=source,
        data=table(
            {
                "task": pa.string(),
                "source": pa.string(),
                "variance": pa.float64(),
                "variance_low": pa.float64(),
                "variance_high": pa.float64(),
                "share": pa.float64(),
                "share_low": pa.float64(),
                "share_high": pa.float64(),
                "p": pa.float64(),
            },
            [
                known(
                    {
                        **vars(each),
                        "task": task,
                        **dict(zip(("variance_low", "variance_high"), each.interval, strict=True)),
                        **dict(zip(("share_low", "share_high"), each.share_interval, strict=True)),
                    }
                )
                for task, each in rows
            ],
        ),
        rows=[
            {
                "task": task,
                "source": SOURCE_TITLES[each.source],
                "standard deviation": _root(each.variance),
                "its interval": _interval(each.interval, _root),
                "share of the variance": _share(each),
                "interval of the share": _interval(each.share_interval, percent),
                "p": p_text(each.p),
            }
            for task, each in rows
        ],
        draw=lambda: draw_variance_components(found, title=title),
    )


def _share(component: Component) -> str:
    """Return a share; one below 0, which none can be, as 0."""
    return percent(component.share if math.isnan(component.share) else max(component.share, 0.0))


def _root(variance: float) -> str:
    """Return a variance as a standard deviation; one below 0, which none can be, as 0.

    Of few seeds an interval can end beyond what scores from -1 to 1 can have: that is no number.
    """
    if math.isnan(variance):
        return DASH
    return "> 1" if variance > 1 else deviation_text(math.sqrt(max(variance, 0.0)))


def _interval(ends: tuple[float, float], text: Callable[[float], str]) -> str:
    return DASH if math.isnan(ends[0]) else f"{text(ends[0])} to {text(ends[1])}"


# ── Divergence ───────────────────────────────────────────────────────────────────────────────────
@of_task(
    "divergence",
    title="Trials that diverged",
    question="How many trials diverged, when, and under which seeds?",
)
def diverged_trials(subject: Subject, task: str) -> Finding:
    """Show the share of trials close to the majority baseline, by seed, and when they fell."""
    found = _diverged(subject, task)
    scores = found.scores
    return Finding(
        says=_how_many(found) + _when(found) + _under_which(found.by_wi, found.by_do),
        n=trials_text(scores),
        over=(
            "of the share: trials, as if independent (Wilson, 95 %); of the p-values: permutations "
            "within the other factor's seeds"
        ),
        how=(
            f"Diverged is a trial whose score is not above the majority baseline, "
            f"{score_text(found.baseline)}{_by_more_than(found.margin)}. Bars: the share "
            "of each seed's trials, dashed the share of all. Down for good: the trials from which "
            "on no evaluation was above that level; that counts those too that had a better "
            "score before and lost it."
        ),
        source=subject.sql("divergence", task=task, level=str(found.baseline + found.margin)),
        data=table(
            {
                "trial_id": pa.string(),
                "wi_seed": pa.int64(),
                "do_seed": pa.int64(),
                "score": pa.float64(),
                "diverged": pa.bool_(),
                "at_baseline": pa.bool_(),
                "down_from_epoch": pa.float64(),
                "nonfinite_from_epoch": pa.float64(),
            },
            [
                dict(
                    zip(
                        (
                            "trial_id", "wi_seed", "do_seed", "score", "diverged", "at_baseline",
                            "down_from_epoch", "nonfinite_from_epoch",
                        ),
                        row,
                        strict=True,
                    )
                )
                for row in zip(
                    scores.trial_id.tolist(),
                    scores.wi_seed.tolist(),
                    scores.do_seed.tolist(),
                    scores.score.tolist(),
                    found.diverged.tolist(),
                    found.at_baseline.tolist(),
                    map(_known, found.epoch.tolist()),
                    map(_known, found.nonfinite.tolist()),
                    strict=True,
                )
            ],
        ),
        draw=lambda: draw_divergence(found, title=f"{task}: trials that diverged"),
    )  # fmt: skip


def _diverged(subject: Subject, task: str) -> Divergence:
    """Return which trials of a task diverged.

    Raises:
        CannotSay: where the task has no majority baseline, or its data changed.
    """
    scores = subject.scores(task)
    of_task = [
        each
        for each in task_summary.compute(subject.warehouse, subject.study)
        if each.task == task and each.majority_baseline is not None
    ]
    if len(of_task) != 1:
        raise CannotSay(
            f"{task} has no majority baseline to diverge to."
            if not of_task
            else f"The data of {task} changed between its trials, and so did the baseline."
        )
    baseline = of_task[0].majority_baseline
    assert baseline is not None
    size = of_task[0].validation_examples
    # Trials of another trainer may not say it, and how close is close is not known then.
    margin = 0.0 if size is None else divergence.margin_of(scores.metric, baseline, size)
    falls = divergence.falls_of(subject.warehouse, subject.study, task, baseline, margin)
    return divergence.compute(scores, baseline, margin, subject.rng(), falls=falls)


def _by_more_than(margin: float) -> str:
    """Say how far above the baseline counts as close to it."""
    if not margin:
        return ", at all: how close is close depends on the number of validation examples"
    return (
        f", by more than {score_text(margin)}: two standard errors of a score at the baseline on a "
        "validation set of that size"
    )


def _known(epoch: float) -> float | None:
    return None if math.isnan(epoch) else epoch


def _how_many(found: Divergence) -> str:
    low, high = found.interval
    return (
        f"{int(found.diverged.sum()):,} of {count(found.diverged.size, 'trial')} diverged, "
        f"{percent(found.share)} (95 %: {percent(low)} to {percent(high)}); "
        f"{int(found.at_baseline.sum()):,} never scored above the baseline at all."
    )


def _when(found: Divergence) -> str:
    epoch = found.epoch[np.isfinite(found.epoch)]
    if not epoch.size:
        return ""
    never = int(np.count_nonzero(epoch == 0))
    fell = epoch[epoch > 0]
    if not fell.size:
        return f" {never:,} never rose above that level."
    return (
        f" {never:,} never rose above that level, and {fell.size:,} fell back to it, half of them "
        f"by epoch {np.median(fell):.1f}."
    )


def _under_which(*of_factors: SeedShares) -> str:
    return "".join(
        f" By {FACTOR_TITLES[shares.factor]} seed the share goes from "
        f"{percent(float(shares.diverged[0] / shares.trials[0]))} (seed {shares.seed[0]}) to "
        f"{percent(float(shares.diverged[-1] / shares.trials[-1]))} (seed {shares.seed[-1]}), "
        f"{p_is(shares.p)}."
        for shares in of_factors
        if len(shares.seed) > 1 and 0 < shares.diverged.sum() < shares.trials.sum()
    )
