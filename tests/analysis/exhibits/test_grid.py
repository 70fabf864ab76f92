"""Figure 2 lists every cell, and says of each which trial it is."""

from collections.abc import Callable

from analysis import seed_grid
from analysis.exhibits import grid as exhibits_grid
from analysis.exhibits.exhibit import Exhibit
from analysis.figures.inline import inline
from analysis.figures.seed_grid import CELLS
from analysis.scores import trial_scores
from analysis.warehouse import Warehouse

Show = Callable[..., Exhibit]


def test_figure_2_lists_every_cell_with_its_ranks(
    show: Show, synthetic_warehouse: Warehouse
) -> None:
    finding = show(exhibits_grid.seed_grid_map, synthetic_warehouse, "demo", "rte").finding
    grid = seed_grid.compute(trial_scores(synthetic_warehouse, "demo", "rte"))
    rows = finding.data.to_pylist()
    assert len(rows) == 20
    for row in rows:
        cell = row["wi_rank"] - 1, 4 - row["do_rank"]
        assert (grid.wi_seed[cell[0]], grid.do_seed[cell[1]]) == (row["wi_seed"], row["do_seed"])
        assert row["score"] == (grid.score[cell] if grid.trials[cell] else None)
    assert "Empty for want of a complete trial: 1 cell." in finding.says


def test_a_cell_says_its_seeds_its_score_and_its_trial(
    show: Show, synthetic_warehouse: Warehouse
) -> None:
    exhibit = show(exhibits_grid.seed_grid_map, synthetic_warehouse, "demo", "rte")
    scores = trial_scores(synthetic_warehouse, "demo", "rte")
    texts = set(exhibit.finding.marks[CELLS])
    for wi, do, score in zip(scores.wi_seed, scores.do_seed, scores.score, strict=True):
        assert f"WI {wi}, DO {do}: {score:.3f}\ntrial demo-rte-{wi}-{do}" in texts
    assert "WI 4, DO 1: no complete trial" in texts
    assert len(texts) == 20


def test_every_cell_of_the_drawing_is_told_apart_with_a_hole_in_it(
    show: Show, synthetic_warehouse: Warehouse
) -> None:
    exhibit = show(exhibits_grid.seed_grid_map, synthetic_warehouse, "demo", "rte")
    drawn = inline(exhibit.svg, prefix="p", label="l", marks=exhibit.finding.marks)
    assert drawn.count("<title>") == 20
