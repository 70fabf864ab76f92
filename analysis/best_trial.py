"""What is the best that was found? One trial of each task (the rows of one's own of Table 1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.scores import require_study

if TYPE_CHECKING:
    from analysis.warehouse import Warehouse


@dataclass(frozen=True)
class BestTrial:
    """The complete trial with the highest score of a task; of equal ones, the first to reach it.

    The score is the highest of many on one validation set: it overstates what the model does on
    other data.

    Attributes:
        task: name of the task.
        metric: what the score is.
        trial_id: which trial.
        wi_seed: its seed of the weight initialisation.
        do_seed: its seed of the data order.
        dropout_seed: its seed of the dropout masks; None where that is not known.
        score: its best score.
        step: the optimiser step at which it first had it; None where only the score is known.
        epoch: the same in epochs; None where that, or how long an epoch is, is not known.
        total_steps: the optimiser steps of the whole trial; None where that is not known.
    """

    task: str
    metric: str
    trial_id: str
    wi_seed: int
    do_seed: int
    dropout_seed: int | None
    score: float
    step: int | None
    epoch: float | None
    total_steps: int | None


def compute(warehouse: Warehouse, study: str) -> dict[str, BestTrial]:
    """Return the best trial of each task of a study that has a complete trial, by task.

    Raises:
        SeedbedError: where the warehouse has no such study.
    """
    require_study(warehouse, study)
    rows = warehouse.ask("best_trials", {"study": study}).to_pylist()
    return {row["task"]: BestTrial(**row) for row in rows}
