"""The paper's test, what it assumes and what survives, side by side on the paper's own data."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from analysis import best_against_worst, seed_scores
from analysis.exhibits import best_and_worst
from analysis.exhibits.exhibit import Artefact, Exhibit, Gap, Subject
from analysis.imported import import_published
from analysis.reference import STUDY, published_scores, published_tasks
from analysis.significance import holm
from analysis.warehouse import Warehouse

MakeWarehouse = Callable[..., Warehouse]
Show = Callable[..., Exhibit]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    folder = tmp_path_factory.mktemp("published") / "warehouse"
    import_published(folder)
    return Warehouse(folder)


def test_table_4_of_the_published_results_is_the_papers(show: Show, published: Warehouse) -> None:
    finding = show(best_and_worst.anova_of_best_and_worst, published, STUDY).finding
    assert finding.says.startswith("8 of 8 differences have p < 0.05.")
    assert "are their ranks" in finding.how
    found = {(row["task"], row["factor"]): row for row in finding.data.to_pylist()}
    for task in published_tasks():
        for factor in seed_scores.FACTORS:
            seeds = seed_scores.compute(published_scores(task), factor)
            pair = best_against_worst.compute(seeds)
            assert found[task, factor]["f"] == pytest.approx(pair.f)
            assert found[task, factor]["p"] == pytest.approx(pair.p)


def test_what_survives_of_it_is_said_in_words(show: Show, published: Warehouse) -> None:
    finding = show(best_and_worst.corrected_best_and_worst, published, STUDY).finding
    assert "By the paper's test 8 of 8 differences" in finding.says
    assert finding.says.endswith("3 remain: WI on mrpc, WI on rte, DO on sst2.")
    rows = finding.data.to_pylist()
    assert min(row["false_alarms"] for row in rows) > 0.5
    for factor in seed_scores.FACTORS:
        own = [row for row in rows if row["factor"] == factor]
        adjusted = holm([row["range_p"] for row in own])
        assert [row["range_p_holm"] for row in own] == pytest.approx(adjusted.tolist())
    for row, text in zip(rows, finding.rows, strict=True):
        assert text["false alarms"] == f"{row['false_alarms']:.0%}"
        assert text["held out"] == f"{row['held_out_difference']:.4f}"


def test_appendix_b_has_a_verdict_for_each_comparison(show: Show, published: Warehouse) -> None:
    finding = show(best_and_worst.assumptions_of_anova, published, STUDY).finding
    assert finding.says.startswith("Of 8 comparisons of seeds, 6 are of scores that are not normal")
    verdicts = {(row["task"], row["seeds"]): row["verdict"] for row in finding.rows}
    assert verdicts["sst2", "15 WI"].endswith("Scores: nothing speaks against normal.")
    assert "Variances: not equal." in verdicts["cola", "25 WI"]


def test_fig_3_has_the_densities_of_four_seeds(show: Show, synthetic_warehouse: Warehouse) -> None:
    finding = show(
        best_and_worst.densities_of_best_and_worst, synthetic_warehouse, "demo", "cola"
    ).finding
    rows = finding.data.to_pylist()
    curves = {(row["factor"], row["which"], row["seed"]) for row in rows}
    assert len(curves) == 4
    for row in rows[:2]:
        assert f"WI seed {row['seed']} has a mean of" in finding.says


def test_fig_8_has_a_deviation_for_each_seed(show: Show, synthetic_warehouse: Warehouse) -> None:
    finding = show(
        best_and_worst.densities_of_deviations, synthetic_warehouse, "demo", "cola"
    ).finding
    rows = finding.data.to_pylist()
    assert [row["factor"] for row in rows] == ["wi"] * 5 + ["do"] * 4
    known = [row["deviation"] for row in rows if row["factor"] == "wi"]
    assert f"from {min(known):.4f} to {max(known):.4f}" in finding.says


def test_a_factor_with_one_seed_is_left_out_and_the_other_shown(
    show: Show, make_warehouse: MakeWarehouse, tmp_path: Path
) -> None:
    scores = {("s", "rte"): np.array([[0.6], [0.7]]), ("s", "cola"): np.array([[0.1, 0.3, 0.2]])}
    scores["s", "sst2"] = np.random.default_rng(0).random((3, 4))
    warehouse = make_warehouse(tmp_path / "w", scores)
    finding = show(best_and_worst.anova_of_best_and_worst, warehouse, "s").finding
    assert {row["task"] for row in finding.rows} == {"sst2"}


@pytest.mark.parametrize(
    "artefact",
    [
        best_and_worst.anova_of_best_and_worst,
        best_and_worst.corrected_best_and_worst,
        best_and_worst.assumptions_of_anova,
    ],
    ids=lambda artefact: artefact.name,
)
def test_where_no_task_can_be_told_of_the_reason_is(
    artefact: Artefact, make_warehouse: MakeWarehouse, tmp_path: Path
) -> None:
    warehouse = make_warehouse(tmp_path / "w", {("s", "rte"): np.array([[0.6]])})
    gap = artefact.of(Subject(warehouse, "s"))
    assert isinstance(gap, Gap)
    assert gap.reason.startswith("rte: ")
    assert gap.reason.endswith(".")
