"""An artefact is put to what its scope says, and where the data do not carry it, that is said."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from analysis.exhibits.exhibit import (
    NO_UNCERTAINTY,
    Artefact,
    CannotSay,
    Exhibit,
    Finding,
    Gap,
    Subject,
    of_study,
    of_task,
    of_two_studies,
)
from analysis.scores import trial_scores
from analysis.warehouse import Warehouse
from finetune.contract import Status
from finetune.errors import SeedbedError

MakeWarehouse = Callable[..., Warehouse]


def finding(*asked: object) -> Finding:
    """What an artefact of these tests shows: what it was asked of."""
    names = [each.study if isinstance(each, Subject) else str(each) for each in asked]
    return Finding(" ".join(names), "1", NO_UNCERTAINTY, "select 1", pa.table({"a": [1]}))


STUDY: Artefact = of_study("one", title="t", question="?")(finding)
TASK: Artefact = of_task("two", title="t", question="?")(finding)
STUDIES: Artefact = of_two_studies("three", title="t", question="?")(finding)


@pytest.fixture(scope="module")
def warehouse(make_warehouse: MakeWarehouse, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    few = np.array([[0.6, 0.7]])
    return make_warehouse(
        tmp_path_factory.mktemp("exhibit"),
        {("a", "cola"): few, ("a", "rte"): few, ("b", "rte"): few, ("c", "rte"): few},
        statuses={("c", "rte", 1, seed): Status.RUNNING for seed in (1, 2)},
    )


@pytest.fixture(scope="module")
def subjects(warehouse: Warehouse) -> list[Subject]:
    return [Subject(warehouse, study) for study in ("a", "b", "c")]


def names(shown: list[Exhibit | Gap]) -> list[str]:
    assert all(isinstance(each, Exhibit) for each in shown)
    return [each.name for each in shown if isinstance(each, Exhibit)]


def says(shown: list[Exhibit | Gap]) -> list[str]:
    return [each.finding.says for each in shown if isinstance(each, Exhibit)]


def test_an_artefact_is_put_to_each_study_to_each_task_or_to_the_first_study_and_each_other(
    subjects: list[Subject],
) -> None:
    assert says(STUDY.of_each(subjects)) == ["a", "b", "c"]
    assert says(TASK.of_each(subjects)) == ["a cola", "a rte", "b rte", "c rte"]
    assert says(TASK.of_each(subjects, ["cola"])) == ["a cola"]
    assert says(STUDIES.of_each(subjects)) == ["a b rte", "a c rte"]


def test_files_are_called_after_artefact_task_and_other_study(subjects: list[Subject]) -> None:
    assert names(STUDY.of_each(subjects[:1])) == ["one"]
    assert names(TASK.of_each(subjects[:1])) == ["two-cola", "two-rte"]
    assert names(STUDIES.of_each(subjects[:2])) == ["three-rte-vs-b"]


def test_one_study_cannot_be_compared(subjects: list[Subject]) -> None:
    with pytest.raises(SeedbedError, match="three compares two studies, and there is 1: name both"):
        STUDIES.of_each(subjects[:1])


@pytest.mark.parametrize(
    ("artefact", "arguments"),
    [(STUDY, ["rte"]), (TASK, []), (STUDIES, ["rte"])],
    ids=["study", "task", "two studies"],
)
def test_an_artefact_refuses_what_is_not_of_its_scope(
    subjects: list[Subject], artefact: Artefact, arguments: list[Any]
) -> None:
    with pytest.raises(TypeError, match=f"{artefact.name} is of"):
        artefact.of(subjects[0], *arguments)


def test_what_the_data_do_not_carry_is_a_gap_with_the_reason(subjects: list[Subject]) -> None:
    @of_study("none", title="t", question="?")
    def none(_: Subject) -> Finding:
        raise CannotSay("There is no reason.")

    gap = none.of(subjects[0])
    assert isinstance(gap, Gap)
    assert (gap.artefact, gap.reason) == (none, "There is no reason.")


def test_a_subject_without_complete_trials_has_no_scores(subjects: list[Subject]) -> None:
    with pytest.raises(
        CannotSay, match=r"No trial of rte has a score to compare \(2 still running\)\."
    ):
        subjects[2].scores("rte")
    with pytest.raises(CannotSay, match=r"No trial has a score to compare\."):
        subjects[2].scored_tasks()


def test_a_subject_has_its_own_score(warehouse: Warehouse) -> None:
    last = Subject(warehouse, "a", score="last")
    expected = trial_scores(warehouse, "a", "rte", score="last").score
    assert expected.tolist() != [0.6, 0.7]
    assert last.scores("rte").score.tolist() == expected.tolist()
    assert last.scored_tasks()["rte"].score.tolist() == expected.tolist()
    assert last.scores("rte", score="best").score.tolist() == [0.6, 0.7]


def test_a_subject_draws_the_same_each_time(warehouse: Warehouse) -> None:
    subject = Subject(warehouse, "a", seed=3)
    assert subject.rng().random() == subject.rng().random()
    assert subject.rng().random() != Subject(warehouse, "a", seed=4).rng().random()


def test_a_study_that_is_not_there_is_refused(warehouse: Warehouse) -> None:
    with pytest.raises(SeedbedError, match="no study 'd'; it has a, b, c"):
        Subject(warehouse, "d")


def test_a_task_whose_data_changed_has_no_baseline(
    make_warehouse: MakeWarehouse,
    with_trials_changed: Callable[..., Warehouse],
    warehouse: Warehouse,
    tmp_path: Path,
) -> None:
    def alter(row: dict[str, Any]) -> None:
        row["majority_baseline"] += 0.1 * row["do_seed"]

    assert Subject(warehouse, "a").baseline("rte") == 0.5
    changed = with_trials_changed(warehouse, tmp_path / "changed", alter)
    assert Subject(changed, "a").baseline("rte") is None


def test_sql_stands_by_itself(warehouse: Warehouse) -> None:
    sql = Subject(warehouse, "a").sql("trial_scores", task="it's")
    assert "study = 'a'" in sql
    assert "task = 'it''s'" in sql
    assert "$" not in sql
