"""What was run? The trials of a study, what they have in common and in what they differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.scores import by_status, require_study
from finetune.contract import RECIPE_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from analysis.warehouse import Warehouse
    from finetune.contract import Status


@dataclass(frozen=True)
class StudySummary:
    """A study as its trials tell it.

    Attributes:
        study: name of the study.
        tasks: names of its tasks, sorted.
        trials: how many trials there are of each status; statuses without any are not there.
        seconds: how long its trials took, summed, in seconds.
        started_at: when the first and the last trial started, UTC.
        values: of each column of the table of trials, per task, the distinct values, sorted; none
            where all are null.
    """

    study: str
    tasks: tuple[str, ...]
    trials: Mapping[Status, int]
    seconds: float
    started_at: tuple[datetime, datetime]
    values: Mapping[str, Mapping[str, tuple[object, ...]]]

    def of_all_tasks(self, column: str) -> tuple[object, ...]:
        """Return the distinct values of a column over all tasks, in the order of the tasks."""
        return tuple(
            dict.fromkeys(value for task in self.tasks for value in self.values[column][task])
        )

    @property
    def mixed(self) -> tuple[str, ...]:
        """The columns that should be one thing within each task and are not.

        Those of the recipe, the model and the data. Trials that differ in them differ in more than
        their seeds, and their spread is not the spread of seeds.
        """
        fixed = [column.name for column in RECIPE_COLUMNS]
        fixed += ["model", "metric", "model_fingerprint", "data_fingerprint"]
        return tuple(
            name for name in fixed if any(len(found) > 1 for found in self.values[name].values())
        )


def compute(warehouse: Warehouse, study: str) -> StudySummary:
    """Return what was run under the name of a study.

    Raises:
        SeedbedError: where the warehouse has no such study.
    """
    require_study(warehouse, study)
    parameters = {"study": study}
    rows = warehouse.ask("what_was_run", parameters).to_pylist()
    (totals,) = warehouse.ask("study_totals", parameters).to_pylist()
    columns = [name for name in rows[0] if name != "task"]
    return StudySummary(
        study=study,
        tasks=tuple(row["task"] for row in rows),
        trials=by_status(dict(totals["trials"])),
        seconds=totals["seconds"] or 0.0,
        started_at=(totals["first_started_at"], totals["last_started_at"]),
        values={name: {row["task"]: tuple(row[name]) for row in rows} for name in columns},
    )
