"""One's best stands above the paper's Table 1, for the tasks that it has."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from analysis.exhibits import published
from analysis.exhibits.exhibit import Exhibit
from analysis.imported import import_published
from analysis.reference import STUDY, published_models
from analysis.warehouse import Warehouse

MakeWarehouse = Callable[..., Warehouse]
Show = Callable[..., Exhibit]


def test_a_task_of_the_paper_has_its_published_scores_below_ones_own(
    show: Show, make_warehouse: MakeWarehouse, tmp_path: Path
) -> None:
    warehouse = make_warehouse(
        tmp_path / "w",
        {("s", "rte"): np.array([[0.6, 0.8]]), ("s", "qnli"): np.array([[0.7, 0.9]])},
    )
    finding = show(published.against_published, warehouse, "s").finding
    rows = finding.data.to_pylist()
    assert [row["model"] for row in rows[:2]] == ["best trial", "mean trial"]
    assert (rows[0]["rte"], rows[0]["qnli"]) == (0.8, 0.9)
    assert [row["rte"] for row in rows[2:]] == [each.score["rte"] for each in published_models()]
    assert [row["qnli"] for row in rows[2:]] == [None] * 7
    assert finding.rows[2]["qnli"] == "–"
    assert "rte: the best is 0.800, the mean 0.700; the best is above 3 of 7" in finding.says
    assert "qnli: the best is 0.900, the mean 0.800; the paper has no such task." in finding.says


def test_a_task_scored_by_another_metric_is_not_compared(
    show: Show, make_warehouse: MakeWarehouse, tmp_path: Path
) -> None:
    # The fixture scores MRPC by accuracy, and the paper by its mean with F1.
    warehouse = make_warehouse(tmp_path / "w", {("s", "mrpc"): np.array([[0.8]])})
    assert len(show(published.against_published, warehouse, "s").finding.rows) == 2


def test_the_papers_own_best_is_that_of_its_table(show: Show, tmp_path: Path) -> None:
    import_published(tmp_path / "w")
    rows = show(published.against_published, Warehouse(tmp_path / "w"), STUDY).finding.rows
    (of_many,) = (row for row in rows if "many seeds" in row["source"])
    for task in ("mrpc", "rte", "cola", "sst2"):
        assert rows[0][task] == of_many[task]
