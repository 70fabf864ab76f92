"""What is drawn of budgets is what was computed: stopping, correlations, models, uncertainty."""

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection, QuadMesh
from matplotlib.figure import Figure
from numpy.testing import assert_allclose

from analysis import (
    comparison,
    correlation,
    curve_uncertainty,
    early_stopping,
    expected_performance,
    stopping_rules,
    winners_curse,
)
from analysis.correlation import Correlation
from analysis.early_stopping import EarlyStopping
from analysis.figures import (
    draw_best_settings,
    draw_comparison,
    draw_correlation,
    draw_curve_uncertainty,
    draw_error_reduction,
    draw_stopping_rules,
    draw_winners_curse,
    svg,
)
from analysis.progress import Progress
from analysis.scores import TrialScores


def progress_of(rows: int = 6, columns: int = 6, evaluations: int = 7) -> Progress:
    rng = np.random.default_rng(3)
    score = 0.5 + 0.02 * rng.random((rows * columns, evaluations)).cumsum(axis=1)
    wi, do = np.indices((rows, columns)).reshape(2, -1)
    steps = np.arange(evaluations)
    return Progress(
        "s", "rte", "accuracy", np.arange(wi.size).astype(str), wi, do, steps, steps / 2,
        evaluations - 1, score,
    )  # fmt: skip


def scores_of(score: np.ndarray) -> TrialScores:
    number = np.arange(len(score))
    return TrialScores(
        "s", "t", "accuracy", "best", number.astype(str), number, number, number, score
    )


@pytest.fixture(scope="module")
def stopping() -> EarlyStopping:
    return early_stopping.compute(progress_of(), budgets=range(1, 9), points=6)


