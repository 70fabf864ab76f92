"""Driving a study: what is left is run, what is done is not, and nothing that happened is lost."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from finetune.contract import Status
from finetune.driver import run, trials_left
from finetune.events import Ended, Started, Step
from finetune.executors import Report
from finetune.grid import Plan, plan
from finetune.study import Trial
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

    def run(self, trials: Iterable[Trial]) -> Iterator[Report]:
        facts = {"total_steps": 1, "steps_per_epoch": 1}
        for trial, end in zip(trials, self.ends, strict=False):
            yield Report(trial, Started(facts, {}))
            yield Report(trial, Step(1, 0.5))
            if end is None:
                raise KeyboardInterrupt
            yield Report(trial, Ended(end, "why" if end is Status.FAILED else None))


@pytest.fixture
def laid_out(tiny_encoder: Path) -> Plan:
    return plan(parse_study(STUDY.format(model=f'"{tiny_encoder}"'), "study.yaml"))


@pytest.fixture
def tracker(tmp_path: Path) -> Tracker:
    return Tracker(f"sqlite:///{tmp_path}/mlflow.db")


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
