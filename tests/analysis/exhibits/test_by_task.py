"""What is asked of each task is answered, or it is said why not."""

from collections.abc import Callable

import numpy as np
import pytest

from analysis.exhibits.best_and_worst import anova_of_best_and_worst
from analysis.exhibits.by_task import of_each_task
from analysis.exhibits.exhibit import CannotSay, Exhibit, Subject
from analysis.scores import TrialScores
from analysis.warehouse import Warehouse

MakeWarehouse = Callable[..., Warehouse]


@pytest.fixture(scope="module")
def unlike(make_warehouse: MakeWarehouse, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """A study whose tasks have unlike grids."""
    grid = 0.6 + 0.02 * np.random.default_rng(3).standard_normal((3, 3))
    scores = {("s", "cola"): grid, ("s", "rte"): grid[:1, :2], ("s", "sst2"): np.full((2, 2), 0.9)}
    warehouse = make_warehouse(tmp_path_factory.mktemp("unlike"), scores, evaluations=3)
    return Subject(warehouse, "s")


def number_of(scores: TrialScores) -> int:
    if len(scores) < 5:
        raise ValueError(f"{len(scores)} trials are too few")
    return len(scores)


def test_tasks_without_an_answer_are_named_with_the_reason(unlike: Subject) -> None:
    answers = of_each_task(unlike, number_of)
    assert answers == {"cola": 9}
    assert answers.trials == 9
    assert answers.unsaid == (
        " Nothing can be said of rte: 2 trials are too few."
        " Nothing can be said of sst2: 4 trials are too few."
    )


def test_where_no_task_has_an_answer_every_reason_is_given(unlike: Subject) -> None:
    few = {task: unlike.scores(task) for task in ("rte", "sst2")}
    with pytest.raises(CannotSay) as gap:
        of_each_task(unlike, number_of, few)
    assert str(gap.value) == "rte: 2 trials are too few. sst2: 4 trials are too few."


def test_a_table_of_unlike_grids_says_of_which_tasks_it_says_nothing(unlike: Subject) -> None:
    shown = anova_of_best_and_worst.of(unlike)
    assert isinstance(shown, Exhibit)
    assert {row["task"] for row in shown.finding.rows} == {"cola"}
    assert shown.finding.n == "9 trials"
    assert "Nothing can be said of rte: " in shown.finding.says
    assert "Nothing can be said of sst2: all its scores are the same." in shown.finding.says
