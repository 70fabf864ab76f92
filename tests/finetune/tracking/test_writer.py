"""The writer: whatever happens to the store or to the process, each entry is written, once."""

import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import cycle
from pathlib import Path
from random import Random
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import TEMPORARILY_UNAVAILABLE

from finetune.contract import Status
from finetune.errors import SeedbedError
from finetune.events import Ended, Step
from finetune.grid import Grid
from finetune.tracking import Tracker, sqlite_file, writer

Play = Callable[..., None]
Content = Callable[[str], Any]

CALLS = ("create_run", "log_batch", "set_terminated", "log_artifacts", "set_tag", "search_runs")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again sooner than a study would."""
    monkeypatch.setattr(writer, "_PAUSES", (0.01, 0.05))


@pytest.fixture
def expected(other_store: str, grid: Grid, play: Play, content_of: Content) -> Any:
    """What a store holds after an undisturbed study."""
    tracker = Tracker(other_store)
    tracker.prepare(grid)
    play(tracker, grid.trials())
    assert tracker.close()
    return content_of(other_store)


@contextmanager
def failing(monkeypatch: pytest.MonkeyPatch, *fates: str) -> Iterator[None]:
    """Let each of MLflow's calls meet the fates in turn: refused, its answer lost, or fine."""

    def breaking(name: str) -> Callable[..., Any]:
        call, turns = getattr(MlflowClient, name), cycle(fates)

        def broken(*args: Any, **kwargs: Any) -> Any:
            fate = next(turns)
            if fate == "refused":
                raise MlflowException("no answer", TEMPORARILY_UNAVAILABLE)
            result = call(*args, **kwargs)
            if fate == "lost":
                raise MlflowException("the answer was lost", TEMPORARILY_UNAVAILABLE)
            return result

        return broken

    with monkeypatch.context() as patch:
        for name in CALLS:
            patch.setattr(MlflowClient, name, breaking(name))
        yield


