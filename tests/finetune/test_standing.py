"""How a study stands: every trial is counted once, and the time left follows from those done."""

from dataclasses import replace
from typing import Any

import pytest

from finetune.contract import Status
from finetune.grid import Grid
from finetune.standing import Standing, seconds_left, standings
from finetune.study import Recipe, Trial
from finetune.tracking import TrackedTrial


def grid(task: str, wi_seeds: tuple[int, ...] = (1, 2), **changes: Any) -> Grid:
    setting = Grid(
        study="tiny", task=task, model="m", model_fingerprint="m", data_fingerprint="d",
        train_limit=None, validation_limit=None, recipe=Recipe(),
        wi_seeds=wi_seeds, do_seeds=(1, 2), dropout_seeds=None,
    )  # fmt: skip
    return replace(setting, **changes)


def tracked(
    trial: Trial, status: Status, started: float = 0.0, seconds: float | None = None
) -> TrackedTrial:
    return TrackedTrial(
        trial_id=trial.id, run_id=trial.id, name=trial.name, task=trial.task, status=status,
        metric="accuracy", score=trial.wi_seed / 10, started=started, seconds=seconds, error=None,
    )  # fmt: skip


def stand(*trials: TrackedTrial, grids: list[Grid], alive: Any = None) -> list[Standing]:
    return standings(grids, {trial.trial_id: trial for trial in trials}, alive)


def test_every_trial_of_the_plan_is_counted_once() -> None:
    one, two, three, four = grid("mrpc").trials()
    (standing,) = stand(
        tracked(one, Status.FINISHED),
        tracked(two, Status.FAILED),
        tracked(three, Status.RUNNING),
        tracked(four, Status.INTERRUPTED),
        grids=[grid("mrpc")],
    )
    assert standing.planned == 4
    assert [t.trial_id for t in standing.done] == [one.id]
    assert standing.counts[Status.FAILED] == standing.counts[Status.RUNNING] == 1
    assert standing.left == 1, "what was interrupted is run again"
    assert standing.beside == ()


def test_a_shard_that_has_done_its_part_leaves_the_rest_to_the_others() -> None:
    (standing,) = stand(tracked(grid("mrpc").trials()[0], Status.FINISHED), grids=[grid("mrpc")])
    assert (standing.planned, len(standing.done), standing.left) == (4, 1, 3)


def test_trials_of_another_grid_or_recipe_are_told_apart_from_the_plan() -> None:
    before = grid("mrpc", recipe=Recipe(epochs=1)).trials()[0]
    other_seed = grid("mrpc", wi_seeds=(7,)).trials()[0]
    other_task = grid("rte").trials()[0]
    (standing,) = stand(
        *(tracked(trial, Status.FINISHED) for trial in (before, other_seed, other_task)),
        grids=[grid("mrpc")],
    )
    assert {trial.trial_id for trial in standing.beside} == {before.id, other_seed.id}
    assert (len(standing.done), standing.left) == (0, 4)


def test_what_a_dead_driver_left_running_is_not_running() -> None:
    one, two, *_ = grid("mrpc").trials()
    running = tracked(one, Status.RUNNING), tracked(two, Status.RUNNING)
    (standing,) = stand(*running, grids=[grid("mrpc")], alive={two.id})
    assert standing.counts[Status.RUNNING] == 1
    assert [trial.trial_id for trial in standing.abandoned] == [one.id]
    assert standing.left == 3


def test_the_best_is_the_best_of_those_that_are_done() -> None:
    *_, three, four = grid("mrpc", wi_seeds=(1, 2)).trials()
    one = grid("mrpc").trials()[0]
    (standing,) = stand(
        tracked(one, Status.FINISHED), tracked(four, Status.RUNNING), tracked(three, Status.FAILED),
        grids=[grid("mrpc")],
    )  # fmt: skip
    assert standing.best is not None
    assert standing.best.trial_id == one.id


def test_without_a_trial_done_no_time_is_known() -> None:
    assert seconds_left(stand(grids=[grid("mrpc")])) is None


def test_the_time_left_goes_by_task_and_by_how_many_worked_at_once() -> None:
    mrpc, rte = grid("mrpc"), grid("rte")
    first, second, *_ = mrpc.trials()
    # Two workers side by side for 100 s; then a day's pause, which counts for nothing.
    done = [
        tracked(first, Status.FINISHED, started=0, seconds=100),
        tracked(second, Status.FINISHED, started=0, seconds=100),
        tracked(rte.trials()[0], Status.FINISHED, started=86_400, seconds=10),
    ]
    # Left: two of 100 s and three of 10 s; while it was worked, 210 s were done in 110 s.
    expected = (2 * 100 + 3 * 10) / (210 / 110)
    assert seconds_left(stand(*done, grids=[mrpc, rte])) == pytest.approx(expected)


def test_as_many_as_run_now_share_what_is_left() -> None:
    mrpc = grid("mrpc")
    first, second, third, _ = mrpc.trials()
    trials = [
        tracked(first, Status.FINISHED, started=0, seconds=100),
        tracked(second, Status.RUNNING, started=100),
        tracked(third, Status.RUNNING, started=100),
    ]
    # One whole one and two halves, by two workers.
    assert seconds_left(stand(*trials, grids=[mrpc])) == pytest.approx(200 / 2)
