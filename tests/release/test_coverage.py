"""Which trials are there, and what a reader is told of those that are not."""

from collections.abc import Callable
from itertools import product

import pyarrow as pa
import pytest

from analysis.warehouse import Warehouse
from finetune.contract import Status
from release.coverage import Coverage, coverage

MakeTrials = Callable[..., dict[str, pa.Table]]
MakeWarehouse = Callable[[dict[str, pa.Table]], Warehouse]


def test_a_whole_grid_has_nothing_to_say(
    make_trials: MakeTrials, make_warehouse: MakeWarehouse
) -> None:
    grid = [
        {"study": "s", "task": "t", "wi_seed": wi, "do_seed": do, "status": "finished"}
        for wi, do in product((3, 5), (1, 2, 9))
    ]
    [only] = coverage(make_warehouse(make_trials(*grid)))
    assert only == Coverage("s", "t", 2, 3, {"finished": 6}, ())
    assert (only.trials, only.grid, only.shortfalls()) == (6, 6, [])


def test_a_pair_without_a_trial_and_one_whose_trial_is_not_done_are_both_holes(
    make_trials: MakeTrials, make_warehouse: MakeWarehouse
) -> None:
    trials = [
        {"study": "s", "task": "t", "wi_seed": 1, "do_seed": 1, "status": "finished"},
        {"study": "s", "task": "t", "wi_seed": 2, "do_seed": 2, "status": "failed"},
        {"study": "s", "task": "t", "wi_seed": 2, "do_seed": 1, "status": "stopped_early"},
    ]
    [only] = coverage(make_warehouse(make_trials(*trials)))
    assert only.holes == ((1, 2), (2, 2))
    assert only.shortfalls() == [
        "s, t: of the 4 pairs of WI and DO seed, 2 have no trial that is done: (1, 2), (2, 2).",
        "s, t: 1 trial stopped early on purpose; curves end there.",
        "s, t: 1 trial failed; curves end there.",
    ]


def test_one_of_several_dropout_seeds_is_enough_to_fill_a_pair(
    make_trials: MakeTrials, make_warehouse: MakeWarehouse
) -> None:
    trials = [
        {"wi_seed": 1, "do_seed": 1, "dropout_seed": seed, "status": status}
        for seed, status in ((1, "failed"), (2, "finished"))
    ]
    [only] = coverage(make_warehouse(make_trials(*trials)))
    assert only.holes == ()
    assert only.trials == 2


def test_studies_and_tasks_are_told_apart(
    make_trials: MakeTrials, make_warehouse: MakeWarehouse
) -> None:
    trials = [
        {"study": study, "task": task, "status": "finished"}
        for study, task in (("b", "x"), ("a", "y"), ("a", "x"))
    ]
    found = coverage(make_warehouse(make_trials(*trials)))
    assert [(each.study, each.task, each.trials) for each in found] == [
        ("a", "x", 1),
        ("a", "y", 1),
        ("b", "x", 1),
    ]


def test_many_holes_are_counted_and_the_first_are_named(
    make_trials: MakeTrials, make_warehouse: MakeWarehouse
) -> None:
    diagonal = [{"wi_seed": i, "do_seed": i, "status": "finished"} for i in range(5)]
    [only] = coverage(make_warehouse(make_trials(*diagonal)))
    [sentence] = only.shortfalls()
    assert len(only.holes) == 20
    assert sentence.endswith("(3, 0) and 8 more.") or " and 8 more." in sentence


@pytest.mark.parametrize("status", [status for status in Status if status != "finished"])
def test_a_reader_is_told_of_every_status_but_finished(
    status: Status, make_trials: MakeTrials, make_warehouse: MakeWarehouse
) -> None:
    [only] = coverage(make_warehouse(make_trials({"status": status}, {"status": status})))
    assert any(f"2 trials {status.replace('_', ' ')}" in said or
               f"2 trials still {status}" in said for said in only.shortfalls())  # fmt: skip
