"""How much the seeds matter, and which of them are good."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from analysis import best_trial, task_summary, variance
from analysis.exhibits.exhibit import (
    NO_UNCERTAINTY,
    CannotSay,
    Finding,
    Subject,
    of_study,
)
from analysis.exhibits.text import (
    DASH,
    count,
    deviation_text,
    percent,
    score_text,
    table,
)
from analysis.scores import metric_title
from finetune.contract import Status

if TYPE_CHECKING:
    from analysis.best_trial import BestTrial


@of_study("table2", paper="Table 2", title="The tasks", question="What was trained and scored?")
def tasks(subject: Subject) -> Finding:
    """List the tasks: their metrics, baselines and sizes, and how their trials ended."""
    summaries = task_summary.compute(subject.warehouse, subject.study)
    statuses = [status for status in Status if any(status in task.trials for task in summaries)]
    schema = {
        "task": pa.string(),
        "metric": pa.string(),
        "majority_baseline": pa.float64(),
        "labels": pa.int64(),
        "train_examples": pa.int64(),
        "validation_examples": pa.int64(),
        **dict.fromkeys(map(str, Status), pa.int64()),
        "scored": pa.int64(),
        "at_baseline": pa.int64(),
    }
    total = sum(sum(task.trials.values()) for task in summaries)
    return Finding(
        says=f"{count(total, 'trial')} of {count(len(subject.tasks), 'task')}.",
        n=count(total, "trial"),
        over=NO_UNCERTAINTY,
        how=(
            "Sizes in examples. The majority baseline is the score of always predicting the most "
            "frequent label of the training set. At baseline: of the trials that trained to their "
            "end, the share whose best score is not above it."
        ),
        source=subject.sql("task_summary"),
        data=table(
            schema,
            [
                {
                    **vars(task),
                    **{str(status): task.trials.get(status, 0) for status in Status},
                }
                for task in summaries
            ],
        ),
        rows=[
            {
                "task": task.task,
                "metric": metric_title(task.metric),
                "majority baseline": score_text(task.majority_baseline),
                "training": _size(task.train_examples),
                "validation": _size(task.validation_examples),
                "trials": f"{sum(task.trials.values()):,}",
                **{
                    status.replace("_", " "): f"{task.trials.get(status, 0):,}"
                    for status in statuses
                },
                "at baseline": percent(task.share_at_baseline),
            }
            for task in summaries
        ],
    )


def _size(examples: int | None) -> str:
    return DASH if examples is None else f"{examples:,}"


@of_study("best-trials", title="The best trials", question="Which trial is the best, and when?")
def best_found(subject: Subject) -> Finding:
    """Show the best trial of each task, beside the mean of all."""
    schema = {
        "task": pa.string(),
        "metric": pa.string(),
        "score": pa.float64(),
        "mean_score": pa.float64(),
        "trials": pa.int64(),
        "wi_seed": pa.int64(),
        "do_seed": pa.int64(),
        "dropout_seed": pa.int64(),
        "step": pa.int64(),
        "epoch": pa.float64(),
        "total_steps": pa.int64(),
        "trial_id": pa.string(),
    }
    data: list[dict[str, Any]] = []
    rows: list[dict[str, str]] = []
    for task, best in best_trial.compute(subject.warehouse, subject.study).items():
        scores = subject.scores(task, score="best")
        mean = float(scores.score.mean())
        data.append({**vars(best), "mean_score": mean, "trials": len(scores)})
        rows.append(
            {
                "task": task,
                "best": score_text(best.score),
                "mean of all": score_text(mean),
                "trials": f"{len(scores):,}",
                "WI seed": str(best.wi_seed),
                "DO seed": str(best.do_seed),
                "step": _step(best),
                "epoch": DASH if best.epoch is None else f"{best.epoch:.1f}",
                "trial": best.trial_id,
            }
        )
    if not rows:
        raise CannotSay("No trial has a score to compare.")
    return Finding(
        says=" ".join(
            f"{row['task']}: {row['best']}, where the mean is {row['mean of all']}." for row in rows
        ),
        n=count(sum(row["trials"] for row in data), "trial"),
        over=NO_UNCERTAINTY,
        how=(
            "The trial with the highest score of each task, the step at which it first had it, and "
            "the mean score of all trials that trained to their end. The best of many on one "
            "validation set overstates what that model does on other data."
        ),
        source=subject.sql("best_trials"),
        data=table(schema, data),
        rows=rows,
    )


def _step(best: BestTrial) -> str:
    """Return when a trial was best: of an imported one that may not be known."""
    if best.step is None:
        return DASH
    return f"{best.step:,}" + ("" if best.total_steps is None else f" of {best.total_steps:,}")


@of_study(
    "table3",
    paper="Table 3",
    title="How far the seeds throw the scores apart",
    question="How much of the spread is left once a seed is fixed?",
)
def deviations(subject: Subject) -> Finding:
    """Show the expected standard deviation given a seed, and in all."""
    schema = {
        "task": pa.string(),
        "given_wi_seed": pa.float64(),
        "given_do_seed": pa.float64(),
        "total": pa.float64(),
        "trials": pa.int64(),
        "wi_seeds": pa.int64(),
        "do_seeds": pa.int64(),
    }
    data: list[dict[str, Any]] = []
    rows: list[dict[str, str]] = []
    for task, scores in subject.scored_tasks().items():
        deviation = variance.compute(scores)
        given_wi, given_do = deviation.given_wi, deviation.given_do
        data.append(
            {
                "task": task,
                "given_wi_seed": given_wi.expected,
                "given_do_seed": given_do.expected,
                "total": deviation.total,
                "trials": deviation.trials,
                "wi_seeds": len(given_wi.seed),
                "do_seeds": len(given_do.seed),
            }
        )
        rows.append(
            {
                "task": task,
                "given a WI seed": deviation_text(given_wi.expected),
                "given a DO seed": deviation_text(given_do.expected),
                "total": deviation_text(deviation.total),
                "trials": f"{deviation.trials:,}",
                "WI seeds": str(len(given_wi.seed)),
                "DO seeds": str(len(given_do.seed)),
            }
        )
    return Finding(
        says=" ".join(
            f"{row['task']}: {row['total']} in all, {row['given a WI seed']} given a WI seed, "
            f"{row['given a DO seed']} given a DO seed."
            for row in rows
        ),
        n=count(sum(row["trials"] for row in data), "trial"),
        over="trials; given a seed, over the trials that share it, then averaged over the seeds",
        how=(
            "Standard deviation of the trials' scores (“Agg. over WI” in the paper is given a WI "
            "seed). A factor that explained the whole spread would leave none once its seed is "
            "given. The deviations are the population's, as in the paper: over m trials they fall "
            "short by about 3/(4m) of themselves, so on a small grid those given a seed lie below "
            "the total by that alone. A seed with a single trial is not averaged over."
        ),
        source=subject.sql("complete_trials"),
        data=table(schema, data),
        rows=rows,
    )