def test_answers_that_are_lost_leave_nothing_out_and_nothing_double(
    tracker: Tracker,
    grid: Grid,
    play: Play,
    content_of: Content,
    expected: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with failing(monkeypatch, "refused", "lost", "fine"):
        play(tracker, grid.trials())
        assert tracker.close()
    assert content_of(tracker.store) == expected


def test_recording_does_not_wait_for_the_store(
    tracker: Tracker, grid: Grid, play: Play, content_of: Content, expected: Any
) -> None:
    file = sqlite_file(tracker.store)
    assert file is not None
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # nobody else can write now
        begun = time.monotonic()
        play(tracker, grid.trials())
        assert time.monotonic() - begun < 2
        waiting = tracker.waiting
        assert waiting is not None
        assert waiting.entries == 4 * 104
        other.execute("ROLLBACK")
    assert tracker.close()
    assert tracker.waiting is None
    assert content_of(tracker.store) == expected


@pytest.mark.slow
def test_a_file_that_is_locked_for_longer_than_a_connection_waits_is_waited_for(
    tracker: Tracker,
    grid: Grid,
    play: Play,
    content_of: Content,
    expected: Any,
    capfd: pytest.CaptureFixture[str],
) -> None:
    file = sqlite_file(tracker.store)
    assert file is not None
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        play(tracker, grid.trials())
        deadline = time.monotonic() + 120
        trouble: str | None = None
        while trouble is None and time.monotonic() < deadline:
            time.sleep(0.5)
            waiting = tracker.waiting
            trouble = None if waiting is None else waiting.trouble
        assert trouble is not None
        assert "database is locked" in trouble
        other.execute("ROLLBACK")
    assert tracker.close(patience=60)
    assert content_of(tracker.store) == expected
    assert "locked" not in capfd.readouterr().err, "MLflow's own traceback is for nobody"


def test_metrics_are_written_after_a_while_though_the_trial_goes_on(
    tracker: Tracker,
    grid: Grid,
    play: Play,
    content_of: Content,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(writer, "_PATIENCE", 0.3)
    trial = grid.trials()[0]
    play(tracker, [trial], until=2)
    tracker.settle()
    tracker.record(trial, Step(3, 0.5))
    deadline = time.monotonic() + 20
    while tracker.waiting and time.monotonic() < deadline:
        time.sleep(0.05)
    ((*_, metrics),) = content_of(tracker.store)
    assert [step for key, step, *_ in metrics if key == "train/loss"] == [1, 2, 3]


def test_a_store_that_stays_away_gets_all_at_the_next_start(
    tracker: Tracker,
    grid: Grid,
    play: Play,
    content_of: Content,
    journals: Callable[[str], list[Path]],
    expected: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, *others = grid.trials()
    play(tracker, [first])
    tracker.settle()
    with failing(monkeypatch, "refused", "lost"):
        play(tracker, others)
        assert not tracker.close(patience=0.3)
        waiting = tracker.waiting
        assert waiting is not None
        assert waiting.entries > 0
        assert waiting.trouble in ("no answer", "the answer was lost")
        assert journals(tracker.store) == [waiting.folder]
        again = Tracker(tracker.store)
        monkeypatch.setattr("finetune.tracking.tracker._PATIENCE", 0.3)
        with pytest.raises(SeedbedError, match=r"entries wait for it in .*The next `finetune run`"):
            again.catch_up()
    assert again.catch_up() == waiting.entries
    assert content_of(tracker.store) == expected
    assert journals(tracker.store) == []
    assert again.catch_up() == 0


def test_a_trial_that_is_taken_up_goes_on_in_its_run_and_says_no_more_that_it_stopped(
    tracker: Tracker,
    grid: Grid,
    play: Play,
    content_of: Content,
    started: Callable[..., Any],
    evaluation: Callable[..., Any],
    expected: Any,
) -> None:
    first, *others = grid.trials()
    play(tracker, [first], until=60)
    tracker.close("the power went")
    assert [run[1] for run in content_of(tracker.store)] == ["KILLED"]
    # What had happened is told again, as it was.
    tracker.record(first, started(step=40))
    tracker.record(first, evaluation(0, 0.5, 0.5))
    for step in range(1, 101):
        tracker.record(first, Step(step, first.wi_seed / step, time=1e9 + step))
    tracker.record(first, evaluation(100, 0.75, 0.75, time=1e9 + 100))
    tracker.record(first, Ended(Status.FINISHED, time=1e9 + 101))
    play(tracker, others)
    tracker.close()
    assert content_of(tracker.store) == expected


def test_a_run_that_is_deleted_while_it_is_written_holds_up_nothing_else(
    tracker: Tracker, grid: Grid, play: Play, content_of: Content
) -> None:
    first, second, *_ = grid.trials()
    client = MlflowClient(tracker.store)

    def delete(step: int) -> None:
        if step == 50:
            tracker.settle()
            run_id = next(t.run_id for t in tracker.trials("tiny").values() if t.name == first.name)
            client.delete_run(run_id)

    play(tracker, [first, second], between=delete)
    assert tracker.close()
    (note,) = tracker.notes
    assert first.id in note
    assert tracker.trials("tiny").keys() == {second.id}
    ((*_, metrics),) = [run for run in content_of(tracker.store) if run[0] == second.name]
    assert sum(key == "train/loss" for key, *_ in metrics) == 100


def test_a_store_that_refuses_new_runs_for_good_stops_the_study(
    tracker: Tracker, grid: Grid, play: Play
) -> None:
    client = MlflowClient(tracker.store)
    experiment = client.get_experiment_by_name("tiny/reviews")
    assert experiment is not None
    client.delete_experiment(experiment.experiment_id)
    with pytest.raises(SeedbedError, match=r"active"):
        play(tracker, grid.trials(), between=lambda step: time.sleep(0.1))
    tracker._open.clear()
    assert not tracker.close()
    with pytest.raises(SeedbedError, match=r"active.* entries wait for it"):
        Tracker(tracker.store).catch_up()
    client.restore_experiment(experiment.experiment_id)
    assert Tracker(tracker.store).catch_up() > 0


def test_killed_at_any_moment_the_driver_loses_nothing_that_it_was_told(
    store: str,
    grid: Grid,
    recording: Callable[[str], str],
    content_of: Content,
    journals: Callable[[str], list[Path]],
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", recording(store)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    said = 0
    while said < Random().randint(20, 600):
        said = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    said = max([said, *(int(line) for line in process.stdout if line.endswith("\n"))])
    process.wait()
    process.stdout.close()
    tracker = Tracker(store)
    tracker.catch_up()
    assert journals(store) == []
    done, running = grid.trials()[:2]
    known = tracker.trials("tiny")
    assert known[done.id].status is Status.FINISHED
    assert known[running.id].status is Status.RUNNING
    steps = {run[0]: [step for _, step, *_ in run[-1]] for run in content_of(store)}
    assert steps[done.name] == list(range(1, 11))
    assert steps[running.name] == list(range(1, len(steps[running.name]) + 1))
    assert len(steps[running.name]) >= said


def _write_much(store: str, grid: Grid, first_seed: int, play: Play) -> None:
    tracker = Tracker(store)
    tracker.prepare(grid)
    trials = [t for t in grid.trials() if t.wi_seed == first_seed]
    play(tracker, trials, steps=800)
    assert tracker.close()


def test_writers_readers_and_analyze_on_one_file_do_not_meet_a_lock(
    store: str, other_store: str, grid: Grid, play: Play, content_of: Content,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    _write_much(other_store, grid, 1, play)
    _write_much(other_store, grid, 2, play)

    stop = threading.Event()
    file = sqlite_file(store)
    assert file is not None
    seen = 0

    def read() -> None:
        """Hold a cursor open, as a slow export or the pages of `mlflow ui` do."""
        nonlocal seen
        with closing(sqlite3.connect(file)) as connection:
            while not stop.is_set():
                for _ in connection.execute("select * from metrics"):
                    seen += 1
                    if seen % 100 == 0:
                        time.sleep(0.001)

    def analyze() -> None:
        with closing(sqlite3.connect(file, timeout=20)) as connection:
            while not stop.is_set():
                connection.execute("ANALYZE")
                connection.commit()
                time.sleep(0.02)

    threads = [threading.Thread(target=act) for act in (read, analyze)]
    writers = [
        threading.Thread(target=_write_much, args=(store, grid, seed, play)) for seed in (1, 2)
    ]
    for thread in (*writers, *threads):
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    for thread in threads:
        thread.join()
    assert content_of(store) == content_of(other_store)
    assert not [record for record in caplog.records if "locked" in record.getMessage()]
