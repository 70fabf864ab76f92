"""The paper's own 2,100 results; `README.md` beside this says where they are from, how exact."""

from __future__ import annotations

import csv
from importlib import resources

import numpy as np

from analysis.scores import TrialScores
from finetune.errors import SeedbedError

STUDY = "dodge2020"
"""The name under which the published results go as a study."""


def published_tasks() -> tuple[str, ...]:
    """Return the names of the tasks that have published results, in the paper's order."""
    return tuple(dict.fromkeys(row["task"] for row in _rows()))


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
    rows = [row for row in _rows() if row["task"] == task]
    if not rows:
        raise SeedbedError(
            f"The paper has no results of the task {task!r}; it has {', '.join(published_tasks())}."
        )
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


def _rows() -> list[dict[str, str]]:
    file = resources.files(__package__).joinpath("dodge2020.csv")
    with file.open(encoding="utf-8") as lines:
        return list(csv.DictReader(lines))
