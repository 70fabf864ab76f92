"""An exhibit's data are what was computed, its caption says so in numbers, its query gives them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis import exhibits, expected_performance, seed_grid, variance
from analysis.exhibits import Exhibit
from analysis.scores import trial_scores
from analysis.warehouse import Warehouse
from finetune.contract import Status

MakeWarehouse = Callable[..., Warehouse]
ChangeTrials = Callable[[Warehouse, Path, Callable[[dict[str, Any]], None]], Warehouse]


def all_of(warehouse: Warehouse, study: str, task: str) -> list[Exhibit]:
    return [
        exhibits.tasks_table(warehouse, study),
        exhibits.best_trials_table(warehouse, study),
        exhibits.deviations_table(warehouse, study),
        exhibits.left_out_table(warehouse, study),
        exhibits.expected_performance_figure(warehouse, study, task),
        exhibits.seed_grid_figure(warehouse, study, task),
        exhibits.training_curves_figure(warehouse, study, task, np.random.default_rng(0)),
    ]


def test_every_query_can_be_put_as_it_stands_whatever_the_study_is_called(
    make_warehouse: MakeWarehouse, tmp_path: Path
) -> None:
    study = "o'hara; drop table trials --"
    warehouse = make_warehouse(
        tmp_path / "w",
        {(study, "rte"): np.array([[0.6, 0.7], [0.65, 0.5]])},
        statuses={(study, "rte", 2, 2): Status.FAILED},
    )
    for exhibit in all_of(warehouse, study, "rte"):
        assert warehouse.query(exhibit.sql).num_rows > 0, exhibit.name


@pytest.fixture(scope="module")
def of_rte(synthetic_warehouse: Warehouse) -> list[Exhibit]:
    return all_of(synthetic_warehouse, "demo", "rte")


def test_the_names_of_exhibits_are_unlike(of_rte: list[Exhibit]) -> None:
    names = [exhibit.name for exhibit in of_rte]
    assert len(set(names)) == len(names)


def test_a_table_has_a_row_of_text_for_each_row_of_data(of_rte: list[Exhibit]) -> None:
    for exhibit in of_rte:
        if exhibit.figure is None:
            assert len(exhibit.rows) == exhibit.data.num_rows
            assert len({tuple(row) for row in exhibit.rows}) == 1, "one heading for all rows"


def test_table_2_has_only_the_statuses_that_occur(synthetic_warehouse: Warehouse) -> None:
    cola, rte = exhibits.tasks_table(synthetic_warehouse, "demo").rows
    assert (cola["diverged"], cola["failed"], cola["at baseline"]) == ("1", "0", "5%")
    assert (rte["finished"], rte["failed"], rte["at baseline"]) == ("19", "1", "0%")
    assert "running" not in cola


def test_table_3_is_that_of_the_scores(synthetic_warehouse: Warehouse) -> None:
    table = exhibits.deviations_table(synthetic_warehouse, "demo")
    for row, text in zip(table.data.to_pylist(), table.rows, strict=True):
        deviation = variance.compute(trial_scores(synthetic_warehouse, "demo", row["task"]))
        assert row["given_wi_seed"] == deviation.given_wi.expected
        assert row["given_do_seed"] == deviation.given_do.expected
        assert row["total"] == deviation.total
        assert text["total"] == f"{deviation.total:.4f}"


def test_what_cannot_be_said_of_one_trial_is_a_dash(
    make_warehouse: MakeWarehouse, tmp_path: Path
) -> None:
    warehouse = make_warehouse(tmp_path / "w", {("s", "rte"): np.array([[0.6]])})
    (row,) = exhibits.deviations_table(warehouse, "s").rows
    assert (row["given a WI seed"], row["given a DO seed"], row["total"]) == ("–", "–", "–")
    caption = exhibits.expected_performance_figure(warehouse, "s", "rte").caption
    assert "There is one trial, 0.600, and so no spread to show." in caption


def test_the_best_found_stands_beside_the_mean(
    synthetic_warehouse: Warehouse, synthetic_scores: dict[tuple[str, str], np.ndarray]
) -> None:
    cola, _ = exhibits.best_trials_table(synthetic_warehouse, "demo").data.to_pylist()
    assert cola["score"] == synthetic_scores["demo", "cola"].max()
    assert cola["mean_score"] == pytest.approx(synthetic_scores["demo", "cola"].mean())


def test_trials_left_out_are_listed_with_their_reason(synthetic_warehouse: Warehouse) -> None:
    left_out = exhibits.left_out_table(synthetic_warehouse, "demo")
    assert left_out.data.to_pylist() == [{"task": "rte", "trial": "demo-rte-4-1", "why": "failed"}]


def test_figure_1_has_both_estimates_under_each_regime(synthetic_warehouse: Warehouse) -> None:
    exhibit = exhibits.expected_performance_figure(synthetic_warehouse, "demo", "cola")
    rows = exhibit.data.to_pylist()
    assert [row["evaluations"] for row in rows] == ["best"] * 20 + ["epoch-end"] * 20 + [
        "last"
    ] * 20
    scores = trial_scores(synthetic_warehouse, "demo", "cola", score="last").score
    for replacement, name in ((True, "mean"), (False, "mean_without_replacement")):
        curve = expected_performance.compute(scores, replacement=replacement)
        assert [row[name] for row in rows[40:]] == curve.mean.tolist()


def test_figure_1_says_its_numbers_and_what_its_uncertainty_is_over(
    synthetic_warehouse: Warehouse,
) -> None:
    caption = exhibits.expected_performance_figure(synthetic_warehouse, "demo", "rte").caption
    curve = expected_performance.compute(trial_scores(synthetic_warehouse, "demo", "rte").score)
    assert (
        f"One trial is expected to score {curve.mean[0]:.3f} ± {curve.deviation[0]:.3f}" in caption
    )
    assert "drawn with replacement from the 19 that trained to their end" in caption
    assert "one standard deviation of the best of n over such draws" in caption


def test_figure_1_says_where_a_curve_rests_on_fewer_trials(
    make_warehouse: MakeWarehouse, with_trials_changed: ChangeTrials, tmp_path: Path
) -> None:
    def alter(row: dict[str, Any]) -> None:
        row["steps_per_epoch"] = 31 if row["do_seed"] == 2 else 10

    warehouse = make_warehouse(tmp_path / "a", {("s", "rte"): np.array([[0.6, 0.7]])})
    warehouse = with_trials_changed(warehouse, tmp_path / "b", alter)
    caption = exhibits.expected_performance_figure(warehouse, "s", "rte").caption
    assert "“best at the ends of epochs” rests on 1 of them" in caption


def test_figure_2_lists_every_cell_with_its_ranks(synthetic_warehouse: Warehouse) -> None:
    exhibit = exhibits.seed_grid_figure(synthetic_warehouse, "demo", "rte")
    grid = seed_grid.compute(trial_scores(synthetic_warehouse, "demo", "rte"))
    rows = exhibit.data.to_pylist()
    assert len(rows) == 20
    for row in rows:
        cell = row["wi_rank"] - 1, 4 - row["do_rank"]
        assert (grid.wi_seed[cell[0]], grid.do_seed[cell[1]]) == (row["wi_seed"], row["do_seed"])
        assert row["score"] == (grid.score[cell] if grid.trials[cell] else None)
    assert "Empty for want of a complete trial: 1." in exhibit.caption


def test_figure_4_says_how_many_of_how_many_are_shown(synthetic_warehouse: Warehouse) -> None:
    few = exhibits.training_curves_figure(
        synthetic_warehouse, "demo", "rte", np.random.default_rng(0), count=4
    )
    assert "of 4 trials, chosen at random from the 19 that trained to the end" in few.caption
    assert len(set(few.data["trial_id"].to_pylist())) == 4


def test_a_small_deviation_gets_the_decimals_it_needs(
    make_warehouse: MakeWarehouse, tmp_path: Path
) -> None:
    warehouse = make_warehouse(tmp_path / "w", {("s", "sst2"): np.array([[0.940, 0.942]])})
    caption = exhibits.expected_performance_figure(warehouse, "s", "sst2").caption
    assert "One trial is expected to score 0.9410 ± 0.0010" in caption
