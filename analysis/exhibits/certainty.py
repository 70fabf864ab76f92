"""How far the scores can be trusted: the curve's uncertainty, the winner's curse, two models."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from analysis import (
    comparison,
    curve_uncertainty,
    expected_performance,
    task_summary,
    winners_curse,
)
from analysis.bootstrap import OVERS
from analysis.exhibits.exhibit import CannotSay, Finding, Subject, of_task, of_two_studies
from analysis.exhibits.text import count, score_text, trials_text
from analysis.figures import draw_comparison, draw_curve_uncertainty, draw_winners_curse
from analysis.scores import metric_title

if TYPE_CHECKING:
    from analysis.bootstrap import Over
    from analysis.comparison import Comparison
    from analysis.curve_uncertainty import CurveInterval, Method

_OTHERS: dict[Over, str] = {
    "trials": "trials",
    "WI seeds": "WI seeds",
    "DO seeds": "DO seeds",
    "both seeds": "seeds of both kinds",
}

_BY: dict[Method, str] = {
    "dkw": "the inequality of Dvoretzky, Kiefer and Wolfowitz",
    "ks": "Kolmogorov's statistic",
}

_SHARE_OF_TRIALS = 10
"""Budgets up to a tenth of the trials are shown: the best of more of them is hardly known."""


def _budget(trials: int) -> int:
    return min(trials, max(5, trials // _SHARE_OF_TRIALS))


# ── The curve's uncertainty ──────────────────────────────────────────────────────────────────────
@of_task(
    "curve-uncertainty",
    title="How well the curve is known",
    question="Had other trials or seeds been run, where would the curve be?",
)
def uncertainty_of_the_curve(subject: Subject, task: str) -> Finding:
    """Show the band about the curve of expected performance, and intervals by trials and seeds."""
    scores = subject.scores(task)
    if len(scores) < 2:
        raise CannotSay(f"{task} has one trial with a score: nothing is known of others.")
    budget = _budget(len(scores))
    curve = expected_performance.compute(scores.score)
    band = curve_uncertainty.band(scores, budget=budget)
    rng = subject.rng()
    intervals = [curve_uncertainty.bootstrap(scores, over, rng, budget=budget) for over in OVERS]
    shown = [interval for interval in intervals if interval.units > 1]
    metric = metric_title(scores.metric)
    widest = max(shown, key=lambda interval: float(interval.high[-1] - interval.low[-1]))
    return Finding(
        says=(
            f"The best of {budget} is expected to score {score_text(curve.mean[budget - 1])}: "
            f"between {score_text(widest.low[-1])} and {score_text(widest.high[-1])} had there "
            f"been other {_OTHERS[widest.over]}." + "".join(f" {caveat}" for caveat in band.caveats)
        ),
        n=trials_text(scores),
        over=(
            f"{', '.join(interval.over for interval in shown)}, each resampled by itself: "
            f"{widest.confidence:.0%} intervals for one budget at a time; and {band.over}"
        ),
        how=(
            "Expected highest score of n trials. What is not resampled is taken as it is: over "
            f"WI seeds, the DO seeds are these. The band is by {_BY[band.method]}; it knows "
            "nothing of what lies above the best of so few trials, and there goes up to the "
            "highest score there can be."
        ),
        source=subject.sql("trial_scores", task=task),
        data=_curve_data(curve, band, intervals),
        draw=lambda: draw_curve_uncertainty(
            curve, band, shown, title=f"{task}: how well the curve is known", score=metric
        ),
    )


def _curve_data(
    curve: expected_performance.ExpectedPerformance,
    band: curve_uncertainty.Band,
    intervals: list[CurveInterval],
) -> pa.Table:
    budget = len(band.n)
    columns: dict[str, object] = {
        "n": band.n,
        "mean": curve.mean[:budget],
        "median": curve.median[:budget],
        "band_low": band.mean[0],
        "band_high": band.mean[1],
        "median_band_low": band.median[0],
        "median_band_high": band.median[1],
    }
    for interval in intervals:
        name = interval.over.replace(" ", "_").lower()
        columns[f"low_over_{name}"] = pa.array(interval.low, from_pandas=True)
        columns[f"high_over_{name}"] = pa.array(interval.high, from_pandas=True)
    return pa.table(columns)


# ── The winner's curse ───────────────────────────────────────────────────────────────────────────
@of_task(
    "winners-curse",
    title="The winner's curse",
    question="By how much does the best of n flatter the model?",
)
def flattery(subject: Subject, task: str) -> Finding:
    """Show how far the best validation score of n overstates the trial that has it."""
    scores = subject.scores(task)
    examples = {
        summary.validation_examples
        for summary in task_summary.compute(subject.warehouse, subject.study)
        if summary.task == task
    }
    metric = metric_title(scores.metric)
    if len(examples) != 1 or not (size := examples.pop()):
        raise CannotSay(f"It is not known how many validation examples {task} has.")
    if winners_curse.noise_of(scores.metric, size) is None:
        raise CannotSay(
            f"There is no formula for the noise of {metric} on {size:,} examples; it takes the "
            "predictions, which the warehouse does not hold."
        )
    if len(scores) < 2:
        raise CannotSay(f"{task} has one trial with a score: nothing was chosen.")
    budget = _budget(len(scores))
    curse = winners_curse.compute(scores.score, scores.metric, size, budget=budget)
    evaluations = (
        ""
        if scores.regime == "last"
        else " That each score is the best of several evaluations comes on top: `--score last` "
        "is without it."
    )
    return Finding(
        says=(
            f"The best of {budget} is expected to score {score_text(curse.expected_best[-1])} on "
            f"these {size:,} validation examples, and up to {curse.overstatement[-1]:.3f} less, "
            f"{score_text(curse.expected_own[-1])}, on others of their kind. One score is certain "
            f"to about ±{curse.noise:.3f}.{evaluations}"
        ),
        n=f"{trials_text(scores)}; {size:,} validation examples",
        over=curse.over,
        how=(
            "From the spread of all scores and the noise of a validation set of this size the "
            "distribution of the trials' own scores is estimated, and with it what lies behind "
            "the best of n. Where trials err on the same examples it is less."
        ),
        source=subject.sql("trial_scores", task=task),
        data=pa.table(
            {
                "n": curse.n,
                "expected_best": curse.expected_best,
                "overstatement": curse.overstatement,
                "expected_own": curse.expected_own,
                "trials": [curse.trials] * len(curse.n),
                "validation_examples": [size] * len(curse.n),
            }
        ),
        draw=lambda: draw_winners_curse(curse, title=f"{task}: the winner's curse", score=metric),
    )


# ── Two models ───────────────────────────────────────────────────────────────────────────────────
_TRIALS_PER_BUDGET = 4
"""Budgets up to a quarter of the trials are compared: beyond, resamples can hardly tell."""


@of_two_studies(
    "comparison",
    title="Two models at each budget",
    question="Which is better, for what budget?",
)
def two_models(subject: Subject, other: Subject, task: str) -> Finding:
    """Compare the best of n of two studies, budget by budget."""
    ours, theirs = subject.scores(task), other.scores(task)
    if ours.metric != theirs.metric:
        raise CannotSay(
            f"{subject.study} measures {metric_title(ours.metric)} on {task}, and {other.study} "
            f"{metric_title(theirs.metric)}."
        )
    fewer = min(len(ours), len(theirs))
    largest = min(fewer, max(5, fewer // _TRIALS_PER_BUDGET))
    found = comparison.compute(ours, theirs, subject.rng(), largest=largest)
    metric = metric_title(ours.metric)
    return Finding(
        says=_who_leads(found, subject.study, other.study),
        n=f"{trials_text(ours)}; against {trials_text(theirs)}",
        over=(
            f"{found.over} of each study, resampled by themselves: {found.confidence:.0%} "
            "intervals for one budget at a time"
        ),
        how=(
            "Expected highest score of n trials of each, drawn with replacement; how far the "
            "first study's lies above; and the chance that its best of n is above the other's, "
            "draws counted half. The cost of a trial is taken as the same."
        ),
        source=subject.sql_beside(other, "trial_scores", task=task),
        data=pa.table(
            {
                "n": found.n[0],
                f"expected_best_{subject.study}": found.mean[0],
                f"expected_best_{other.study}": found.mean[1],
                "lead": found.lead,
                "lead_low": pa.array(found.low, from_pandas=True),
                "lead_high": pa.array(found.high, from_pandas=True),
                "chance": found.chance,
                "chance_low": pa.array(found.chance_low, from_pandas=True),
                "chance_high": pa.array(found.chance_high, from_pandas=True),
            }
        ),
        draw=lambda: draw_comparison(
            found,
            names=(subject.study, other.study),
            title=f"{task}: {subject.study} and {other.study}",
            score=metric,
        ),
    )


def _who_leads(found: Comparison, ours: str, theirs: str) -> str:
    """Say who leads from which budget on, and whether that is beyond its interval."""
    names = {"A": ours, "B": theirs}
    if not found.overtakes:
        return f"{ours} and {theirs} are expected to find the same at each budget."
    (_, leader), *others = found.overtakes
    says = f"{names[leader]} leads at a budget of 1"
    says += "".join(f"; {names[next_]} from {at:.0f} on" for at, next_ in others)
    if not others:
        says += " and at all budgets"
    last = len(found.budget) - 1
    sides = {
        "A": np.flatnonzero(found.low > 0),
        "B": np.flatnonzero(found.high < 0),
    }
    beyond = [
        f"{names[side]} at {count(len(places), 'budget')} of {last + 1}"
        for side, places in sides.items()
        if len(places)
    ]
    says += f". Beyond the interval: {' and '.join(beyond) if beyond else 'nowhere'}."
    chance = found.chance[last]
    if math.isfinite(chance):
        says += (
            f" With {found.budget[last]:.0f} trials each, the best of {ours} beats that of "
            f"{theirs} with a chance of {chance:.0%}."
        )
    return says
