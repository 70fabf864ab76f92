"""Seeds good on all tasks are named where the data can tell, and not where they cannot."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from analysis.exhibits import across_tasks
from analysis.exhibits.exhibit import Exhibit, Gap, Subject
from analysis.imported import import_published
from analysis.reference import STUDY
from analysis.warehouse import Warehouse

MakeWarehouse = Callable[..., Warehouse]
Show = Callable[..., Exhibit]


def test_a_seed_that_is_best_on_all_tasks_is_said_to_be(
    show: Show, make_warehouse: MakeWarehouse, tmp_path: Path
) -> None:
    effect = np.array([[0.0], [0.2], [0.1], [-0.1], [0.05], [-0.2]])
    rng = np.random.default_rng(1)
    scores = {
        ("s", task): 0.6 + effect + 0.01 * rng.standard_normal((6, 4))
        for task in ("cola", "rte", "sst2")
    }
    finding = show(
        across_tasks.ranks_across_tasks, make_warehouse(tmp_path / "w", scores), "s"
    ).finding
    assert "agree on the seeds more than chance: Kendall's W is 1.00, p < 0.001" in finding.says
    assert "Best over all tasks is seed 2, of mean rank 1.0" in finding.says
    assert finding.rows[0] == {
        "WI seed": "2", "cola": "1", "rte": "1", "sst2": "1", "mean rank": "1.00",
    }  # fmt: skip
    assert finding.n == "6 WI seeds on 3 tasks"


def test_ranks_of_unknown_seeds_are_not_held_against_each_other(tmp_path: Path) -> None:
    import_published(tmp_path / "w")
    gap = across_tasks.ranks_across_tasks.of(Subject(Warehouse(tmp_path / "w"), STUDY))
    assert isinstance(gap, Gap)
    assert gap.reason.startswith("Which seed has which rank is not published")


def test_one_task_has_no_seeds_across_tasks(make_warehouse: MakeWarehouse, tmp_path: Path) -> None:
    warehouse = make_warehouse(tmp_path / "w", {("s", "rte"): np.array([[0.6], [0.7]])})
    gap = across_tasks.ranks_across_tasks.of(Subject(warehouse, "s"))
    assert isinstance(gap, Gap)
    assert gap.reason == (
        "Nothing to say of seeds across tasks: to be good across tasks takes two tasks."
    )
