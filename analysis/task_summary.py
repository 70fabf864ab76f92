"""What are the tasks, and how did their trials end? The sizes and baselines of Table 2.

Everything is computed from the warehouse's trials.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.scores import by_status, require_study

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analysis.warehouse import Warehouse
    from finetune.contract import Status


@dataclass(frozen=True)
class TaskSummary:
    """A column of Table 2, and how the task's trials ended.

    Attributes:
        task: name of the task.
        metric: its own metric.
        majority_baseline: score of predicting the most frequent label; None for regression, and
            where trials of another trainer do not say it.
        labels: number of classes; 1 for regression. This and the sizes are None where trials of
            another trainer do not say them.
        train_examples: size of the training set.
        validation_examples: size of the validation set.
        trials: how many trials there are of each status; statuses without any are not there.
        scored: how many complete trials have a score.
        at_baseline: how many of these never scored above the majority baseline; None where none
            is known.
    """

    task: str
    metric: str
    majority_baseline: float | None
    labels: int | None
    train_examples: int | None
    validation_examples: int | None
    trials: Mapping[Status, int]
    scored: int
    at_baseline: int | None

    @property
    def share_at_baseline(self) -> float | None:
        """Share of the complete trials that never scored above the majority baseline.

        None where no baseline is known and where no trial is complete.
        """
        if self.at_baseline is None or not self.scored:
            return None
        return self.at_baseline / self.scored


def compute(warehouse: Warehouse, study: str) -> tuple[TaskSummary, ...]:
    """Return the summary of each task of a study, by name.

    A task whose data changed between its trials comes once for each state of its data.

    Raises:
        SeedbedError: where the warehouse has no such study.
    """
    require_study(warehouse, study)
    rows = warehouse.ask("task_summary", {"study": study}).to_pylist()
    return tuple(
        TaskSummary(
            task=row["task"],
            metric=row["metric"],
            majority_baseline=row["majority_baseline"],
            labels=row["labels"],
            train_examples=row["train_examples"],
            validation_examples=row["validation_examples"],
            trials=by_status(dict(row["trials"])),
            scored=row["scored"],
            at_baseline=None if row["majority_baseline"] is None else row["at_baseline"],
        )
        for row in rows
    )
