"""What a report shows: each table and figure with its caption, its data and where they come from.

Each function here puts one question to the warehouse, has the answer computed by the module of that
question, and returns an exhibit: all that a page or a command needs to show it.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa

from analysis import (
    best_trial,
    expected_performance,
    seed_grid,
    task_summary,
    training_curves,
    variance,
)
from analysis.figures import draw_expected_performance, draw_seed_grid, draw_training_curves, svg
from analysis.scores import REGIMES, Regime, TrialScores, metric_title, trial_scores
from analysis.warehouse import ready_made
from finetune.contract import Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from matplotlib.figure import Figure

    from analysis.warehouse import Warehouse

REGIME_TITLES: dict[Regime, str] = {
    "best": "best of all evaluations",
    "epoch-end": "best at the ends of epochs",
    "last": "last evaluation",
}
"""The regimes as figures call them."""

_FEW_TRIALS = 10
"""The budget that captions take as an example, besides one trial."""


@dataclass(frozen=True, eq=False)
class Exhibit:
    """A table or a figure, ready to be shown.

    Attributes:
        name: what its files are called, without suffix.
        artefact: which table or figure of the paper it is; empty if of none.
        title: a few words.
        caption: what it shows in these data, its n, and what its uncertainty is over.
        data: its numbers in full precision.
        sql: the statement that reads from the warehouse what it was computed from.
        rows: of a table, the text of its rows by column; empty for a figure.
        figure: None for a table.
    """

    name: str
    artefact: str
    title: str
    caption: str
    data: pa.Table
    sql: str
    rows: Sequence[Mapping[str, str]] = ()
    figure: Figure | None = None

    @cached_property
    def svg(self) -> str:
        """The figure as SVG; empty for a table."""
        return "" if self.figure is None else svg(self.figure)


# ── Tables of a study ────────────────────────────────────────────────────────────────────────────
def tasks_table(warehouse: Warehouse, study: str) -> Exhibit:
    """Return Table 2, with how the trials ended.

    Raises:
        SeedbedError: where the warehouse has no such study.
    """
    tasks = task_summary.compute(warehouse, study)
    statuses = [status for status in Status if any(status in task.trials for task in tasks)]
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
    return Exhibit(
        name="tasks",
        artefact="Table 2",
        title="The tasks",
        caption=(
            "Sizes in examples. The majority baseline is the score of always predicting the most "
            "frequent label of the training set. At baseline: of the trials that trained to their "
            "end, the share whose best score is not above it."
        ),
        data=_table(
            schema,
            [
                {
                    "task": task.task,
                    "metric": task.metric,
                    "majority_baseline": task.majority_baseline,
                    "labels": task.labels,
                    "train_examples": task.train_examples,
                    "validation_examples": task.validation_examples,
                    **{str(status): task.trials.get(status, 0) for status in Status},
                    "scored": task.scored,
                    "at_baseline": task.at_baseline,
                }
                for task in tasks
            ],
        ),
        sql=_statement("task_summary", study=study),
        rows=[
            {
                "task": task.task,
                "metric": metric_title(task.metric),
                "majority baseline": score_text(task.majority_baseline),
                "training": f"{task.train_examples:,}",
                "validation": f"{task.validation_examples:,}",
                "trials": f"{sum(task.trials.values()):,}",
                **{
                    status.replace("_", " "): f"{task.trials.get(status, 0):,}"
                    for status in statuses
                },
                "at baseline": _percent(task.share_at_baseline),
            }
            for task in tasks
        ],
    )


def best_trials_table(warehouse: Warehouse, study: str) -> Exhibit:
    """Return the best trial of each task, beside the mean of all (the authors' rows of Table 1).

    Raises:
        SeedbedError: where the warehouse has no such study.
    """
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
    data, rows = [], []
    for task, best in best_trial.compute(warehouse, study).items():
        scores = trial_scores(warehouse, study, task)
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
                "step": f"{best.step:,} of {best.total_steps:,}",
                "epoch": f"{best.epoch:.1f}",
                "trial": best.trial_id,
            }
        )
    return Exhibit(
        name="best-trials",
        artefact="Table 1",
        title="The best found",
        caption=(
            "The trial with the highest score of each task, the step at which it first had it, and "
            "the mean score of all trials that trained to their end. The best of many on one "
            "validation set overstates what that model does on other data."
        ),
        data=_table(schema, data),
        sql=_statement("best_trials", study=study),
        rows=rows,
    )


def deviations_table(warehouse: Warehouse, study: str) -> Exhibit:
    """Return Table 3: the expected standard deviation given a seed, and in all.

    Raises:
        SeedbedError: where the warehouse has no such study.
    """
    schema = {
        "task": pa.string(),
        "given_wi_seed": pa.float64(),
        "given_do_seed": pa.float64(),
        "total": pa.float64(),
        "trials": pa.int64(),
        "wi_seeds": pa.int64(),
        "do_seeds": pa.int64(),
    }
    data, rows = [], []
    for task in warehouse.tasks(study):
        scores = trial_scores(warehouse, study, task)
        if not len(scores):
            continue
        deviation = variance.compute(scores)
        values = {
            "task": task,
            "given_wi_seed": deviation.given_wi.expected,
            "given_do_seed": deviation.given_do.expected,
            "total": deviation.total,
            "trials": deviation.trials,
            "wi_seeds": len(deviation.given_wi.seed),
            "do_seeds": len(deviation.given_do.seed),
        }
        data.append(values)
        rows.append(
            {
                "task": task,
                "given a WI seed": deviation_text(deviation.given_wi.expected),
                "given a DO seed": deviation_text(deviation.given_do.expected),
                "total": deviation_text(deviation.total),
                "trials": f"{deviation.trials:,}",
                "WI seeds": str(values["wi_seeds"]),
                "DO seeds": str(values["do_seeds"]),
            }
        )
    return Exhibit(
        name="deviations",
        artefact="Table 3",
        title="How far the seeds throw the scores apart",
        caption=(
            "Standard deviation of the trials' best scores. Given a WI seed: over the trials that "
            "share it, then averaged over the WI seeds (“Agg. over WI” in the paper); given a DO "
            "seed likewise; total: over all trials. A factor that explained the whole spread would "
            "leave none once its seed is given. The deviations are the population's, as in the "
            "paper: over m trials they fall short by about 3/(4m) of themselves, so on a small "
            "grid those given a seed lie below the total by that alone. A seed with a single trial "
            "is not averaged over."
        ),
        data=_table(schema, data),
        sql=_statement("complete_trials", study=study),
        rows=rows,
    )


def left_out_table(warehouse: Warehouse, study: str) -> Exhibit:
    """Return the trials that no score on the page counts, and why; it may have no rows.

    Raises:
        SeedbedError: where the warehouse has no such study.
    """
    rows = [
        {"task": task, "trial": trial.trial_id, "why": trial.reason}
        for task in warehouse.tasks(study)
        for trial in trial_scores(warehouse, study, task).left_out
    ]
    return Exhibit(
        name="left-out",
        artefact="",
        title="Trials without a score to compare",
        caption=(
            f"{len(rows)} trials are in the warehouse and in none of the scores here: only trials "
            "that trained to their end, diverged or not, can be compared."
        ),
        data=_table(dict.fromkeys(("task", "trial", "why"), pa.string()), rows),
        sql=_statement("incomplete_trials", study=study),
        rows=rows,
    )


# ── Figures of a task ────────────────────────────────────────────────────────────────────────────
def expected_performance_figure(warehouse: Warehouse, study: str, task: str) -> Exhibit:
    """Return Fig. 1: the expected best score of n trials, by which evaluations count.

    Raises:
        SeedbedError: where the warehouse has no such study or task.
        ValueError: where the task has no complete trial.
    """
    scores = {regime: trial_scores(warehouse, study, task, score=regime) for regime in REGIMES}
    curves = {
        regime: expected_performance.compute(of_trials.score)
        for regime, of_trials in scores.items()
        if len(of_trials)
    }
    first = curves["best"]
    metric = metric_title(scores["best"].metric)
    return Exhibit(
        name=f"{task}-expected-performance",
        artefact="Fig. 1",
        title="What a budget of n trials buys",
        caption=(
            f"Expected highest {metric} of n trials, drawn with replacement from the "
            f"{first.trials:,} that trained to their end (Dodge et al., 2019). "
            f"{_expectations(first)}{_shorter_curves(scores)} The file of its data has the "
            "unbiased estimate, drawn without replacement, too."
        ),
        data=pa.concat_tables(
            [_curve_table(regime, scores[regime], curve) for regime, curve in curves.items()]
        ),
        sql=_statement("trial_scores", study=study, task=task),
        figure=draw_expected_performance(
            {REGIME_TITLES[regime]: curve for regime, curve in curves.items()},
            title=f"{task}: expected performance",
            score=metric,
            baseline=_baseline(warehouse, study, task),
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
            "mean_without_replacement": unbiased.mean,
            "deviation_without_replacement": unbiased.deviation,
            "trials": [curve.trials] * len(curve.n),
        }
    )


def _expectations(curve: expected_performance.ExpectedPerformance) -> str:
    """Say what the first curve and its shade show in these data."""
    if curve.trials == 1:
        return f"There is one trial, {score_text(curve.highest)}, and so no spread to show."
    few = min(_FEW_TRIALS, curve.trials)
    one, of_few = (_plus_minus(curve.mean[n - 1], curve.deviation[n - 1]) for n in (1, few))
    return (
        f"One trial is expected to score {one}, the best of {few} {of_few}; the best of all scored "
        f"{score_text(curve.highest)}. ± and the shade are one standard deviation of the best of n "
        "over such draws; the shade is cut at the lowest and the highest score observed."
    )


def _shorter_curves(scores: Mapping[Regime, TrialScores]) -> str:
    """Say which curves rest on fewer trials than the first."""
    return "".join(
        f" “{REGIME_TITLES[regime]}” rests on {len(of_trials):,} of them; the others have no such "
        "evaluation."
        for regime, of_trials in scores.items()
        if len(of_trials) < len(scores["best"])
    )


def seed_grid_figure(warehouse: Warehouse, study: str, task: str) -> Exhibit:
    """Return Fig. 2: the scores by WI and DO seed.

    Raises:
        SeedbedError: where the warehouse has no such study or task.
        ValueError: where the task has no complete trial.
    """
    scores = trial_scores(warehouse, study, task)
    grid = seed_grid.compute(scores)
    metric = metric_title(scores.metric)
    rows, columns = grid.score.shape
    schema = {
        "wi_seed": pa.int64(),
        "do_seed": pa.int64(),
        "wi_rank": pa.int64(),
        "do_rank": pa.int64(),
        "score": pa.float64(),
        "trials": pa.int64(),
    }
    return Exhibit(
        name=f"{task}-seed-grid",
        artefact="Fig. 2",
        title="Every pair of seeds",
        caption=_grid_caption(grid, metric),
        data=_table(
            schema,
            [
                {
                    "wi_seed": int(grid.wi_seed[row]),
                    "do_seed": int(grid.do_seed[column]),
                    "wi_rank": row + 1,
                    "do_rank": columns - column,
                    "score": float(grid.score[row, column]) if grid.trials[row, column] else None,
                    "trials": int(grid.trials[row, column]),
                }
                for row in range(rows)
                for column in range(columns)
            ],
        ),
        sql=_statement("trial_scores", study=study, task=task),
        figure=draw_seed_grid(
            grid,
            title=f"{task}: scores by seed",
            score=metric,
            baseline=_baseline(warehouse, study, task),
        ),
    )


def _grid_caption(grid: seed_grid.SeedGrid, metric: str) -> str:
    rows, columns = grid.score.shape
    several = int(grid.trials.max())
    cell = (
        "one trial" if several == 1 else f"the mean of up to {several} trials, one a dropout seed"
    )
    holes = f" Empty for want of a complete trial: {grid.holes}." if grid.holes else ""
    row, column = grid.best
    means = ""
    if rows > 1 and columns > 1:
        means = (
            " Rows and columns are sorted by their means, which the dots show: from WI seed "
            f"{grid.wi_seed[-1]} ({score_text(grid.wi_mean[-1])}) at the bottom up to "
            f"{grid.wi_seed[0]} ({score_text(grid.wi_mean[0])}), from DO seed {grid.do_seed[0]} "
            f"({score_text(grid.do_mean[0])}) at the left to {grid.do_seed[-1]} "
            f"({score_text(grid.do_mean[-1])}). Whether seeds differ by more than chance is not "
            "tested here."
        )
    return (
        f"Best {metric} by weight-initialisation (WI) and data-order (DO) seed: {rows} × {columns} "
        f"cells, each {cell}.{holes} Framed: the highest, WI {grid.wi_seed[row]} and DO "
        f"{grid.do_seed[column]}, {score_text(grid.score[row, column])}.{means}"
    )


def training_curves_figure(
    warehouse: Warehouse, study: str, task: str, rng: np.random.Generator, *, count: int = 20
) -> Exhibit:
    """Return Fig. 4: the scores of some trials over their training.

    Args:
        warehouse: holds the trials.
        study: name of the study.
        task: name of the task.
        rng: chooses the trials.
        count: how many of them.

    Raises:
        SeedbedError: where the warehouse has no such study or task.
    """
    shown = training_curves.compute(warehouse, study, task, rng, count=count)
    metric = metric_title(trial_scores(warehouse, study, task).metric)
    number = len(shown.curves)
    which = (
        "the one trial"
        if shown.trials == 1
        else f"all {number} trials"
        if number == shown.trials
        else f"{number} trials, chosen at random from the {shown.trials:,}"
    )
    schema = {
        "trial_id": pa.string(),
        "wi_seed": pa.int64(),
        "do_seed": pa.int64(),
        "status": pa.string(),
        "epoch": pa.float64(),
        "score": pa.float64(),
    }
    return Exhibit(
        name=f"{task}-training-curves",
        artefact="Fig. 4",
        title="The course of training",
        caption=(
            f"{metric[0].upper()}{metric[1:]} on the validation set over the epochs, of {which} "
            "that trained to the end. Each line is a trial; nothing is averaged."
        ),
        data=_table(
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
        sql=_statement("training_curves", study=study, task=task),
        figure=draw_training_curves(
            shown,
            title=f"{task}: training curves",
            score=metric,
            baseline=_baseline(warehouse, study, task),
        ),
    )


# ── Numbers and statements as text ───────────────────────────────────────────────────────────────
def score_text(score: float | None) -> str:
    """Return a score to three decimals, or a dash where there is none."""
    return "–" if score is None or math.isnan(score) else f"{score:.3f}"


def deviation_text(deviation: float) -> str:
    """Return a standard deviation to four decimals, or a dash where there is none."""
    return "–" if math.isnan(deviation) else f"{deviation:.4f}"


def _plus_minus(mean: float, deviation: float) -> str:
    places = 3 if deviation >= 0.01 else 4
    return f"{mean:.{places}f} ± {deviation:.{places}f}"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"


def _table(schema: Mapping[str, pa.DataType], rows: Sequence[Mapping[str, object]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=pa.schema(list(schema.items())))


def _statement(query: str, **values: str) -> str:
    """Return a ready-made query with its parameters written in, to be put as it stands."""
    return re.sub(r"\$(\w+)", lambda name: _literal(values[name[1]]), ready_made()[query].strip())


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _baseline(warehouse: Warehouse, study: str, task: str) -> float | None:
    """Return the task's majority baseline; None for regression, or where its data changed."""
    baselines = {
        summary.majority_baseline
        for summary in task_summary.compute(warehouse, study)
        if summary.task == task
    }
    return baselines.pop() if len(baselines) == 1 else None
