"""How far scores can be trusted is said with its n and what it is over; or why it cannot be."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from analysis import curve_uncertainty, winners_curse
from analysis.exhibits import certainty
from analysis.exhibits.exhibit import Exhibit, Gap, Subject
from analysis.imported import import_published
from analysis.reference import STUDY, published_scores
from analysis.warehouse import Warehouse

MakeWarehouse = Callable[..., Warehouse]
Show = Callable[..., Exhibit]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    folder = tmp_path_factory.mktemp("published") / "warehouse"
    import_published(folder)
    return Warehouse(folder)


def test_the_curve_is_given_with_the_widest_of_its_intervals(
    show: Show, published: Warehouse
) -> None:
    finding = show(certainty.uncertainty_of_the_curve, published, STUDY, "rte").finding
    columns = finding.data.to_pydict()
    assert columns["n"] == list(range(1, 63))
    low, high = columns["low_over_both_seeds"][-1], columns["high_over_both_seeds"][-1]
    assert (
        f"The best of 62 is expected to score {columns['mean'][-1]:.3f}: between {low:.3f} and "
        f"{high:.3f} had there been other seeds of both kinds."
    ) in finding.says
    (caveat,) = curve_uncertainty.band(published_scores("rte")).caveats
    assert finding.says.endswith(caveat)
    assert finding.n == "625 trials, 25 WI × 25 DO seeds"
    assert finding.over.startswith("trials, WI seeds, DO seeds, both seeds, each resampled")


def test_over_a_factor_with_one_seed_there_is_no_interval(
    show: Show, make_warehouse: MakeWarehouse, tmp_path: Path
) -> None:
    warehouse = make_warehouse(
        tmp_path / "w", {("s", "rte"): np.random.default_rng(0).random((1, 8))}
    )
    shown = show(certainty.uncertainty_of_the_curve, warehouse, "s", "rte")
    assert shown.finding.over.startswith("trials, DO seeds, each resampled")
    assert shown.finding.data["low_over_wi_seeds"].null_count == 5
    assert shown.figure is not None


def test_the_curse_is_that_of_the_tasks_validation_set(show: Show, published: Warehouse) -> None:
    finding = show(certainty.flattery, published, STUDY, "rte").finding
    (examples,) = {row["validation_examples"] for row in finding.data.to_pylist()}
    curse = winners_curse.compute(published_scores("rte").score, "accuracy", examples, budget=62)
    assert finding.data["overstatement"].to_pylist() == pytest.approx(curse.overstatement.tolist())
    assert f"up to {curse.overstatement[-1]:.3f} less" in finding.says
    assert "`--score last` is without it" in finding.says


def test_where_the_noise_has_no_formula_that_is_said(published: Warehouse) -> None:
    gap = certainty.flattery.of(Subject(published, STUDY), "mrpc")
    assert isinstance(gap, Gap)
    assert "it takes the predictions" in gap.reason


def test_one_trial_says_nothing_of_others(make_warehouse: MakeWarehouse, tmp_path: Path) -> None:
    subject = Subject(make_warehouse(tmp_path / "w", {("s", "rte"): np.array([[0.6]])}), "s")
    for artefact in (certainty.uncertainty_of_the_curve, certainty.flattery):
        gap = artefact.of(subject, "rte")
        assert isinstance(gap, Gap)
        assert gap.reason.startswith("rte has one trial with a score")


def test_two_models_are_compared_from_where_each_leads(
    make_warehouse: MakeWarehouse, tmp_path: Path
) -> None:
    rng = np.random.default_rng(1)
    steady = 0.7 + 0.001 * rng.random((6, 6))
    spread = np.where(rng.random((6, 6)) < 0.5, 0.5, 0.8)
    warehouse = make_warehouse(tmp_path / "w", {("a", "rte"): spread, ("b", "rte"): steady})
    shown = certainty.two_models.of(Subject(warehouse, "a"), "rte", Subject(warehouse, "b"))
    assert isinstance(shown, Exhibit)
    assert shown.finding.says.startswith("b leads at a budget of 1; a from 2 on.")
    assert "the best of a beats that of b with a chance of 100%" in shown.finding.says
    rows = shown.finding.data.to_pylist()
    assert [row["n"] for row in rows] == list(range(1, 10))
    assert rows[0]["lead"] == pytest.approx(spread.mean() - steady.mean())
    assert shown.figure is not None


@pytest.mark.parametrize("shape", [(1, 1), (1, 3)])
def test_few_trials_are_compared_without_a_warning(
    shape: tuple[int, int], make_warehouse: MakeWarehouse, tmp_path: Path
) -> None:
    scores = np.random.default_rng(2).random(shape)
    warehouse = make_warehouse(tmp_path / "w", {("a", "rte"): scores, ("b", "rte"): scores + 0.01})
    shown = certainty.two_models.of(Subject(warehouse, "a"), "rte", Subject(warehouse, "b"))
    assert isinstance(shown, Exhibit)
    assert "b leads at a budget of 1 and at all budgets" in shown.finding.says
    assert "Beyond the interval: nowhere" in shown.finding.says
    assert shown.figure is not None
