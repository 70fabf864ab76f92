"""Driving a study: what is left is run, what is done is not, and nothing that happened is lost."""

import math
from collections.abc import Callable, Generator, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from finetune.contract import Status
from finetune.driver import run, trials_left
from finetune.events import Ended, Evaluation, SavedModel, Started, Step
from finetune.executors import Assignment, Report
from finetune.grid import Plan, plan
from finetune.study_file import parse_study
from finetune.tracking import Tracker

STUDY = """
study: tiny
model: {model}
tasks: [entailment]
wi_seeds: 1-2
do_seeds: 1-2
"""


class Script:
    """An executor that plays a part: each trial by its place in the list."""

    def __init__(self, *ends: Status | None) -> None:
        self.ends = ends

    def run(self, assignments: Iterable[Assignment | None]) -> Generator[Report, None, None]:
        facts = {"total_steps": 1, "steps_per_epoch": 1}
        for assignment, end in zip(assignments, self.ends, strict=False):
            assert assignment is not None
            trial = assignment.trial
            yield Report(trial, Started(facts, {}))
            yield Report(trial, Step(1, 0.5))
            if end is None:
                raise KeyboardInterrupt
            yield Report(trial, Ended(end, "why" if end is Status.FAILED else None))

    def stop(self) -> None:
        """Nobody stops it."""


class Models:
    """An executor whose trials end with models of the scores given."""

    def __init__(self, *scores: float) -> None:
        self.scores = scores
        self.worths: list[float] = []

    def run(self, assignments: Iterable[Assignment | None]) -> Generator[Report, None, None]:
        for assignment, score in zip(assignments, self.scores, strict=False):
            assert assignment is not None
            trial, folder = assignment.trial, assignment.model
            self.worths.append(assignment.worth)
            yield Report(trial, Started({}, {}))
            yield Report(trial, Evaluation(7, 1.0, 0.5, {"accuracy": score}, score, score, False))
            model = None
            if folder is not None and score >= assignment.worth:
                folder.mkdir(parents=True)
                (folder / "weights").write_text(f"{trial.name} {score}")
                model = SavedModel(folder, 7, score)
            yield Report(trial, Ended(Status.FINISHED, model=model))

    def stop(self) -> None:
        """Nobody stops it."""


@pytest.fixture
def laid_out(tiny_encoder: Path) -> Plan:
    return plan(parse_study(STUDY.format(model=f'"{tiny_encoder}"'), "study.yaml"))


@pytest.fixture
def tracker(new_store: Callable[[str], str]) -> Tracker:
    return Tracker(new_store("store"))


def test_a_study_is_taken_up_where_it_was_cut_off(laid_out: Plan, tracker: Tracker) -> None:
    left = trials_left(laid_out, tracker)
    assert left == laid_out.trials()
    script = Script(Status.FINISHED, Status.FAILED, None)
    with pytest.raises(KeyboardInterrupt):
        list(run(laid_out, left, script, tracker))
    first, second, third, fourth = laid_out.trials()
    tracked = tracker.trials("tiny")
    assert tracked[first.id].status is Status.FINISHED
    assert tracked[second.id].status is Status.FAILED
    assert tracked[third.id].status is Status.INTERRUPTED
    assert fourth.id not in tracked
    # What was interrupted is run again; what failed by itself only when that is asked for.
    assert trials_left(laid_out, tracker) == [third, fourth]
    assert trials_left(laid_out, tracker, retry_failed=True) == [second, third, fourth]

    again = Script(Status.DIVERGED, Status.FINISHED)
    list(run(laid_out, trials_left(laid_out, tracker), again, tracker))
    assert trials_left(laid_out, tracker) == []


def kept(tracker: Tracker, folder: Path) -> dict[str, str]:
    """The models that a store keeps, by the trial's name."""
    found = {}
    for trial in tracker.trials("tiny").values():
        if trial.model_step is not None:
            tracker.fetch_model(trial.run_id, folder / trial.run_id)
            found[trial.name] = (folder / trial.run_id / "weights").read_text()
    return found


@pytest.mark.parametrize(
    ("keep", "names"), [(0, []), (1, ["wi01-do02"]), (2, ["wi01-do02", "wi02-do01"])]
)
def test_the_models_of_the_best_trials_are_kept(
    laid_out: Plan, tracker: Tracker, tmp_path: Path, keep: int, names: list[str]
) -> None:
    laid_out = replace(laid_out, keep_best=keep)
    scores = (0.5, 0.9, 0.7, 0.6)
    executor = Models(*scores)
    list(run(laid_out, laid_out.trials(), executor, tracker))
    by_name = dict(zip((trial.name for trial in laid_out.trials()), scores, strict=True))
    expected = {
        f"entailment-{name}": f"entailment-{name} {by_name[f'entailment-{name}']}" for name in names
    }
    assert kept(tracker, tmp_path) == expected
    # What cannot be among the best is not asked for.
    none = -math.inf
    assert (
        executor.worths
        == {0: [none] * 4, 1: [none, 0.5, 0.9, 0.9], 2: [none, none, 0.5, 0.7]}[keep]
    )
    assert not list(tmp_path.parent.glob("**/seedbed-models-*"))


def test_of_equals_the_first_of_the_plan_is_kept_whichever_ended_first(
    laid_out: Plan, tracker: Tracker, tmp_path: Path
) -> None:
    laid_out = replace(laid_out, keep_best=1)
    trials = laid_out.trials()[::-1]
    list(run(laid_out, trials, Models(0.8, 0.8, 0.3, 0.8), tracker))
    assert list(kept(tracker, tmp_path)) == ["entailment-wi01-do01"]


def test_a_study_taken_up_again_knows_what_it_has_kept(
    laid_out: Plan, tracker: Tracker, tmp_path: Path
) -> None:
    laid_out = replace(laid_out, keep_best=1)
    trials = laid_out.trials()
    list(run(laid_out, trials[:2], Models(0.5, 0.8), tracker))
    later = Models(0.7, 0.9)
    list(run(laid_out, trials[2:], later, tracker))
    assert later.worths == [0.8, 0.8]
    assert list(kept(tracker, tmp_path)) == ["entailment-wi02-do02"]


def test_drivers_of_two_shards_keep_no_more_models_than_one(
    laid_out: Plan, tracker: Tracker, tmp_path: Path
) -> None:
    laid_out = replace(laid_out, keep_best=1)
    trials = laid_out.trials()
    first = run(laid_out, trials[:2], Models(0.5, 0.8), tracker)
    next(first)  # knows what is kept, which is nothing yet
    list(run(laid_out, trials[2:], Models(0.7, 0.9), Tracker(tracker.store)))
    list(first)
    assert list(kept(tracker, tmp_path)) == ["entailment-wi02-do02"]


def test_a_trial_beside_the_grid_leaves_the_plan_as_it_is(laid_out: Plan, tracker: Tracker) -> None:
    list(run(laid_out, laid_out.trials()[:1], Script(Status.FINISHED), tracker))
    beside = replace(laid_out, grids=(replace(laid_out.grids[0], wi_seeds=(7,)),))
    trials = beside.trials()[:1]
    list(run(beside, trials, Script(Status.FINISHED), tracker, is_plan=False))
    assert tracker.grids("tiny") == list(laid_out.grids)
    assert tracker.trials("tiny").keys() == {laid_out.trials()[0].id, trials[0].id}
