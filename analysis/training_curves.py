"""What does training look like? Scores over the epochs of some trials (Section 5, Fig. 4)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.scores import require_task
from finetune.contract import Status

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.warehouse import Warehouse


@dataclass(frozen=True, eq=False)
class TrainingCurve:
    """The validation scores of one trial over its training.

    Attributes:
        trial_id: which trial.
        wi_seed: its seed of the weight initialisation.
        do_seed: its seed of the data order.
        status: finished or diverged.
        epoch: float64[E], ascending; epochs of training data seen before each evaluation.
        score: float64[E]; NaN where the evaluation had none.
    """

    trial_id: str
    wi_seed: int
    do_seed: int
    status: Status
    epoch: NDArray[np.float64]
    score: NDArray[np.float64]

    @property
    def best(self) -> float:
        """The highest score; negative infinity if there is none."""
        return float(np.max(self.score, initial=-np.inf, where=np.isfinite(self.score)))


@dataclass(frozen=True)
class TrainingCurves:
    """The curves of some complete trials of a task.

    Attributes:
        curves: by seed.
        trials: how many complete trials with evaluations there are to choose from.
    """

    curves: tuple[TrainingCurve, ...]
    trials: int


def compute(
    warehouse: Warehouse, study: str, task: str, rng: np.random.Generator, *, count: int = 20
) -> TrainingCurves:
    """Return the curves of complete trials drawn at random, without replacement.

    Args:
        warehouse: holds the trials.
        study: name of the study.
        task: name of the task.
        rng: chooses the trials; where there are no more than `count`, all come.
        count: how many trials.

    Raises:
        SeedbedError: where the warehouse has no such study or task.
    """
    require_task(warehouse, study, task)
    rows = warehouse.ask("training_curves", {"study": study, "task": task}).to_pylist()
    curves = [_curve(list(own)) for _, own in groupby(rows, key=itemgetter("trial_id"))]
    chosen = rng.choice(len(curves), size=min(count, len(curves)), replace=False)
    return TrainingCurves(tuple(curves[index] for index in sorted(chosen)), len(curves))


def _curve(rows: list[dict[str, Any]]) -> TrainingCurve:
    trial = rows[0]
    return TrainingCurve(
        trial_id=trial["trial_id"],
        wi_seed=trial["wi_seed"],
        do_seed=trial["do_seed"],
        status=Status(trial["status"]),
        epoch=np.array([row["epoch"] for row in rows], dtype=np.float64),
        score=np.array([row["score"] for row in rows], dtype=np.float64),
    )
