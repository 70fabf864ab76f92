"""Progress: what is shown is what has happened, and the time left follows from the pace."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.text import Text

from finetune.cli.progress import Bars, Lines, Progress, nothing_waits
from finetune.contract import Status
from finetune.events import Ended, Evaluation, Event, Lost, Paused, Started, Step
from finetune.executors import Report
from finetune.study import Trial
from finetune.tracking import Waiting

Make = Callable[..., Trial]


def evaluation(step: int, score: float) -> Evaluation:
    return Evaluation(step, step / 10, 0.5, {}, score, score, constant=False, time=0.0)


def started(step: int = 0, time: float = 0.0) -> Started:
    return Started({"total_steps": 100}, {}, step=step, time=time)


def trained(step: int, time: float = 0.0) -> Step:
    return Step(step, 0.1, time=time)


@pytest.fixture
def trials(make_trial: Make) -> list[Trial]:
    """Two of each of two tasks."""
    return [make_trial(task=task, wi_seed=seed) for task in ("mrpc", "rte") for seed in (1, 2)]


@pytest.fixture
def progress() -> Progress:
    return Progress({"mrpc": 2, "rte": 2}, 4)


def play(progress: Progress, trial: Trial, *events: Event) -> None:
    for event in events:
        progress.add(Report(trial, event))


def test_before_anything_has_happened_nothing_is_known(progress: Progress) -> None:
    assert progress.seconds_left is None
    assert progress.done == 0
    assert progress.running == []
    assert progress.pace == "starting"


def test_what_is_done_includes_the_part_of_what_runs(
    progress: Progress, trials: list[Trial]
) -> None:
    play(progress, trials[0], started(), trained(50))
    play(progress, trials[1], started(), trained(25))
    assert progress.done == 0.75
    play(progress, trials[0], Ended(Status.FAILED, "boom"))
    assert progress.done == 1.25, "a trial that fails is not run again"


def test_the_time_left_is_that_of_each_task_by_its_own_pace(
    progress: Progress, trials: list[Trial]
) -> None:
    mrpc, _, rte, _ = trials
    play(progress, mrpc, started(), trained(100, time=40), Ended(Status.FINISHED, time=40))
    # One worker: another of the first, and two of the second which is taken to be as slow.
    assert progress.seconds_left == pytest.approx(3 * 40)
    play(progress, rte, started(time=40), trained(50, time=45))
    assert progress.seconds_left == pytest.approx(40 + 1.5 * 10)
    assert progress.steps_a_second == pytest.approx(150 / 45)


def test_two_workers_take_half_the_time(progress: Progress, trials: list[Trial]) -> None:
    for trial in trials[:2]:
        play(progress, trial, started())
    for trial in trials[:2]:
        play(progress, trial, trained(50, time=10))
    assert progress.seconds_left == pytest.approx(3 * 20 / 2)


def test_what_a_trial_that_is_taken_up_had_done_before_is_no_pace(
    progress: Progress, trials: list[Trial]
) -> None:
    # What had happened is told again, with the times that it had.
    play(progress, trials[0], started(step=80, time=1000), *(trained(s, s) for s in range(1, 81)))
    assert progress.done == 0.8
    assert progress.seconds_left is None
    play(progress, trials[0], trained(90, time=1010))
    assert progress.seconds_left == pytest.approx(3.1 * 100)


def test_a_trial_that_stands_still_holds_no_worker(progress: Progress, trials: list[Trial]) -> None:
    first, second, *_ = trials
    play(progress, first, started(), trained(30), Paused(30))
    assert progress.running == []
    play(progress, second, started())
    play(progress, first, started(step=30))
    assert [(c.trial, c.worker, c.step) for c in progress.running] == [
        (second, 0, 0),
        (first, 1, 30),
    ]
    play(progress, second, Lost("killed"))
    assert [c.trial for c in progress.running] == [first]


def test_of_a_trial_that_is_stopped_early_its_part_is_done(
    progress: Progress, trials: list[Trial]
) -> None:
    play(progress, trials[0], started(), trained(30), Ended(Status.STOPPED_EARLY))
    assert progress.done == pytest.approx(0.3)
    assert progress.scores == "1 stopped early"


def test_the_best_score_of_each_task_is_shown(progress: Progress, trials: list[Trial]) -> None:
    first, second, third, _ = trials
    play(progress, first, started(), evaluation(0, 0.75), Ended(Status.DIVERGED))
    play(progress, second, started(), evaluation(0, 0.5))
    play(progress, third, started(), evaluation(0, 0.25))
    assert progress.scores == "best mrpc 0.750 · best rte 0.250 · 1 diverged"
    assert progress.best["mrpc"] == (0.75, first)


# ── On a terminal ────────────────────────────────────────────────────────────────────────────────
def picture(progress: Progress, width: int, height: int = 24, waits: Any = nothing_waits) -> str:
    screen = Console(file=io.StringIO(), width=width, height=height, force_terminal=True)
    with screen.capture() as capture:
        screen.print(Bars(progress, waits, screen).picture())
    return Text.from_ansi(capture.get()).plain


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("workers", [1, 2, 8])
def test_each_worker_has_a_bar_and_no_line_is_broken(
    make_trial: Make, width: int, workers: int
) -> None:
    trials = [make_trial(task="acceptability", wi_seed=seed) for seed in range(1, 20)]
    progress = Progress.of(trials)
    for trial in trials[:workers]:
        play(progress, trial, started(), evaluation(0, 0.5), trained(37))
    lines = picture(progress, width).splitlines()
    assert len(lines) == workers + 2
    for line, trial in zip(lines, trials, strict=False):
        if width >= 80:
            assert trial.name in line or line in lines[workers:]
    assert all("37%" in line and "37/100" in line for line in lines[:workers])
    assert lines[workers].startswith("0/19 trials")
    assert lines[-1].startswith("best acceptability 0.500")


def test_more_workers_than_lines_are_counted(make_trial: Make) -> None:
    trials = [make_trial(wi_seed=seed) for seed in range(1, 20)]
    progress = Progress.of(trials)
    for trial in trials:
        play(progress, trial, started())
    lines = picture(progress, 80, height=12).splitlines()
    assert len(lines) <= 12
    assert "and 13 more workers" in lines


def test_a_store_that_is_away_is_said_to_be() -> None:
    waiting = Waiting(1234, 42.0, "the server does not answer", Path("x"))
    shown = picture(Progress({}, 0), 80, waits=lambda: waiting)
    assert "tracking store away for 42 s (the server does not answer)" in shown
    assert "1,234 entries wait" in " ".join(shown.split())
    writing = Waiting(1234, 2.0, None, Path("x"))
    assert "away" not in picture(Progress({}, 0), 80, waits=lambda: writing)


# ── In plain lines ───────────────────────────────────────────────────────────────────────────────
def test_plain_lines_tell_of_each_end_and_now_and_then_of_the_pace(
    progress: Progress, trials: list[Trial], monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = Console(file=io.StringIO(), width=200)
    now = [0.0]
    monkeypatch.setattr("finetune.cli.progress.time.monotonic", lambda: now[0])
    lines = Lines(progress, nothing_waits, screen)

    def tell(trial: Trial, *events: Event) -> str:
        with screen.capture() as capture:
            for event in events:
                lines(Report(trial, event))
        return capture.get()

    first, second, *_ = trials
    assert tell(first, started(), trained(1), evaluation(1, 0.5)) == ""
    now[0] = 61
    assert tell(first, trained(50, time=61)) == (
        "[0/4] 0.82 steps/s · 7 min left; running: mrpc-wi01-do02 50%\n"
    )
    assert tell(first, trained(51, time=62.22)) == ""
    now[0] = 122
    assert tell(first, Ended(Status.FINISHED)) == (
        "[1/4] mrpc-wi01-do02 finished 0.5000 (best 0.5000) about 6 min left\n"
    )
    assert tell(second, Ended(Status.FAILED, "MemoryError")) == (
        "[2/4] mrpc-wi02-do02 failed (MemoryError) (best 0.5000) about 4 min left\n"
    )
