"""What is said of the seeds is what was computed of them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from analysis import variance
from analysis.exhibits import seeds
from analysis.exhibits.exhibit import Exhibit
from analysis.exhibits.files import content
from analysis.imported import import_table
from analysis.scores import trial_scores
from analysis.warehouse import Warehouse

MakeWarehouse = Callable[..., Warehouse]
Show = Callable[..., Exhibit]


def test_table_2_has_only_the_statuses_that_occur(
    show: Show, synthetic_warehouse: Warehouse
) -> None:
    cola, rte = show(seeds.tasks, synthetic_warehouse, "demo").finding.rows
    assert (cola["diverged"], cola["failed"], cola["at baseline"]) == ("1", "0", "5%")
    assert (rte["finished"], rte["failed"], rte["at baseline"]) == ("19", "1", "0%")
    assert "running" not in cola


def test_of_imported_trials_that_say_no_sizes_table_2_has_dashes(
    show: Show, tmp_path: Path
) -> None:
    (tmp_path / "mine.csv").write_text("task,wi_seed,do_seed,score\nrte,1,1,0.61\nrte,1,2,0.65\n")
    import_table(tmp_path / "mine.csv", tmp_path / "w", "mine")
    shown = show(seeds.tasks, Warehouse(tmp_path / "w"), "mine")
    (row,) = shown.finding.rows
    assert (row["training"], row["validation"], row["majority baseline"]) == ("–", "–", "–")
    assert (row["at baseline"], row["trials"]) == ("–", "2")
    (data,) = shown.finding.data.to_pylist()
    assert (data["train_examples"], data["validation_examples"], data["labels"]) == (None,) * 3
    assert "None" not in content(shown, "text").decode()


def test_table_3_is_that_of_the_scores(show: Show, synthetic_warehouse: Warehouse) -> None:
    finding = show(seeds.deviations, synthetic_warehouse, "demo").finding
    for row, text in zip(finding.data.to_pylist(), finding.rows, strict=True):
        deviation = variance.compute(trial_scores(synthetic_warehouse, "demo", row["task"]))
        assert row["given_wi_seed"] == deviation.given_wi.expected
        assert row["given_do_seed"] == deviation.given_do.expected
        assert row["total"] == deviation.total
        assert text["total"] == f"{deviation.total:.4f}"


def test_what_cannot_be_said_of_one_trial_is_a_dash(
    show: Show, make_warehouse: MakeWarehouse, tmp_path: Path
) -> None:
    warehouse = make_warehouse(tmp_path / "w", {("s", "rte"): np.array([[0.6]])})
    (row,) = show(seeds.deviations, warehouse, "s").finding.rows
    assert (row["given a WI seed"], row["given a DO seed"], row["total"]) == ("–", "–", "–")


def test_the_best_found_stands_beside_the_mean(
    show: Show,
    synthetic_warehouse: Warehouse,
    synthetic_scores: dict[tuple[str, str], np.ndarray],
) -> None:
    cola, _ = show(seeds.best_found, synthetic_warehouse, "demo").finding.data.to_pylist()
    assert cola["score"] == synthetic_scores["demo", "cola"].max()
    assert cola["mean_score"] == pytest.approx(synthetic_scores["demo", "cola"].mean())
