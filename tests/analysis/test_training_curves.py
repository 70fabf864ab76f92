"""The curves are those of trials drawn at random, each evaluation in its place."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from analysis import training_curves
from analysis.warehouse import Warehouse
from finetune.contract import Status
from finetune.errors import SeedbedError

MakeWarehouse = Callable[..., Warehouse]


def test_a_curve_is_the_trials_evaluations_in_order(synthetic_warehouse: Warehouse) -> None:
    shown = training_curves.compute(
        synthetic_warehouse, "demo", "cola", np.random.default_rng(0), count=3
    )
    assert len(shown.curves) == 3
    assert shown.trials == 20
    for curve in shown.curves:
        rows = synthetic_warehouse.query(
            "select epoch, score from evaluations where trial_id = ? order by step",
            [curve.trial_id],
        )
        assert curve.epoch.tolist() == rows["epoch"].to_pylist()
        assert curve.score.tolist() == rows["score"].to_pylist()
        assert curve.best == max(rows["score"].to_pylist())


def test_the_generator_alone_decides_which_trials_come(synthetic_warehouse: Warehouse) -> None:
    def chosen(seed: int) -> list[str]:
        rng = np.random.default_rng(seed)
        shown = training_curves.compute(synthetic_warehouse, "demo", "cola", rng, count=6)
        return [curve.trial_id for curve in shown.curves]

    assert chosen(1) == chosen(1)
    assert any(chosen(1) != chosen(seed) for seed in range(2, 6))


def test_every_trial_is_as_likely_to_come(make_warehouse: MakeWarehouse, tmp_path: Path) -> None:
    warehouse = make_warehouse(tmp_path / "w", {("s", "rte"): np.full((2, 2), 0.6)}, evaluations=2)
    rng = np.random.default_rng(3)
    repetitions = 80
    came = Counter(
        curve.trial_id
        for _ in range(repetitions)
        for curve in training_curves.compute(warehouse, "s", "rte", rng, count=2).curves
    )
    # Each trial comes with chance 1/2; five standard deviations of the binomial.
    assert len(came) == 4
    for times in came.values():
        assert abs(times - repetitions / 2) < 5 * np.sqrt(repetitions / 4)


def test_no_trial_comes_twice_and_all_come_where_there_are_few(
    synthetic_warehouse: Warehouse,
) -> None:
    rng = np.random.default_rng(0)
    shown = training_curves.compute(synthetic_warehouse, "demo", "rte", rng, count=100)
    assert len({curve.trial_id for curve in shown.curves}) == len(shown.curves) == 19


def test_only_trials_that_trained_to_their_end_come(
    make_warehouse: MakeWarehouse, tmp_path: Path
) -> None:
    warehouse = make_warehouse(
        tmp_path / "w",
        {("s", "rte"): np.array([[0.6, 0.7, 0.8]])},
        statuses={("s", "rte", 1, 1): Status.RUNNING, ("s", "rte", 1, 2): Status.DIVERGED},
    )
    shown = training_curves.compute(warehouse, "s", "rte", np.random.default_rng(0))
    assert [(curve.do_seed, curve.status) for curve in shown.curves] == [
        (2, Status.DIVERGED),
        (3, Status.FINISHED),
    ]


def test_there_may_be_none(make_warehouse: MakeWarehouse, tmp_path: Path) -> None:
    warehouse = make_warehouse(
        tmp_path / "w",
        {("s", "rte"): np.array([[0.6]])},
        statuses={("s", "rte", 1, 1): Status.FAILED},
    )
    shown = training_curves.compute(warehouse, "s", "rte", np.random.default_rng(0))
    assert (shown.curves, shown.trials) == ((), 0)


def test_an_unknown_task_is_an_error(synthetic_warehouse: Warehouse) -> None:
    with pytest.raises(SeedbedError, match="no task 'sst2'"):
        training_curves.compute(synthetic_warehouse, "demo", "sst2", np.random.default_rng(0))
