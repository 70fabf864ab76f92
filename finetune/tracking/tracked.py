"""Trials as a tracking store has them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from finetune import contract
from finetune.contract import Status

if TYPE_CHECKING:
    from mlflow.entities import Run


@dataclass(frozen=True)
class TrackedTrial:
    """What the store knows of a trial.

    Attributes:
        trial_id: the trial's id.
        run_id: the id of its run.
        name: the run's name.
        task: the trial's task.
        status: how it stands.
        metric: what the score is; None where it did not begin.
        score: best score so far; None before the first evaluation.
        started: seconds since the epoch.
        seconds: how long it was trained, or where that is not known, from its start to its end;
            None while it runs.
        error: why it failed.
        model_step: where its model is kept, after how many optimiser steps; else None.
    """

    trial_id: str
    run_id: str
    name: str
    task: str
    status: Status
    metric: str | None
    score: float | None
    started: float
    seconds: float | None
    error: str | None
    model_step: int | None = None

    @classmethod
    def of(cls, run: "Run") -> Self:
        """Read a run that the tracker has written."""
        tags, info = run.data.tags, run.info
        status = Status(tags.get(contract.TAG_STATUS, Status.RUNNING))
        kept = tags.get(contract.TAG_MODEL_STEP)
        is_running = status is Status.RUNNING or info.end_time is None
        trained = tags.get(contract.TAG_SECONDS)
        seconds = None if is_running else (info.end_time - info.start_time) / 1000
        return cls(
            trial_id=tags[contract.TAG_TRIAL_ID],
            run_id=info.run_id,
            name=info.run_name,
            task=run.data.params.get("task") or info.run_name.partition("-wi")[0],
            status=status,
            metric=run.data.params.get("metric"),
            score=run.data.metrics.get(contract.METRIC_BEST_SCORE),
            started=info.start_time / 1000,
            seconds=seconds if trained is None or is_running else float(trained),
            error=tags.get(contract.TAG_ERROR),
            model_step=None if kept is None else int(kept),
        )

    @property
    def rank(self) -> tuple[bool, bool, float]:
        """What orders several runs of a trial: done before running before the rest; the latest."""
        return self.status.is_done, self.status is Status.RUNNING, self.started
