"""The contract of executors, and what is each one's own."""

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from finetune.contract import Status
from finetune.errors import SeedbedError
from finetune.events import Ended, Evaluation, Started, Step
from finetune.executors import Assignment, Executor, InlineExecutor, LocalExecutor, Report
from finetune.executors.base import Supplies, find_device
from finetune.pretrained import Pretrained
from finetune.study import Trial
from finetune.tasks import Split, TaskData, find_task


@pytest.fixture(scope="module")
def supplies(tiny_pretrained: Pretrained) -> Supplies:
    task = find_task("entailment")
    return Supplies(tiny_pretrained, {"entailment": task}, "cpu")


@pytest.fixture
def trials(make_trial: Any) -> list[Trial]:
    return [
        make_trial(task="entailment", wi_seed=wi, epochs=1, train_limit=48, validation_limit=16)
        for wi in (1, 2, 3)
    ]


Make = Callable[[Supplies], Executor]
EXECUTORS: list[Any] = [
    pytest.param(InlineExecutor, id="inline"),
    pytest.param(lambda supplies: LocalExecutor(supplies, 2), id="local"),
]


def assigned(trials: list[Trial]) -> list[Assignment]:
    return [Assignment(trial) for trial in trials]


def by_trial(reports: list[Report]) -> dict[str, list[Any]]:
    events: dict[str, list[Any]] = {}
    for report in reports:
        events.setdefault(report.trial.id, []).append(report.event)
    return events


@pytest.fixture(scope="module")
def expected(supplies: Supplies) -> dict[int, list[float]]:
    """The losses of the trials, by WI seed, run one by one."""
    return {}


@pytest.mark.parametrize("make", EXECUTORS)
def test_every_trial_starts_trains_and_ends_in_order(
    make: Make, supplies: Supplies, trials: list[Trial], expected: dict[int, list[float]]
) -> None:
    events = by_trial(list(make(supplies).run(assigned(trials))))
    assert events.keys() == {trial.id for trial in trials}
    for trial in trials:
        course = events[trial.id]
        assert isinstance(course[0], Started)
        assert course[0].facts["train_examples"] == 48
        assert isinstance(course[-1], Ended)
        assert course[-1].status.is_done
        assert [e.step for e in course if isinstance(e, Step)] == list(range(1, 7))
        assert [e.step for e in course if isinstance(e, Evaluation)] == [0, 3, 6]
        assert [e.time for e in course[1:]] == sorted(e.time for e in course[1:])
        # Wherever and beside whatever it runs, a trial has the same numbers, bit for bit.
        losses = [e.loss for e in course if isinstance(e, Step)]
        assert expected.setdefault(trial.wi_seed, losses) == losses


@pytest.mark.parametrize("make", EXECUTORS)
def test_the_best_model_of_a_trial_is_written_where_it_is_wanted(
    make: Make, supplies: Supplies, trials: list[Trial], tmp_path: Path
) -> None:
    first, second, third = trials
    assignments = [
        Assignment(first, tmp_path / "first", worth=0.0),
        Assignment(second, tmp_path / "second", worth=1.01),
        Assignment(third),
    ]
    events = by_trial(list(make(supplies).run(assignments)))
    saved = events[first.id][-1].model
    evaluations = [e for e in events[first.id] if isinstance(e, Evaluation)]
    best = max(evaluations, key=lambda evaluation: evaluation.score)
    assert (saved.folder, saved.step, saved.score) == (tmp_path / "first", best.step, best.score)
    assert events[second.id][-1].model is None, "it was not good enough"
    assert events[third.id][-1].model is None
    assert [path.name for path in tmp_path.iterdir()] == ["first"]

    from transformers import pipeline

    classify = pipeline("text-classification", model=str(saved.folder), device="cpu")
    task = supplies.tasks["entailment"]
    split = task.source.read().limited(None, 16).validation
    pairs = [{"text": text, "text_pair": pair} for text, pair in split.texts]
    predicted = [answer["label"] for answer in classify(pairs)]
    expected = [task.labels[int(label)] for label in split.labels]
    assert sum(map(str.__eq__, predicted, expected)) / 16 == best.score


def test_an_assignment_is_taken_only_when_a_worker_is_free_for_it(
    supplies: Supplies, trials: list[Trial]
) -> None:
    ended = 0

    def assignments() -> Iterator[Assignment]:
        for number, trial in enumerate(trials):
            assert ended >= number - 1
            yield Assignment(trial)

    for report in LocalExecutor(supplies, 2).run(assignments()):
        ended += isinstance(report.event, Ended)
    assert ended == 3


@pytest.mark.parametrize("make", EXECUTORS)
def test_nothing_to_run_is_no_work(make: Make, supplies: Supplies) -> None:
    assert list(make(supplies).run([])) == []


@pytest.mark.parametrize("make", EXECUTORS)
def test_a_model_that_cannot_be_loaded_is_said_and_nothing_runs(
    make: Make, supplies: Supplies, trials: list[Trial], tmp_path: Any
) -> None:
    broken = replace(supplies, pretrained=Pretrained("broken", str(tmp_path)))
    with pytest.raises(SeedbedError, match="model broken"):
        list(make(broken).run(assigned(trials)))


@dataclass(frozen=True)
class Dying:
    """Data whose reading kills the process."""

    def fingerprint(self) -> str:
        return "dying"

    def read(self) -> TaskData:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


@dataclass(frozen=True)
class Broken:
    """Data with a label that no class has."""

    def fingerprint(self) -> str:
        return "broken"

    def read(self) -> TaskData:
        import numpy as np

        split = Split((("good",),) * 8, np.array([0, 1] * 3 + [0, 9]))
        return TaskData(split, split)


@pytest.mark.parametrize("make", EXECUTORS)
def test_a_trial_that_fails_says_why_and_the_others_go_on(
    make: Make, supplies: Supplies, trials: list[Trial]
) -> None:
    tasks = {**supplies.tasks, "broken": replace(supplies.tasks["entailment"], source=Broken())}
    broken = replace(trials[0], task="broken")
    events = by_trial(list(make(replace(supplies, tasks=tasks)).run(assigned([broken, trials[1]]))))
    ended = events[broken.id][-1]
    assert ended.status is Status.FAILED
    assert "Error" in ended.error
    assert events[trials[1].id][-1].status.is_done


def test_a_worker_that_dies_takes_only_its_trial_with_it(
    supplies: Supplies, trials: list[Trial]
) -> None:
    tasks = {**supplies.tasks, "dying": replace(supplies.tasks["entailment"], source=Dying())}
    dying = replace(trials[0], task="dying")
    executor = LocalExecutor(replace(supplies, tasks=tasks), 1)
    events = by_trial(list(executor.run(assigned([dying, trials[1]]))))
    assert events[dying.id] == [
        Ended(
            Status.FAILED,
            "the worker process died (signal SIGKILL)",
            time=events[dying.id][0].time,
        )
    ]
    assert events[trials[1].id][-1].status.is_done


def test_when_nobody_listens_any_more_the_workers_end(
    supplies: Supplies, trials: list[Trial]
) -> None:
    import multiprocessing

    reports = LocalExecutor(supplies, 1).run(assigned(trials))
    next(reports)
    assert len(multiprocessing.active_children()) == 1
    reports.close()  # type: ignore[attr-defined]
    assert multiprocessing.active_children() == []


def test_a_device_that_is_not_there_is_said_so() -> None:
    assert find_device("cpu") == "cpu"
    with pytest.raises(SeedbedError, match="device quantum"):
        find_device("quantum")
