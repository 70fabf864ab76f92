"""The score of each trial: what every question of the seeds is put to."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from finetune.contract import Status
from finetune.errors import SeedbedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from analysis.warehouse import Warehouse

Regime = Literal["best", "epoch-end", "last"]
"""Which of a trial's evaluations count (the three scenarios of Fig. 1).

`best`: the highest score over all of them, the paper's validation performance of a trial;
`epoch-end`: the highest over those at the end of an epoch; `last`: the last one's.
"""

REGIMES: tuple[Regime, ...] = get_args(Regime)

COMPLETE = (Status.FINISHED, Status.DIVERGED)
"""The statuses of trials that trained to their end, so that their scores can be compared.

A trial that early stopping ended is done too, but its score is not one of a full training.
"""

_WHY_LEFT_OUT = {Status.RUNNING: "still running", Status.STOPPED_EARLY: "stopped early"}
"""Where the name of the status does not say it well."""

_METRIC_TITLES = {
    "accuracy": "accuracy",
    "f1": "F1",
    "accuracy_and_f1": "(accuracy + F1)/2",
    "matthews_correlation": "Matthews correlation",
    "pearson": "Pearson correlation",
    "spearman": "Spearman correlation",
    "pearson_and_spearman": "(Pearson + Spearman)/2",
}


def metric_title(metric: str) -> str:
    """Return a metric as tables and figures call it."""
    return _METRIC_TITLES.get(metric, metric.replace("_", " "))


@dataclass(frozen=True)
class LeftOut:
    """A trial of the task that has no score to compare, and why."""

    trial_id: str
    status: str
    reason: str


@dataclass(frozen=True, eq=False)
class TrialScores:
    """The scores of the N complete trials of a study's task.

    Attributes:
        study: name of the study.
        task: name of the task.
        metric: what the scores are.
        regime: which of a trial's evaluations count.
        trial_id: str[N].
        wi_seed: int64[N], the seed of the weight initialisation.
        do_seed: int64[N], the seed of the data order.
        dropout_seed: int64[N]; the seed of the data order where a trial of others names none.
        score: float64[N], finite.
        left_out: the task's other trials.
    """

    study: str
    task: str
    metric: str
    regime: Regime
    trial_id: NDArray[np.str_]
    wi_seed: NDArray[np.int64]
    do_seed: NDArray[np.int64]
    dropout_seed: NDArray[np.int64]
    score: NDArray[np.float64]
    left_out: tuple[LeftOut, ...] = field(default=())

    def __post_init__(self) -> None:
        columns = (self.trial_id, self.wi_seed, self.do_seed, self.dropout_seed)
        if any(column.shape != self.score.shape for column in columns) or self.score.ndim != 1:
            raise ValueError("the columns of the scores are not of one length")
        if not np.isfinite(self.score).all():
            raise ValueError("the scores must be finite: leave out the trials that have none")

    def __len__(self) -> int:
        return len(self.score)

    @property
    def left_out_counts(self) -> dict[str, int]:
        """How many trials were left out for each reason, the most frequent first."""
        return dict(Counter(trial.reason for trial in self.left_out).most_common())


def trial_scores(
    warehouse: Warehouse, study: str, task: str, *, score: Regime = "best"
) -> TrialScores:
    """Return the scores of a study's task.

    Args:
        warehouse: holds the trials.
        study: name of the study.
        task: name of the task.
        score: which of a trial's evaluations count.

    Returns:
        One score for each trial that finished or diverged, by seed; the others, and those without
        an evaluation that counts, are named in `left_out`. There may be no score at all.

    Raises:
        SeedbedError: where the warehouse has no such study or task.
    """
    require_task(warehouse, study, task)
    rows = warehouse.ask("trial_scores", {"study": study, "task": task}).to_pylist()
    column = score.replace("-", "_")
    scored, left_out = [], []
    for row in rows:
        reason = _why_left_out(row["status"], row[column], score)
        if reason:
            left_out.append(LeftOut(row["trial_id"], row["status"], reason))
        else:
            scored.append(row)
    return TrialScores(
        study=study,
        task=task,
        metric=rows[0]["metric"] or "score",
        regime=score,
        trial_id=np.array([row["trial_id"] for row in scored], dtype=np.str_),
        wi_seed=np.array([row["wi_seed"] for row in scored], dtype=np.int64),
        do_seed=np.array([row["do_seed"] for row in scored], dtype=np.int64),
        dropout_seed=np.array([_dropout_seed(row) for row in scored], dtype=np.int64),
        score=np.array([row[column] for row in scored], dtype=np.float64),
        left_out=tuple(left_out),
    )


def _dropout_seed(row: Mapping[str, Any]) -> int:
    own = row["dropout_seed"]
    return int(row["do_seed"] if own is None else own)


def require_task(warehouse: Warehouse, study: str, task: str) -> None:
    """Check that the warehouse has the study, and the study the task.

    Raises:
        SeedbedError: where it has not; it names those there are.
    """
    require_study(warehouse, study)
    if task not in (tasks := warehouse.tasks(study)):
        raise SeedbedError(
            f"The study {study!r} has no task {task!r} in the warehouse; "
            f"it has {_listing(tasks)}. Export it if it has been run since."
        )


def require_study(warehouse: Warehouse, study: str) -> None:
    """Check that the warehouse has the study.

    Raises:
        SeedbedError: where it has not; it names those there are.
    """
    if study not in (studies := warehouse.studies()):
        raise SeedbedError(
            f"The warehouse has no study {study!r}; it has {_listing(studies)}. "
            "Export it if it has been run since."
        )


def by_status(trials: Mapping[str, int]) -> dict[Status, int]:
    """Return numbers of trials by status, in the order in which `Status` has them."""
    return {status: trials[status] for status in Status if trials.get(status)}


def _listing(names: list[str]) -> str:
    return ", ".join(names) if names else "none"


def _why_left_out(status: str, score: float | None, regime: Regime) -> str | None:
    if status not in COMPLETE:
        return _WHY_LEFT_OUT.get(Status(status), status)
    if score is None:
        return "no evaluation at the end of an epoch" if regime == "epoch-end" else "no evaluation"
    if not np.isfinite(score):
        return f"its score is {score}"
    return None
