"""What is said of stopping is what was computed; where the data cannot tell, that is said."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from analysis import early_stopping, progress
from analysis.exhibits import stopping
from analysis.exhibits.exhibit import Artefact, Exhibit, Gap, Subject
from analysis.imported import import_published
from analysis.reference import STUDY
from analysis.warehouse import Warehouse

MakeWarehouse = Callable[..., Warehouse]
Show = Callable[..., Exhibit]

OF_TASKS = (
    stopping.rank_correlations,
    stopping.score_correlations,
    stopping.best_settings,
    stopping.rules,
)


@pytest.fixture(scope="module")
def warehouse(make_warehouse: MakeWarehouse, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """8 × 8 trials of two tasks, a quarter of which fail, evaluated ten times an epoch."""
    rng = np.random.default_rng(4)
    ends = {
        ("s", task): np.where(rng.random((8, 8)) < 0.25, low, rng.normal(0.68, 0.03, (8, 8)))
        for task, low in (("cola", 0.1), ("rte", 0.53))
    }
    return make_warehouse(tmp_path_factory.mktemp("stopping") / "w", ends)


def test_fig_6_has_the_best_setting_of_each_budget(show: Show, warehouse: Warehouse) -> None:
    finding = show(stopping.best_settings, warehouse, "s", "rte").finding
    found = early_stopping.compute(progress.compute(warehouse, "s", "rte"), budgets=range(1, 31))
    rows = finding.data.to_pylist()
    assert [row["budget"] for row in rows] == list(range(1, 31))
    assert [row["started"] for row in rows] == found.started[found.best].tolist()
    assert [row["expected_best"] for row in rows] == found.mean[found.best].tolist()
    row = rows[15]  # a quarter of the trials
    assert (
        f"start {row['started']}, and after {row['stopped_after']:.0%} of the training to continue "
        f"the best {row['continued']}: {row['expected_best']:.3f} are expected, in place of "
        f"{row['expected_best_of_full_training']:.3f}"
    ) in finding.says
    assert finding.over == found.over
    assert finding.n == f"64 trials, 31 evaluations each; {len(found.mean):,} settings"


def test_fig_7_has_what_each_task_saves(show: Show, warehouse: Warehouse) -> None:
    finding = show(stopping.error_reductions, warehouse, "s").finding
    rows = finding.data.to_pylist()
    assert {row["task"] for row in rows} == {"cola", "rte"}
    for task in ("cola", "rte"):
        saved = [row["error_reduction"] for row in rows if row["task"] == task]
        text = f"{task}: by {min(saved):.1%} to {max(saved):.1%} at budgets of 1 to 30."
        assert text in finding.says
    assert "no interval is shown: " in finding.how
    for row in rows:
        full = 1 - row["expected_best_of_full_training"]
        saved_share = (row["expected_best"] - row["expected_best_of_full_training"]) / full
        assert row["error_reduction"] == pytest.approx(saved_share, abs=1e-12)


def test_advice_is_learnt_where_it_can_be_and_else_the_papers(
    show: Show, warehouse: Warehouse
) -> None:
    finding = show(stopping.advice, warehouse, "s", "rte").finding
    assert finding.says.startswith("Learnt from 64 trials of this task: for the cost of 15")
    sources = {row["budget"]: row["from"] for row in finding.rows}
    assert sources["15 trainings"] == "these trials"
    assert sources["20 trainings"] == "the paper"
    expected = early_stopping.recommend(10, progress.compute(warehouse, "s", "rte"))
    (row,) = (row for row in finding.data.to_pylist() if row["budget"] == 10)
    assert (row["start"], row["continue_best"]) == (expected.start, expected.continue_best)
    assert row["error_reduction"] == pytest.approx(expected.error_reduction)


def test_correlations_are_said_with_the_epoch_from_which_they_are_high(
    show: Show, warehouse: Warehouse
) -> None:
    finding = show(stopping.rank_correlations, warehouse, "s", "rte").finding
    assert (
        "rank correlation of the best score so far with the best at the end is 0.7" in finding.says
    )
    rows = finding.data.to_pylist()
    assert len(rows) == 31 * 31
    assert {row["trials"] for row in rows} == {64}
    finding = show(stopping.score_correlations, warehouse, "s", "rte").finding
    assert "Pearson correlation" in finding.says


def test_rules_are_compared_at_a_budget_the_trials_can_tell_of(
    show: Show, warehouse: Warehouse
) -> None:
    finding = show(stopping.rules, warehouse, "s", "rte").finding
    assert finding.says.startswith("For the cost of 12 trainings, ")
    rules = [row["rule"] for row in finding.data.to_pylist()]
    assert rules == [
        "full training", "t/f/p, the paper's advice", "t/f/p, learnt here", "successive halving",
        "seed-wise stopping",
    ]  # fmt: skip
    assert finding.over.startswith("both seeds, resampled (8 at the least): 95% intervals")


@pytest.mark.parametrize("artefact", OF_TASKS)
def test_scores_without_a_course_say_nothing_of_stopping(
    artefact: Artefact, tmp_path: Path
) -> None:
    import_published(tmp_path / "w")
    gap = artefact.of(Subject(Warehouse(tmp_path / "w"), STUDY), "rte")
    assert isinstance(gap, Gap)
    assert "nothing is known of their course" in gap.reason


def test_without_a_course_the_advice_is_the_papers(show: Show, tmp_path: Path) -> None:
    import_published(tmp_path / "w")
    finding = show(stopping.advice, Warehouse(tmp_path / "w"), STUDY, "rte").finding
    assert finding.says.startswith(
        "The 625 trials of this task cannot teach when to stop, so this is the paper's advice: "
    )
    assert {row["from"] for row in finding.rows} == {"the paper"}


@pytest.mark.parametrize("artefact", OF_TASKS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 2)])
def test_of_one_or_two_trials_nothing_can_be_compared(
    artefact: Artefact, shape: tuple[int, int], make_warehouse: MakeWarehouse, tmp_path: Path
) -> None:
    warehouse = make_warehouse(tmp_path / "w", {("s", "rte"): np.full(shape, 0.6)})
    gap = artefact.of(Subject(warehouse, "s"), "rte")
    assert isinstance(gap, Gap)
    assert "can be laid beside each other, and it takes 3" in gap.reason


@pytest.mark.parametrize("scores", [np.full((3, 4), 0.6), np.full((3, 4), 1.0)])
def test_trials_that_all_end_alike_are_shown_without_a_warning(
    scores: np.ndarray, show: Show, make_warehouse: MakeWarehouse, tmp_path: Path
) -> None:
    warehouse = make_warehouse(tmp_path / "w", {("s", "rte"): scores})
    for artefact in OF_TASKS:
        assert show(artefact, warehouse, "s", "rte").figure is not None
    assert show(stopping.error_reductions, warehouse, "s").figure is not None
    assert show(stopping.advice, warehouse, "s", "rte").finding.rows
