"""What is drawn of the scores is a brick for each trial, where its score is."""

import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from analysis import score_histogram
from analysis.figures import png, svg
from analysis.figures.inline import inline
from analysis.figures.score_histogram import BRICKS, draw_score_histogram


def draw(scores: list[float], baseline: float | None = None) -> Figure:
    return draw_score_histogram(
        score_histogram.compute(scores), title="t", score="F1", baseline=baseline
    )


def test_a_brick_stands_at_the_bin_and_height_of_its_trial() -> None:
    scores = [0.5, 0.9, 0.51, 0.7, 0.5]
    histogram = score_histogram.compute(scores)
    (axes,) = draw(scores).axes
    (bricks,) = (each for each in axes.collections if isinstance(each, PolyCollection))
    for trial, path in enumerate(bricks.get_paths()):
        middle, own = np.asarray(path.vertices)[:4].mean(axis=0), histogram.bin[trial]
        assert middle[0] == pytest.approx(histogram.edges[own : own + 2].mean())
        assert middle[1] == pytest.approx(histogram.height[trial] + 0.5)


@pytest.mark.parametrize("trials", [1, 3, 625])
def test_every_brick_can_be_pointed_at(trials: int) -> None:
    scores = np.random.default_rng(0).random(trials).tolist()
    texts = [f"trial {number}" for number in range(trials)]
    drawn = inline(svg(draw(scores)), prefix="p", label="l", marks={BRICKS: texts})
    assert drawn.count("<title>") == trials


def test_the_mean_and_a_baseline_in_sight_are_drawn() -> None:
    figure = draw([0.5, 0.7], baseline=0.45)
    (axes,) = figure.axes
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["mean", "majority baseline"]
    assert [np.asarray(line.get_xdata())[0] for line in axes.lines] == [0.6, 0.45]
    assert axes.get_xlim()[0] < 0.45


def test_a_baseline_far_below_does_not_squeeze_the_scores() -> None:
    (axes,) = draw([0.93, 0.95], baseline=0.5).axes
    assert len(axes.lines) == 1


@pytest.mark.parametrize("scores", [[0.5], [0.5, 0.5], [0.0, 1.0]])
def test_few_scores_are_drawn_without_a_warning(scores: list[float]) -> None:
    assert png(draw(scores, baseline=0.5), dpi=40)
