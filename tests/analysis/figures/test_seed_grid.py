"""What is drawn of Fig. 2 is the grid: each seed where it belongs, holes empty."""

import warnings

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from numpy.testing import assert_array_equal

from analysis import seed_grid
from analysis.figures import draw_seed_grid, png
from analysis.scores import TrialScores
from analysis.seed_grid import SeedGrid


def grid_of(score: np.ndarray) -> SeedGrid:
    wi, do = np.nonzero(np.isfinite(score))
    return seed_grid.compute(
        TrialScores(
            "s", "t", "f1", "best", np.arange(len(wi)).astype(str), wi + 1, do + 1, do + 1,
            score[wi, do],
        )
    )  # fmt: skip


def random_grid(rows: int, columns: int) -> SeedGrid:
    return grid_of(np.random.default_rng(5).random((rows, columns)))


def cells(figure: Figure) -> Axes:
    """The axes that the grid itself is on."""
    (axes,) = (axes for axes in figure.axes if axes.get_xlabel().startswith("DO seed"))
    return axes


def labels(axes: Axes, which: str) -> list[int]:
    ticks = axes.get_xticklabels() if which == "x" else axes.get_yticklabels()
    return [int(tick.get_text()) for tick in ticks]


def test_the_cells_are_the_scores_with_the_best_wi_seed_on_top() -> None:
    grid = random_grid(5, 4)
    axes = cells(draw_seed_grid(grid, title="t", score="F1"))
    (mesh,) = (each for each in axes.collections if isinstance(each, QuadMesh))
    assert_array_equal(np.asarray(mesh.get_array()).reshape(5, 4), grid.score)
    assert axes.yaxis_inverted()
    assert labels(axes, "y") == grid.wi_seed.tolist()
    assert labels(axes, "x") == grid.do_seed.tolist()


def test_a_small_grid_has_its_scores_written_in() -> None:
    grid = random_grid(3, 3)
    axes = cells(draw_seed_grid(grid, title="t", score="F1"))
    written = {
        (int(text.get_position()[1]), int(text.get_position()[0])): text.get_text()
        for text in axes.texts
    }
    assert written == {place: f"{score:.3f}" for place, score in np.ndenumerate(grid.score)}


def test_a_large_grid_has_no_numbers_and_names_no_more_seeds_than_can_be_read() -> None:
    axes = cells(draw_seed_grid(random_grid(40, 70), title="t", score="F1"))
    assert not axes.texts
    assert len(labels(axes, "x")) <= 25
    assert len(labels(axes, "y")) <= 25


def test_the_best_cell_is_framed_and_a_hole_hatched() -> None:
    grid = grid_of(np.array([[0.1, 0.5], [np.nan, 0.3]]))
    axes = cells(draw_seed_grid(grid, title="t", score="F1"))
    hatched = [patch for patch in axes.patches if patch.get_hatch()]
    framed = [patch for patch in axes.patches if not patch.get_hatch()]
    ((row, column),) = np.argwhere(np.isnan(grid.score))
    assert [patch.get_xy() for patch in hatched] == [(column, row)]  # type: ignore[attr-defined]
    assert [patch.get_xy() for patch in framed] == [grid.best[::-1]]  # type: ignore[attr-defined]


def test_dots_are_the_means_of_rows_and_columns() -> None:
    grid = random_grid(4, 6)
    figure = draw_seed_grid(grid, title="t", score="F1")
    (above,) = (axes for axes in figure.axes if axes.get_ylabel() == "mean")
    (beside,) = (axes for axes in figure.axes if axes.get_xlabel() == "mean")
    assert_array_equal(above.lines[0].get_ydata(), grid.do_mean)
    assert_array_equal(beside.lines[0].get_xdata(), grid.wi_mean)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (2, 2), (3, 25), (25, 3)])
def test_every_shape_of_grid_is_drawn_without_a_warning(shape: tuple[int, int]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        png(draw_seed_grid(random_grid(*shape), title="t", score="F1", baseline=0.5), dpi=40)


def test_equal_scores_have_no_scale_of_colours() -> None:
    figure = draw_seed_grid(grid_of(np.full((2, 3), 0.5)), title="t", score="F1", baseline=0.5)
    assert "F1" not in [axes.get_ylabel() for axes in figure.axes]
