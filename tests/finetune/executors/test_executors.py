"""The contract of executors, and what is each one's own."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from finetune.contract import Status
from finetune.errors import SeedbedError
from finetune.events import (
    Ended,
    Evaluation,
    Lost,
    Paused,
    SavedModel,
    SavedState,
    Started,
    Step,
)
from finetune.executors import Assignment, Executor, InlineExecutor, LocalExecutor, Report
from finetune.executors.base import Supplies
from finetune.executors.devices import find_device, in_turn, worker_devices
from finetune.executors.ray import RayExecutor
from finetune.pretrained import Pretrained
from finetune.study import Trial
from finetune.tasks import Split, TaskData, find_task


@pytest.fixture(scope="module")
def supplies(tiny_pretrained: Pretrained) -> Supplies:
    task = find_task("entailment")
    return Supplies(tiny_pretrained, {"entailment": task})


@pytest.fixture
def trials(make_trial: Any) -> list[Trial]:
    return [
        make_trial(task="entailment", wi_seed=wi, epochs=1, train_limit=48, validation_limit=16)
        for wi in (1, 2, 3)
    ]


Make = Callable[[Supplies], Executor]
EXECUTORS: list[Any] = [
    pytest.param(InlineExecutor, id="inline"),
    pytest.param(lambda supplies: LocalExecutor(supplies, ["cpu"] * 2), id="local"),
    pytest.param(
        lambda supplies: RayExecutor(supplies, 2),
        id="ray",
        marks=[
            pytest.mark.slow,
            pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed"),
        ],
    ),
]


@pytest.fixture(scope="module", autouse=True)
def _no_cluster_left() -> Iterator[None]:
    """End the cluster of this machine that Ray starts where there is none."""
    yield
    if "ray" in sys.modules:
        sys.modules["ray"].shutdown()


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

    for report in LocalExecutor(supplies, ["cpu"] * 2).run(assignments()):
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


def without_time(events: list[Any]) -> list[Any]:
    lasted = {"seconds": None}
    return [
        replace(event, time=0, **(lasted if isinstance(event, Ended) else {})) for event in events
    ]


@pytest.mark.parametrize("make", EXECUTORS)
def test_a_trial_paused_goes_on_to_the_same_numbers_and_tells_all_again(
    make: Make, supplies: Supplies, trials: list[Trial], tmp_path: Path
) -> None:
    trial, state = trials[0], tmp_path / "a folder" / "state"
    whole = list(make(supplies).run(assigned([trial])))
    executor = make(supplies)
    before = list(executor.run([Assignment(trial, state=state, until=3)]))
    *course, saved, paused = (report.event for report in before)
    assert without_time([saved, paused]) == without_time([SavedState(3), Paused(3)])
    # It is evaluated at that step before it pauses.
    assert isinstance(course[-1], Evaluation)
    assert course[-1].step == 3

    after = [report.event for report in make(supplies).run([Assignment(trial, state=state)])]
    assert isinstance(after[0], Started)
    assert after[0].step == 3
    # What had happened is told again as it was, with the times that it had.
    assert after[1 : len(course)] == course[1:]
    expected = [report.event for report in whole]
    assert without_time(after[1:]) == without_time(expected[1:])


def test_how_long_a_trial_was_trained_leaves_out_how_long_it_stood_still(
    supplies: Supplies, trials: list[Trial], tmp_path: Path
) -> None:
    executor, state = InlineExecutor(supplies), tmp_path / "state"
    list(executor.run(assigned(trials[:1])))  # with all loaded
    began = time.monotonic()
    (*_, paused) = executor.run([Assignment(trials[0], state=state, until=3)])
    before = time.monotonic() - began
    time.sleep(2.0)
    began = time.monotonic()
    (*_, ended) = executor.run([Assignment(trials[0], state=state)])
    after = time.monotonic() - began
    assert isinstance(ended.event, Ended)
    assert ended.event.seconds is not None
    assert 0 < ended.event.seconds < before + after
    assert ended.event.time - paused.event.time > 2.0


@pytest.mark.parametrize("make", EXECUTORS)
def test_a_trial_is_stopped_early_with_its_best_model_so_far(
    make: Make, supplies: Supplies, trials: list[Trial], tmp_path: Path
) -> None:
    trial, state, model = trials[0], tmp_path / "state", tmp_path / "model"
    list(make(supplies).run([Assignment(trial, model, state=state, until=4)]))
    stop = Assignment(trial, model, state=state, until=4, is_last=True)
    *course, ended = [report.event for report in make(supplies).run([stop])]
    assert isinstance(ended, Ended)
    assert ended.status is Status.STOPPED_EARLY
    assert max(e.step for e in course if isinstance(e, Step)) == 4
    best = max((e for e in course if isinstance(e, Evaluation)), key=lambda e: e.score)
    assert ended.model == SavedModel(model, best.step, best.score)
    assert (model / "model.safetensors").exists()


@pytest.mark.parametrize("make", EXECUTORS)
def test_states_are_saved_now_and_then(
    make: Make, supplies: Supplies, trials: list[Trial], tmp_path: Path
) -> None:
    assignment = Assignment(trials[0], state=tmp_path / "state", save_every=0.0)
    events = [report.event for report in make(supplies).run([assignment])]
    saved = [event.step for event in events if isinstance(event, SavedState)]
    assert saved
    assert saved == sorted(saved)


@pytest.mark.parametrize("make", EXECUTORS)
@pytest.mark.parametrize("damage", ["cut", "nothing in it", "another trial's"])
def test_a_state_that_cannot_be_read_costs_time_and_no_number(
    make: Make, supplies: Supplies, trials: list[Trial], tmp_path: Path, damage: str
) -> None:
    trial, state = trials[0], tmp_path / "state"
    whole = [report.event for report in make(supplies).run(assigned([trial]))]
    source = trials[1] if damage == "another trial's" else trial
    list(make(supplies).run([Assignment(source, state=state, until=2)]))
    content = state.read_bytes()
    kept = {"cut": len(content) // 2, "nothing in it": 0}.get(damage, len(content))
    state.write_bytes(content[:kept])
    events = [report.event for report in make(supplies).run([Assignment(trial, state=state)])]
    assert without_time(events[1:]) == without_time(whole[1:])


@pytest.mark.parametrize("make", EXECUTORS)
def test_an_executor_asked_to_stop_pauses_its_trials_where_they_are(
    make: Make, supplies: Supplies, trials: list[Trial], tmp_path: Path
) -> None:
    long = replace(trials[0], recipe=trials[0].recipe.model_copy(update={"epochs": 500}))
    executor = make(supplies)
    reports = []
    for report in executor.run([Assignment(long, state=tmp_path / "state"), Assignment(trials[1])]):
        reports.append(report)
        if isinstance(report.event, Step) and report.trial == long:
            executor.stop()
    events = by_trial(reports)
    paused = events[long.id][-1]
    assert isinstance(paused, Paused)
    assert 0 < paused.step < 500 * 6
    again = next(iter(make(supplies).run([Assignment(long, state=tmp_path / "state")])))
    assert isinstance(again.event, Started)
    assert again.event.step == paused.step


@pytest.mark.parametrize("make", EXECUTORS)
def test_a_worker_waits_for_what_depends_on_others(
    make: Make, supplies: Supplies, trials: list[Trial]
) -> None:
    """The third trial is known only once the first two have ended."""
    ended: set[str] = set()

    def assignments() -> Iterator[Assignment | None]:
        yield from assigned(trials[:2])
        while len(ended) < 2:
            yield None
        yield Assignment(trials[2])

    for report in make(supplies).run(assignments()):
        if isinstance(report.event, Ended):
            ended.add(report.trial.id)
    assert ended == {trial.id for trial in trials}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="has no disk that is always full")
def test_a_full_disk_is_said_and_the_state_before_is_kept(
    supplies: Supplies, trials: list[Trial], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from finetune import training

    state = tmp_path / "state"
    list(InlineExecutor(supplies).run([Assignment(trials[0], state=state, until=2)]))
    before = state.read_bytes()

    def full(tensors: Any, path: Path, metadata: Any) -> None:
        with Path("/dev/full").open("wb", buffering=0) as file:
            file.write(bytes(10))

    monkeypatch.setattr(training, "save_file", full)
    # Now and then it is worth a note; where the trial is to be left, nothing can go on.
    often = Assignment(trials[0], state=state, save_every=0.0)
    events = [report.event for report in InlineExecutor(supplies).run([often])]
    saved = [event for event in events if isinstance(event, SavedState)]
    assert saved
    assert all(event.error and "No space left" in event.error for event in saved)
    assert isinstance(events[-1], Ended)
    assert state.read_bytes() == before
    with pytest.raises(SeedbedError, match="Make room on the disk"):
        list(InlineExecutor(supplies).run([Assignment(trials[0], state=state, until=4)]))
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_a_trial_whose_workers_keep_dying_is_failed_and_the_others_go_on(
    supplies: Supplies, trials: list[Trial]
) -> None:
    tasks = {**supplies.tasks, "dying": replace(supplies.tasks["entailment"], source=Dying())}
    dying = replace(trials[0], task="dying")
    executor = LocalExecutor(replace(supplies, tasks=tasks), attempts=2)
    events = by_trial(list(executor.run(assigned([dying, trials[1]]))))
    how = "the worker process died (signal SIGKILL)"
    assert without_time(events[dying.id]) == without_time(
        [Lost(how), Ended(Status.FAILED, f"{how}, the last of 2")]
    )
    assert events[trials[1].id][-1].status.is_done


def test_a_trial_whose_worker_is_killed_is_taken_up_from_its_state(
    supplies: Supplies, trials: list[Trial], tmp_path: Path
) -> None:
    import multiprocessing

    trial = replace(trials[0], recipe=trials[0].recipe.model_copy(update={"epochs": 20}))
    whole = [report.event for report in InlineExecutor(supplies).run(assigned([trial]))]
    assignment = Assignment(trial, state=tmp_path / "state", save_every=0.0)
    events: list[Any] = []
    for report in LocalExecutor(supplies).run([assignment]):
        events.append(report.event)
        if isinstance(report.event, SavedState) and report.event.step >= 40:
            for worker in multiprocessing.active_children():
                if not any(isinstance(event, Lost) for event in events):
                    worker.kill()
    (lost,) = (place for place, event in enumerate(events) if isinstance(event, Lost))
    after = events[lost + 1 :]
    assert isinstance(after[0], Started)
    assert after[0].step >= 40
    course = [event for event in after[1:] if not isinstance(event, SavedState)]
    assert without_time(course) == without_time(whole[1:])


def test_when_nobody_listens_any_more_the_workers_end(
    supplies: Supplies, trials: list[Trial]
) -> None:
    import multiprocessing

    reports = LocalExecutor(supplies).run(assigned(trials))
    next(reports)
    assert len(multiprocessing.active_children()) == 1
    reports.close()
    assert multiprocessing.active_children() == []


def test_a_device_that_is_not_there_is_said_so() -> None:
    assert find_device("cpu") == "cpu"
    with pytest.raises(SeedbedError, match="device quantum"):
        find_device("quantum")


def test_workers_are_dealt_to_devices_in_turn() -> None:
    gpus = ["cuda:0", "cuda:1", "cuda:2"]
    assert in_turn(gpus, 6) == [*gpus, *gpus]
    assert in_turn(gpus, 2) == ["cuda:0", "cuda:1"]
    assert worker_devices("cpu", workers=3) == ["cpu"] * 3
    assert worker_devices("cpu", workers=3, trials=2) == ["cpu"] * 2


def test_each_gpu_has_as_many_workers_as_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    gpus = ["cuda:0", "cuda:1"]
    assert worker_devices() == gpus
    assert worker_devices(per_gpu=3) == gpus * 3
    assert worker_devices(per_gpu=3, workers=1) == ["cuda:0"]
    assert worker_devices(per_gpu=2, trials=3) == [*gpus, "cuda:0"]
