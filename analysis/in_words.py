"""A study in sentences: what was run, how it ended, and what keeps its scores from comparison."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.exhibits.text import count, deviation_text, score_text
from analysis.reference import STUDY as PUBLISHED
from analysis.scores import metric_title
from finetune.contract import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.scores import TrialScores
    from analysis.study_summary import StudySummary
    from analysis.task_summary import TaskSummary


@dataclass(frozen=True)
class Fact:
    """Something that all trials share, or in what the tasks differ."""

    name: str
    value: str


def what_was_run(summary: StudySummary) -> str:
    """Return what a study's trials are and how they ended."""
    grids = {
        task: (len(summary.values["wi_seed"][task]), len(summary.values["do_seed"][task]))
        for task in summary.tasks
    }
    sizes = {size: [task for task in grids if grids[task] == size] for size in grids.values()}
    listed = "; ".join(
        f"{', '.join(tasks)} ({wi} WI × {do} DO seeds{' each' if len(tasks) > 1 else ''})"
        for (wi, do), tasks in sizes.items()
    )
    models = ", ".join(map(str, summary.of_all_tasks("model")))
    ended = ", ".join(
        f"{number:,} {status.replace('_', ' ')}" for status, number in summary.trials.items()
    )
    words = f"{count(sum(summary.trials.values()), 'trial')} of {models} on {listed}: {ended}."
    if not summary.seconds:
        # Imported trials do not say when they ran or for how long.
        return words
    first, last = (f"{moment:%Y-%m-%d}" for moment in summary.started_at)
    when = f"on {first}" if first == last else f"from {first} to {last}"
    return f"{words} Started {when} (UTC); {_duration(summary.seconds)} of training in all."


def warnings(summary: StudySummary) -> list[str]:
    """Say what keeps the scores or the seeds from being compared."""
    found = []
    if summary.study == PUBLISHED:
        found.append(
            "The seeds of these trials are not published, only their ranks: here “seed 1” is the "
            "best on each task by its mean, whichever it was."
        )
    if summary.mixed:
        found.append(
            "Trials of the same task differ in more than their seeds: in "
            f"{', '.join(_words(name) for name in summary.mixed)}. The spread shown below is not "
            "that of seeds alone; give what was run differently another study's name."
        )
    if unfinished := summary.trials.get(Status.RUNNING, 0):
        found.append(
            f"{count(unfinished, 'trial')} had not ended when the warehouse was exported: the "
            "figures below will change."
        )
    return found


def spread_of_scores(scores: TrialScores, summaries: Sequence[TaskSummary]) -> str:
    """Return how far the scores of a task lie apart.

    Args:
        scores: of the task's complete trials, one at least.
        summaries: of the task; several where its data changed between trials.
    """
    metric = metric_title(scores.metric)
    if len(scores) == 1:
        said = [
            f"One trial trained to its end, with {metric} {score_text(scores.score[0])}. With one "
            "trial nothing can be said about seeds."
        ]
    elif scores.score.min() == scores.score.max():
        said = [
            f"All {len(scores):,} trials have the same {metric}, {score_text(scores.score[0])}: "
            "nothing can be said about seeds."
        ]
    else:
        said = [
            f"The {metric} of {len(scores):,} trials goes from {score_text(scores.score.min())} to "
            f"{score_text(scores.score.max())}, with mean {score_text(scores.score.mean())} and "
            f"standard deviation {deviation_text(float(np.std(scores.score)))} over trials."
        ]
    for summary in summaries:
        if summary.at_baseline and summary.share_at_baseline is not None:
            said.append(
                f"{summary.at_baseline:,} ({summary.share_at_baseline:.0%}) never rose above the "
                f"majority baseline of {score_text(summary.majority_baseline)}."
            )
    return " ".join(said)


def facts(summary: StudySummary, columns: Sequence[str]) -> list[Fact]:
    """Return what the columns say: one value, or which value on which tasks."""
    found = []
    for column in columns:
        tasks_by_value: dict[str, list[str]] = {}
        for task in summary.tasks:
            values = ", ".join(map(_value_text, summary.values[column][task]))
            tasks_by_value.setdefault(values or "none", []).append(task)
        if list(tasks_by_value) == ["none"]:
            continue
        if len(tasks_by_value) == 1:
            (text,) = tasks_by_value
        else:
            text = "; ".join(
                f"{value} ({', '.join(tasks)})" for value, tasks in tasks_by_value.items()
            )
        found.append(Fact(_words(column), text))
    return found


def _value_text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _words(column: str) -> str:
    return column.replace("_", " ")


def _duration(seconds: float) -> str:
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} seconds"
