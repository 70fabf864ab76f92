"""What the terminal shows: durations, sizes, curves."""

import pytest

from finetune.cli.display import curve, duration, size
from finetune.events import Evaluation


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (1.94, "1.9 s"),
        (42, "42 s"),
        (240, "4 min"),
        (12_000, "3 h 20 min"),
        (187_200, "2 days 4 h"),
    ],
)
def test_durations_read_as_people_write_them(seconds: float, written: str) -> None:
    assert duration(seconds) == written


@pytest.mark.parametrize(
    ("count", "written"), [(12, "12 B"), (3_400, "3.4 kB"), (14_200, "14 kB"), (5e9, "5.0 GB")]
)
def test_sizes_read_as_people_write_them(count: int, written: str) -> None:
    assert size(count) == written


def evaluation(step: int, score: float) -> Evaluation:
    return Evaluation(step, step / 10, 0.5, {}, score, score, constant=False)


def test_a_curve_rises_from_its_lowest_to_its_highest_score() -> None:
    lines = curve([evaluation(i * 10, i / 4) for i in range(5)], height=4).splitlines()
    assert lines[0].startswith("  1.000 ┤")
    assert lines[3].startswith("  0.000 ┤")
    heights = [sum(line[9 + 2 * i] != " " for line in lines[:4]) for i in range(5)]
    assert heights == sorted(heights)
    assert (heights[0], heights[-1]) == (1, 4)
    assert lines[-1].endswith("epoch 4")


@pytest.mark.parametrize("scores", [[0.5], [0.5, 0.5, 0.5]])
def test_a_curve_of_one_or_of_equal_scores_can_be_drawn(scores: list[float]) -> None:
    assert "0.500" in curve([evaluation(i, score) for i, score in enumerate(scores)])
