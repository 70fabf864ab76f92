"""Names of runs tell what they say, and a panel of W&B is a row for each run and step."""

import re

import pytest

from analysis.run_names import RunNames, is_panel, name_column, unfolded, with_names_told
from finetune.errors import SeedbedError

FIELDS = ("task", "wi_seed", "do_seed", "score")

# As W&B writes it: one run was logged at other steps than the other, and has a "-" in its name.
HEADER = [
    "Step",
    "rte-1 - _step", "rte-1 - _step__MIN", "rte-1 - _step__MAX",
    "rte-1 - eval/accuracy", "rte-1 - eval/accuracy__MIN", "rte-1 - eval/accuracy__MAX",
    "a - b - eval/accuracy", "a - b - eval/accuracy__MIN", "a - b - eval/accuracy__MAX",
]  # fmt: skip
LINES = [
    (
        f"line {number}",
        dict(zip(HEADER, cells, strict=True)),
    )
    for number, cells in enumerate(
        (
            ("0", "0", "0", "0", "0.5", "0.4", "0.6", "", "", ""),
            ("10", "10", "10", "10", "0.7", "0.7", "0.7", "0.8", "0.8", "0.8"),
            ("20", "", "", "", "", "", "", "", "", ""),
        ),
        2,
    )
]


def test_a_panel_has_a_row_for_each_run_at_each_step_where_it_has_a_value() -> None:
    header, rows = unfolded(HEADER, LINES)
    assert header == ["Step", "Name", "eval/accuracy"]
    assert rows == [
        ("line 2, rte-1", {"Step": "0", "Name": "rte-1", "eval/accuracy": "0.5"}),
        ("line 3, rte-1", {"Step": "10", "Name": "rte-1", "eval/accuracy": "0.7"}),
        ("line 3, a - b", {"Step": "10", "Name": "a - b", "eval/accuracy": "0.8"}),
    ]


def test_over_another_axis_the_step_is_among_the_metrics() -> None:
    header = ["train/epoch", "r - _step", "r - eval/f1"]
    cells = [("line 2", dict(zip(header, ("0.5", "10", "0.9"), strict=True)))]
    unfolded_header, ((_, row),) = unfolded(header, cells)
    assert unfolded_header == ["train/epoch", "Name", "_step", "eval/f1"]
    assert row["_step"] == "10"


def test_several_metrics_of_a_run_stand_in_one_row() -> None:
    header = ["Step", "r - eval/f1", "r - eval/loss", "q - eval/f1"]
    cells = [("line 2", dict(zip(header, ("1", "0.9", "0.3", "0.8"), strict=True)))]
    _, rows = unfolded(header, cells)
    assert [row for _, row in rows] == [
        {"Step": "1", "Name": "r", "eval/f1": "0.9", "eval/loss": "0.3"},
        {"Step": "1", "Name": "q", "eval/f1": "0.8", "eval/loss": ""},
    ]


@pytest.mark.parametrize(
    ("header", "told"),
    [
        (HEADER, True),
        (["Step", "r - eval/f1"], True),
        (["task", "wi_seed", "do_seed", "score"], False),
        (["Step", "r - eval/f1", "note"], False),
        (["Step"], False),
        ([], False),
    ],
)
def test_a_panel_is_told_by_its_columns(header: list[str], told: bool) -> None:
    assert is_panel(header) is told


@pytest.mark.parametrize("column", ["Name", "run_name", "Run Name", "tags.mlflow.runName"])
def test_the_column_of_names_is_found(column: str) -> None:
    assert name_column(["Step", column]) == column
    assert name_column(["Step", "score"]) is None


@pytest.mark.parametrize(
    ("pattern", "name", "told"),
    [
        ("{task}-wi{wi_seed}-do{do_seed}", "sst-2-wi3-do14", ("sst-2", "3", "14")),
        ("{_}-{task}-{wi_seed}-{do_seed}-{_}", "bert-rte-1-2-", ("rte", "1", "2")),
        ("{task}.{wi_seed}+{do_seed}", "rte.1+2", ("rte", "1", "2")),
        ("{task}.{wi_seed}+{do_seed}", "rtex1+2", None),
        ("{task}-{wi_seed}-{do_seed}", "rte-1", None),
    ],
)
def test_a_name_tells_what_stands_in_the_place_of_its_fields(
    pattern: str, name: str, told: tuple[str, str, str] | None
) -> None:
    expected = told and dict(zip(("task", "wi_seed", "do_seed"), told, strict=True))
    assert RunNames(pattern, FIELDS).told(name) == expected


@pytest.mark.parametrize(
    ("pattern", "fault"),
    [
        ("rte", "no field in braces"),
        ("{_}", "no field in braces"),
        ("{task}-{task}", "one field twice"),
        ("{seed}", "no field 'seed'"),
        ("{}", "no field ''"),
        ("{task", "expected '}'"),
    ],
)
def test_a_pattern_that_tells_nothing_is_refused(pattern: str, fault: str) -> None:
    with pytest.raises(SeedbedError, match=re.escape(fault)):
        RunNames(pattern, FIELDS)


def test_what_names_tell_are_columns_and_each_unlike_name_is_a_fault_once() -> None:
    lines = [
        ("line 2", {"Name": "rte-1", "score": "0.5"}),
        ("line 3", {"Name": "other", "score": "0.5"}),
        ("line 4", {"Name": "other", "score": "0.6"}),
    ]
    names = RunNames("{task}-{wi_seed}", FIELDS)
    header, rows, faults = with_names_told(["Name", "score"], lines, names)
    assert header == ["score", "task", "wi_seed"]
    assert (rows[0][1]["task"], rows[0][1]["wi_seed"]) == ("rte", "1")
    assert faults == ["line 3: the run 'other' is not {task}-{wi_seed}"]


def test_without_a_column_of_names_there_is_nothing_to_read() -> None:
    names = RunNames("{task}", FIELDS)
    *_, faults = with_names_told(["score"], [], names)
    assert faults == ["it has no column Name or run_name for --names to read"]
