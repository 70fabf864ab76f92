"""What is drawn of Fig. 4 is each trial's scores, coloured by how it ended."""

import numpy as np
from matplotlib.figure import Figure
from numpy.testing import assert_array_equal

from analysis.figures import draw_training_curves, png
from analysis.figures.style import BLUE, INK, VERMILION
from analysis.training_curves import TrainingCurve, TrainingCurves
from finetune.contract import Status


def curve(number: int, status: Status, *score: float) -> TrainingCurve:
    epoch = np.arange(len(score), dtype=np.float64)
    return TrainingCurve(f"trial {number}", number, number + 10, status, epoch, np.array(score))


CURVES = TrainingCurves(
    (
        curve(1, Status.FINISHED, 0.5, 0.6, 0.7),
        curve(2, Status.DIVERGED, 0.5, 0.6, 0.5),
        curve(3, Status.FINISHED, 0.5, 0.9, 0.8),
    ),
    trials=5,
)


def key(figure: Figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def test_each_line_is_a_trials_scores_over_its_epochs() -> None:
    (axes,) = draw_training_curves(CURVES, title="t", score="F1").axes
    for line, drawn in zip(axes.lines, CURVES.curves, strict=True):
        assert_array_equal(line.get_xdata(), drawn.epoch)
        assert_array_equal(line.get_ydata(), drawn.score)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("epoch", "F1")


def test_colours_tell_how_a_trial_ended_and_which_is_best() -> None:
    figure = draw_training_curves(CURVES, title="t", score="F1", baseline=0.5)
    (axes,) = figure.axes
    assert [line.get_color() for line in axes.lines[:3]] == [BLUE, VERMILION, INK]
    assert key(figure) == [
        "best shown: WI 3, DO 13",
        "finished (2)",
        "diverged (1)",
        "majority baseline",
    ]


def test_a_trial_with_one_evaluation_is_a_visible_point() -> None:
    single = TrainingCurves((curve(1, Status.FINISHED, 0.5),), trials=1)
    (axes,) = draw_training_curves(single, title="t", score="F1").axes
    assert axes.lines[0].get_marker() == "o"


def test_scores_that_are_no_numbers_break_the_line_and_are_not_the_best() -> None:
    curves = TrainingCurves(
        (
            curve(1, Status.DIVERGED, 0.5, np.nan, 0.4),
            curve(2, Status.FINISHED, 0.6, 0.7),
            curve(3, Status.DIVERGED, np.nan),
        ),
        trials=3,
    )
    assert key(draw_training_curves(curves, title="t", score="F1"))[0] == "best shown: WI 2, DO 12"


def test_no_curve_is_an_empty_figure() -> None:
    figure = draw_training_curves(TrainingCurves((), 0), title="t", score="F1")
    assert not figure.axes[0].lines
    assert png(figure, dpi=40)
