"""How to spend a budget: what n trials buy, and what can be seen of a trial before its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from analysis import expected_performance, training_curves
from analysis.exhibits.exhibit import NO_UNCERTAINTY, CannotSay, Finding, Subject, of_task
from analysis.exhibits.text import (
    count,
    epochs_unknown,
    plus_minus,
    score_text,
    table,
    trials_text,
)
from analysis.figures import draw_expected_performance, draw_training_curves
from analysis.figures.training_curves import curve_gid
from analysis.scores import REGIMES, Regime, TrialScores, metric_title, trial_scores

if TYPE_CHECKING:
    from collections.abc import Mapping

REGIME_TITLES: dict[Regime, str] = {
    "best": "best of all evaluations",
    "epoch-end": "best at the ends of epochs",
    "last": "last evaluation",
}
"""The regimes as figures call them."""

_FEW_TRIALS = 10
"""The budget that captions take as an example, besides one trial."""


@of_task(
    "fig1",
    paper="Fig. 1",
    title="What a budget of n trials buys",
    question="How good is the best of n trials?",
)
def expected_best(subject: Subject, task: str) -> Finding:
    """Show the expected best score of n trials, by which evaluations count."""
    scores = {
        regime: trial_scores(subject.warehouse, subject.study, task, score=regime)
        for regime in REGIMES
    }
    scores = {regime: of_trials for regime, of_trials in scores.items() if len(of_trials)}
    first = subject.scores(task, score=next(iter(scores), "best"))
    curves = {
        regime: expected_performance.compute(of_trials.score)
        for regime, of_trials in scores.items()
    }
    curve = next(iter(curves.values()))
    metric = metric_title(first.metric)
    baseline = subject.baseline(task)
    return Finding(
        says=_expectations(curve) + _shorter_curves(scores),
        n=trials_text(first),
        over=f"{curve.over}; the shade is cut at the lowest and the highest score observed",
        how=(
            "Expected highest score of n trials (Dodge et al., 2019). ± and the shade are one "
            "standard deviation of the best of n. The data have the unbiased estimate, drawn "
            "without replacement, too."
        ),
        source=subject.sql("trial_scores", task=task),
        data=pa.concat_tables(
            [_curve_table(regime, scores[regime], curve) for regime, curve in curves.items()]
        ),
        draw=lambda: draw_expected_performance(
            {REGIME_TITLES[regime]: curve for regime, curve in curves.items()},
            title=f"{task}: expected performance",
            score=metric,
            baseline=baseline,
        ),
    )


def _curve_table(
    regime: Regime, scores: TrialScores, curve: expected_performance.ExpectedPerformance
) -> pa.Table:
    unbiased = expected_performance.compute(scores.score, replacement=False)
    return pa.table(
        {
            "evaluations": [regime] * len(curve.n),
            "n": curve.n,
            "mean": curve.mean,
            "deviation": curve.deviation,
            "median": curve.median,
            "mean_without_replacement": unbiased.mean,
            "deviation_without_replacement": unbiased.deviation,
            "median_without_replacement": unbiased.median,
            "trials": [curve.trials] * len(curve.n),
        }
    )


def _expectations(curve: expected_performance.ExpectedPerformance) -> str:
    """Say what the first curve and its shade show in these data."""
    if curve.trials == 1:
        return f"There is one trial, {score_text(curve.highest)}, and so no spread to show."
    few = min(_FEW_TRIALS, curve.trials)
    one, of_few = (plus_minus(curve.mean[n - 1], curve.deviation[n - 1]) for n in (1, few))
    return (
        f"One trial is expected to score {one}, the best of {few} {of_few}; the best of all scored "
        f"{score_text(curve.highest)}."
    )


def _shorter_curves(scores: Mapping[Regime, TrialScores]) -> str:
    """Say which curves rest on fewer trials than the first."""
    most = max(map(len, scores.values()))
    return "".join(
        f" “{REGIME_TITLES[regime]}” rests on {len(of_trials):,} of them; the others have no such "
        "evaluation."
        for regime, of_trials in scores.items()
        if len(of_trials) < most
    )


@of_task(
    "fig4",
    paper="Fig. 4",
    title="The course of training",
    question="What does training look like?",
)
def courses(subject: Subject, task: str) -> Finding:
    """Show the scores of 20 random trials over their training."""
    shown = training_curves.compute(subject.warehouse, subject.study, task, subject.rng())
    number = len(shown.curves)
    if not number:
        raise CannotSay(f"No complete trial of {task} has evaluations over its training.")
    if not any(np.isfinite(curve.epoch).any() for curve in shown.curves):
        raise CannotSay(epochs_unknown(task))
    metric = metric_title(subject.scores(task).metric)
    baseline = subject.baseline(task)
    best = max(shown.curves, key=lambda curve: curve.best)
    schema = {
        "trial_id": pa.string(),
        "wi_seed": pa.int64(),
        "do_seed": pa.int64(),
        "status": pa.string(),
        "epoch": pa.float64(),
        "score": pa.float64(),
    }
    return Finding(
        says=(
            f"Of the {number} shown, WI seed {best.wi_seed} with DO seed {best.do_seed} came "
            f"highest, to {score_text(best.best)}."
            if number > 1
            else f"The one trial came to {score_text(best.best)}."
        ),
        n=(
            count(number, "trial")
            if number == shown.trials
            else f"{number} trials, chosen at random from the {shown.trials:,}"
        ),
        over=NO_UNCERTAINTY,
        how=(
            "Scores on the validation set over the epochs. Each line is a trial that trained to "
            "its end; nothing is averaged."
        ),
        source=subject.sql("training_curves", task=task),
        data=table(
            schema,
            [
                {
                    "trial_id": curve.trial_id,
                    "wi_seed": curve.wi_seed,
                    "do_seed": curve.do_seed,
                    "status": str(curve.status),
                    "epoch": epoch,
                    "score": score,
                }
                for curve in shown.curves
                for epoch, score in zip(curve.epoch.tolist(), curve.score.tolist(), strict=True)
            ],
        ),
        draw=lambda: draw_training_curves(
            shown, title=f"{task}: training curves", score=metric, baseline=baseline
        ),
        marks={
            curve_gid(place): [
                f"WI {curve.wi_seed}, DO {curve.do_seed}: {curve.status}, best "
                f"{score_text(curve.best)}\ntrial {curve.trial_id}"
            ]
            for place, curve in enumerate(shown.curves)
        },
    )