def key(figure: Figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def heights(axes: Axes, line: int) -> np.ndarray:
    return np.asarray(axes.lines[line].get_ydata(), dtype=np.float64)


def test_fig_6_is_the_best_setting_of_each_budget(stopping: EarlyStopping) -> None:
    figure = draw_best_settings(stopping, title="rte")
    above, below = figure.axes
    best = stopping.best
    assert_allclose(heights(above, 0), stopping.started[best])
    assert_allclose(heights(above, 1), stopping.continued[best])
    assert_allclose(heights(above, 2), stopping.budget)
    assert_allclose(heights(below, 0), stopping.part[best] / 6)
    assert below.get_xlabel() == "budget: number of full trainings"
    assert key(figure) == [
        "trials started",
        "trials trained to their end",
        "full training: as many as the budget",
    ]


def test_fig_7_is_the_error_saved_with_each_task_at_its_line(stopping: EarlyStopping) -> None:
    figure = draw_error_reduction({"rte": stopping, "cola": stopping}, title="t")
    (axes,) = figure.axes
    assert_allclose(heights(axes, 0), stopping.error_reduction)
    assert [text.get_text() for text in axes.texts] == ["rte", "cola"] or [
        text.get_text() for text in axes.texts
    ] == ["cola", "rte"]
    colours = {text.get_text(): text.get_color() for text in axes.texts}
    assert colours["rte"] == axes.lines[0].get_color() != colours["cola"]
    # Two lines that end at one place have names that do not lie on each other.
    first, second = (text.xy[1] for text in axes.texts)  # type: ignore[attr-defined]
    bottom, top = axes.get_ylim()
    assert abs(first - second) > 0.05 * (top - bottom)


def test_fig_7_of_more_tasks_than_colours_dashes_the_rest(stopping: EarlyStopping) -> None:
    (axes,) = draw_error_reduction({f"task {n}": stopping for n in range(8)}, title="t").axes
    looks = {(line.get_color(), line.get_linestyle()) for line in axes.lines[:8]}
    assert len(looks) == 8


def test_fig_5_is_the_correlation_of_each_two_evaluations() -> None:
    found = correlation.compute(progress_of())
    figure = draw_correlation(found, title="rte")
    above, cells = (axes for axes in figure.axes if axes.get_ylabel() in ("with the end", "epoch"))
    (mesh,) = (each for each in cells.collections if isinstance(each, QuadMesh))
    assert_allclose(np.asarray(mesh.get_array()).reshape(7, 7), found.correlation)
    assert [mesh.norm.vmin, mesh.norm.vmax] == [-1, 1]
    assert_allclose(heights(above, 0), found.with_the_end)
    assert cells.yaxis_inverted()
    # Each cell lies about its evaluation.
    edges = np.asarray(mesh.get_coordinates())[0, :, 0]
    assert ((edges[:-1] < found.epoch) & (found.epoch < edges[1:])).all()


@pytest.mark.parametrize("lowest", [-0.9, 0.0, 0.3])
def test_no_point_of_the_line_with_the_end_lies_on_the_edge(lowest: float) -> None:
    correlations = np.full((3, 3), 1.0)
    correlations[:2, -1] = lowest, 0.8
    found = Correlation(np.arange(3) / 2, correlations, "spearman", 9)
    (above,) = (
        axes
        for axes in draw_correlation(found, title="rte").figure.axes
        if axes.get_ylabel() == "with the end"
    )
    bottom, top = above.get_ylim()
    assert bottom <= min(0, lowest - 0.02 * (top - bottom))
    assert top > 1


def test_rules_are_drawn_with_their_intervals_against_full_training() -> None:
    rules = stopping_rules.compute(
        progress_of(), 4, np.random.default_rng(0), points=6, draws=200, repetitions=20
    )
    (axes,) = draw_stopping_rules(rules, title="t", score="accuracy").axes
    names = [text.get_text() for text in axes.get_yticklabels()]
    assert names == [outcome.plan.rule for outcome in rules.outcomes[1:]]
    for place, outcome in enumerate(rules.outcomes[1:]):
        interval, point = axes.lines[2 * place], axes.lines[2 * place + 1]
        assert_allclose(np.asarray(interval.get_xdata()), (outcome.low, outcome.high))
        assert_allclose(np.asarray(point.get_xdata()), outcome.gain)
    assert "95% interval over both seeds" in axes.get_xlabel()


@pytest.mark.parametrize("trials", [1, 20])
def test_two_models_are_drawn_at_each_budget(trials: int) -> None:
    rng = np.random.default_rng(1)
    ours, theirs = scores_of(rng.random(trials)), scores_of(rng.random(trials))
    found = comparison.compute(ours, theirs, rng, over="trials", repetitions=20)
    figure = draw_comparison(found, names=("one", "other"), title="t", score="accuracy")
    best, lead, chance = figure.axes
    assert_allclose(heights(best, 0), found.mean[0])
    assert_allclose(heights(best, 1), found.mean[1])
    assert_allclose(heights(lead, 0), found.lead)
    assert_allclose(heights(chance, 0), found.chance)
    assert key(figure) == ["one", "other", "95% interval over trials of each"]


def test_the_curse_is_drawn_between_the_best_score_and_what_is_behind_it() -> None:
    curse = winners_curse.compute(np.linspace(0.5, 0.7, 30), "accuracy", 277)
    figure = draw_winners_curse(curse, title="t", score="accuracy")
    (axes,) = figure.axes
    assert_allclose(heights(axes, 0), curse.expected_best)
    assert_allclose(heights(axes, 1), curse.expected_own)
    assert "overstatement" in key(figure)


def test_uncertainty_is_drawn_by_what_it_is_over() -> None:
    scores = scores_of(np.random.default_rng(2).random(30))
    rng = np.random.default_rng(0)
    curve = expected_performance.compute(scores.score)
    band = curve_uncertainty.band(scores, budget=6)
    intervals = [
        curve_uncertainty.bootstrap(scores, over, rng, budget=6, repetitions=30)
        for over in ("trials", "both seeds")
    ]
    figure = draw_curve_uncertainty(curve, band, intervals, title="t", score="accuracy")
    (axes,) = figure.axes
    assert_allclose(heights(axes, 0), intervals[0].low)
    assert_allclose(heights(axes, 1), intervals[0].high)
    assert_allclose(heights(axes, 4), curve.mean[:6])
    (shade,) = (each for each in axes.collections if isinstance(each, PolyCollection))
    drawn = np.asarray(shade.get_paths()[0].vertices)[:, 1]
    assert drawn.min() == pytest.approx(band.mean[0].min())
    assert key(figure) == [
        "interval over trials",
        "interval over both seeds",
        "expected best",
        "95% band, all budgets at once",
    ]


def test_the_same_data_give_the_same_bytes(stopping: EarlyStopping) -> None:
    one, same = (svg(draw_best_settings(stopping, title="t")) for _ in range(2))
    assert one == same
