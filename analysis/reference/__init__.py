"""The paper's own 2,100 results and its Table 1; `README.md` says where from, and how exact."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np

from analysis.scores import TrialScores
from finetune.errors import SeedbedError

if TYPE_CHECKING:
    from collections.abc import Mapping

STUDY = "dodge2020-published"
"""The name under which the published results go as a study. Its seeds are ranks on each task."""

PUBLISHED_ON = datetime(2020, 2, 15, tzinfo=UTC)
"""When the paper appeared on arXiv. When its trials were run is not published."""

RECIPE: Mapping[str, str | int | float] = {
    "model": "bert-large-uncased",
    "epochs": 3,
    "batch_size": 16,
    "learning_rate": 2e-5,
    "dropout": 0.1,
}
"""What Section 2.2 says of all trials, by column of the table of trials."""


@dataclass(frozen=True)
class PublishedTask:
    """A column of Table 2, its sizes in full.

    Attributes:
        task: under Seedbed's name.
        train_examples: size of the training set.
        validation_examples: size of the validation set.
        labels: number of classes.
        majority_baseline: score of predicting the most frequent label, to the five decimals that
            the published scores are known to.
    """

    task: str
    train_examples: int
    validation_examples: int
    labels: int
    majority_baseline: float


@dataclass(frozen=True)
class PublishedModel:
    """A row of Table 1.

    Attributes:
        model: what was fine-tuned.
        source: who published it.
        score: on the validation set by task, under Seedbed's names, from 0 to 1.
    """

    model: str
    source: str
    score: Mapping[str, float]


def published_models() -> tuple[PublishedModel, ...]:
    """Return the rows of Table 1 in the paper's order: of BERT, then of later models."""
    return tuple(
        PublishedModel(
            row["model"], row["source"], {task: float(row[task]) for task in published_tasks()}
        )
        for row in _rows("table1.csv")
    )


def published_facts(task: str) -> PublishedTask:
    """Return the sizes and the majority baseline of a task of the paper.

    Raises:
        SeedbedError: where the paper has no such task.
    """
    _check_task(task)
    (row,) = (row for row in _rows("tasks.csv") if row["task"] == task)
    return PublishedTask(
        task=task,
        train_examples=int(row["train_examples"]),
        validation_examples=int(row["validation_examples"]),
        labels=int(row["labels"]),
        majority_baseline=float(row["majority_baseline"]),
    )


def published_tasks() -> tuple[str, ...]:
    """Return the names of the tasks that have published results, in the paper's order."""
    return tuple(dict.fromkeys(row["task"] for row in _rows("dodge2020.csv")))


def published_scores(task: str) -> TrialScores:
    """Return the best validation score of each of the paper's trials of a task.

    The seeds behind the results are not published with them: `wi_seed` and `do_seed` are ranks, by
    the mean over the other factor, 1 the best. The dropout of the paper's program followed the data
    order, so `dropout_seed` is the rank of the data order again.

    Args:
        task: `mrpc`, `rte`, `cola` (25 × 25 trials each) or `sst2` (15 × 15).

    Raises:
        SeedbedError: where the paper has no such task.
    """
    _check_task(task)
    rows = [row for row in _rows("dodge2020.csv") if row["task"] == task]
    do_rank = np.array([int(row["do_rank"]) for row in rows])
    return TrialScores(
        study=STUDY,
        task=task,
        metric=rows[0]["metric"],
        regime="best",
        trial_id=np.array([f"{STUDY}-{task}-{row['wi_rank']}-{row['do_rank']}" for row in rows]),
        wi_seed=np.array([int(row["wi_rank"]) for row in rows]),
        do_seed=do_rank,
        dropout_seed=do_rank,
        score=np.array([float(row["best_score"]) for row in rows]),
    )


def _check_task(task: str) -> None:
    if task not in (tasks := published_tasks()):
        raise SeedbedError(
            f"The paper has no results of the task {task!r}; it has {', '.join(tasks)}."
        )


def _rows(name: str) -> list[dict[str, str]]:
    file = resources.files(__package__).joinpath(name)
    with file.open(encoding="utf-8") as lines:
        return list(csv.DictReader(lines))
