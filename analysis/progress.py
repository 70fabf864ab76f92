"""How far had each trial come? The best score so far, at each evaluation (Section 5)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.scores import LeftOut, require_task

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.warehouse import Warehouse


@dataclass(frozen=True, eq=False)
class Progress:
    """The scores of a task's N complete trials at their E evaluations, the same steps for all.

    Attributes:
        study: name of the study.
        task: name of the task.
        metric: what the scores are.
        trial_id: str[N].
        wi_seed: int64[N], the seed of the weight initialisation.
        do_seed: int64[N], the seed of the data order.
        step: int64[E], ascending: optimiser steps made before each evaluation.
        epoch: float64[E], the same in epochs.
        total_steps: optimiser steps of a whole trial.
        score: float64[N, E], the score of each evaluation; NaN where it had none.
        left_out: complete trials that could not be laid beside the others, and why.
    """

    study: str
    task: str
    metric: str
    trial_id: NDArray[np.str_]
    wi_seed: NDArray[np.int64]
    do_seed: NDArray[np.int64]
    step: NDArray[np.int64]
    epoch: NDArray[np.float64]
    total_steps: int
    score: NDArray[np.float64]
    left_out: tuple[LeftOut, ...] = field(default=())

    def __post_init__(self) -> None:
        trials, evaluations = self.score.shape
        if any(len(each) != trials for each in (self.trial_id, self.wi_seed, self.do_seed)):
            raise ValueError("the columns of the trials are not of one length")
        if len(self.step) != evaluations or len(self.epoch) != evaluations:
            raise ValueError("the scores are not those of the steps")
        if trials and not np.isfinite(self.best[:, -1]).all():
            raise ValueError("each trial must have a finite score: leave out those that have none")

    def __len__(self) -> int:
        return len(self.trial_id)

    @property
    def best(self) -> NDArray[np.float64]:
        """float64[N, E], the best score so far; negative infinity before the first score."""
        known = np.where(np.isfinite(self.score), self.score, -np.inf)
        return np.maximum.accumulate(known, axis=1)

    @property
    def final(self) -> NDArray[np.float64]:
        """float64[N], the best score over all evaluations: the performance of each trial."""
        return self.best[:, -1] if len(self) else np.empty(0)

    @property
    def epochs(self) -> float:
        """Epochs of a whole trial."""
        at = int(np.argmax(self.step)) if len(self.step) else 0
        if not len(self.step) or not self.step[at]:
            return 0.0
        return float(self.epoch[at] * self.total_steps / self.step[at])


def compute(warehouse: Warehouse, study: str, task: str) -> Progress:
    """Return the scores of a task's complete trials at their evaluations.

    Trials can be laid beside each other where they were evaluated at the same steps. Of a task
    whose recipe was changed half way, the steps that most trials share decide, and the others are
    left out.

    Raises:
        SeedbedError: where the warehouse has no such study or task.
    """
    require_task(warehouse, study, task)
    rows = warehouse.ask("progress", {"study": study, "task": task}).to_pylist()
    trials = [list(own) for _, own in groupby(rows, key=itemgetter("trial_id"))]

    scored, left_out = [], []
    for own in trials:
        if _has_score(own):
            scored.append(own)
        else:
            left_out.append(LeftOut(own[0]["trial_id"], own[0]["status"], "no evaluation"))
    common = Counter(map(_steps, scored)).most_common(1)
    chosen = [own for own in scored if _steps(own) == common[0][0]]
    left_out += [
        LeftOut(own[0]["trial_id"], own[0]["status"], "evaluated at other steps")
        for own in scored
        if _steps(own) != common[0][0]
    ]

    steps, total_steps = common[0][0] if common else ((), 0)
    first = chosen[0] if chosen else []
    return Progress(
        study=study,
        task=task,
        metric=first[0]["metric"] if first else "",
        trial_id=np.array([own[0]["trial_id"] for own in chosen], dtype=np.str_),
        wi_seed=np.array([own[0]["wi_seed"] for own in chosen], dtype=np.int64),
        do_seed=np.array([own[0]["do_seed"] for own in chosen], dtype=np.int64),
        step=np.array(steps, dtype=np.int64),
        epoch=np.array([row["epoch"] for row in first], dtype=np.float64),
        total_steps=total_steps,
        score=np.array(
            [[_number(row["score"]) for row in own] for own in chosen], dtype=np.float64
        ).reshape(len(chosen), len(steps)),
        left_out=tuple(left_out),
    )


def _has_score(rows: list[dict[str, Any]]) -> bool:
    return any(np.isfinite(_number(row["score"])) for row in rows)


def _steps(rows: list[dict[str, Any]]) -> tuple[tuple[int, ...], int]:
    """Return after which steps a trial was evaluated, and how many it has in all."""
    steps = tuple(row["step"] for row in rows)
    # Trials that were trained elsewhere may not say how many steps they were meant to make.
    return steps, rows[0]["total_steps"] or max(steps)


def _number(score: float | None) -> float:
    return float("nan") if score is None else score
