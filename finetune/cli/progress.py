"""How far a study is, while it runs: bars on a terminal, plain lines where there is none."""

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from finetune.cli.display import console, duration
from finetune.contract import Status
from finetune.events import Ended, Evaluation, Lost, Paused, Started, Step

if TYPE_CHECKING:
    from finetune.executors import Report
    from finetune.study import Trial
    from finetune.tracking import Waiting

_PACE_EVERY = 60.0
"""Seconds without a trial's end after which plain lines say how far the others are."""

_STORE_IS_AWAY = 10.0
"""Seconds without an answer after which the user is told of it."""


@dataclass
class Course:
    """A trial that has begun.

    Attributes:
        trial: the trial.
        worker: which of the workers runs it, from 0; None while none does.
        total: its optimiser steps, at least 1.
        step: how many were made.
        score: its best so far; None before the first evaluation.
    """

    trial: "Trial"
    worker: int | None
    total: int
    step: int
    score: float | None = None

    @property
    def part(self) -> float:
        """How much of it is done, from 0 to 1."""
        return min(self.step / self.total, 1.0)


@dataclass
class _Pace:
    """How fast trials of a task are: seconds of a worker, and what they were spent on."""

    seconds: float = 0.0
    trials: float = 0.0


class Progress:
    """How far a study is, what its pace is, and the best scores so far.

    Attributes:
        planned: how much is to be done of each task, in whole trials' worth.
        trials: how many are to end.
        ended: how many trials ended, by how.
        best: the best score of each task, and the trial that has it.
        latest: the best score of the trial that ended last; None where it was never evaluated.
        steps: optimiser steps made.
    """

    def __init__(self, planned: Mapping[str, float], trials: int) -> None:
        """Begin with nothing done.

        Args:
            planned: trials of each task; a trial that is to be stopped early counts as the part of
                it that is trained.
            trials: how many are to end.
        """
        self.planned = planned
        self.trials = trials
        self.ended = Counter[Status]()
        self.best: dict[str, tuple[float, Trial]] = {}
        self.latest: float | None = None
        self.steps = 0
        self._began: float | None = None
        self._latest = 0.0
        self._courses: dict[str, Course] = {}
        self._workers = 0
        self._seen: dict[str, float] = {}
        self._done: dict[str, float] = {}
        self._paces: dict[str, _Pace] = {}

    @classmethod
    def of(cls, trials: "Sequence[Trial]") -> Self:
        """Begin with trials that are to be run to their end."""
        return cls(Counter(trial.task for trial in trials), len(trials))

    def add(self, report: "Report") -> None:
        """Take in what has happened."""
        trial, event = report.trial, report.event
        # By the times at which things happened: they may be told late and many at once.
        self._began = event.time if self._began is None else self._began
        self._latest = max(self._latest, event.time)
        match event:
            case Started(facts, step=step, time=moment):
                self._start(trial, int(facts.get("total_steps") or 1), step, moment)
            case Step(step, time=moment):
                self._go_on(trial, step, moment)
            case Evaluation(best_score=score):
                if trial.id in self._courses:
                    self._courses[trial.id].score = score
                if trial.task not in self.best or score > self.best[trial.task][0]:
                    self.best[trial.task] = score, trial
            case Paused() | Lost():
                if trial.id in self._courses:
                    self._courses[trial.id].worker = None
            case Ended(status):
                course = self._courses.pop(trial.id, None)
                self.latest = None if course is None else course.score
                is_part = status is Status.STOPPED_EARLY and course is not None
                done = course.part if course is not None and is_part else 1.0
                self._done[trial.task] = self._done.get(trial.task, 0.0) + done
                self.ended[status] += 1

    def _start(self, trial: "Trial", total: int, step: int, moment: float) -> None:
        taken = {course.worker for course in self._courses.values()}
        worker = next(number for number in itertools.count() if number not in taken)
        known = self._courses.get(trial.id)
        self._courses[trial.id] = Course(
            trial, worker, total, step, None if known is None else known.score
        )
        self._seen[trial.id] = moment
        self._workers = max(self._workers, len(self.running))

    def _go_on(self, trial: "Trial", step: int, moment: float) -> None:
        course = self._courses.get(trial.id)
        if course is None or step <= course.step:
            return  # told again, of a trial that was taken up
        pace = self._paces.setdefault(trial.task, _Pace())
        pace.seconds += moment - self._seen[trial.id]
        pace.trials += (step - course.step) / course.total
        self.steps += step - course.step
        self._seen[trial.id] = moment
        course.step = step

    @property
    def running(self) -> list[Course]:
        """The trials that are being run, by worker."""
        courses = [course for course in list(self._courses.values()) if course.worker is not None]
        return sorted(courses, key=lambda course: course.worker or 0)

    @property
    def done(self) -> float:
        """What is done, in whole trials' worth: of those that have ended, and of the others."""
        return sum(self._done_of(task) for task in self.planned)

    @property
    def total(self) -> float:
        """What is to be done, in whole trials' worth."""
        return sum(self.planned.values())

    @property
    def steps_a_second(self) -> float | None:
        """Optimiser steps a second, of all workers together; None before there are any."""
        seconds = 0.0 if self._began is None else self._latest - self._began
        return self.steps / seconds if self.steps and seconds else None

    @property
    def seconds_left(self) -> float | None:
        """Estimated from the pace of each task so far; None before there is one.

        A task that has not begun is taken to be as slow as the others are on average.
        """
        paces = {task: p.seconds / p.trials for task, p in self._paces.items() if p.trials > 0}
        if not paces or sum(p.trials for p in self._paces.values()) < 0.02:
            return None
        usual = sum(paces.values()) / len(paces)
        work = sum(
            max(planned - self._done_of(task), 0.0) * paces.get(task, usual)
            for task, planned in self.planned.items()
        )
        return work / max(self._workers, 1)

    def _done_of(self, task: str) -> float:
        courses = [c.part for c in list(self._courses.values()) if c.trial.task == task]
        return self._done.get(task, 0.0) + sum(courses)

    @property
    def scores(self) -> str:
        """The best score of each task, and how many trials did not finish."""
        parts = [f"best {task} {score:.3f}" for task, (score, _) in self.best.items()]
        parts += [
            f"{count} {status.value.replace('_', ' ')}"
            for status, count in self.ended.items()
            if status is not Status.FINISHED
        ]
        return " · ".join(parts)

    @property
    def pace(self) -> str:
        """Throughput and time left."""
        left, rate = self.seconds_left, self.steps_a_second
        if left is None or rate is None:
            return "starting"
        speed = f"{rate:.0f}" if rate >= 10 else f"{rate:.2g}"
        return f"{speed} steps/s · {duration(left)} left"


Waits = Callable[[], "Waiting | None"]


def nothing_waits() -> None:
    """Say that the store has all: for those that have no store to ask."""


class Listener(Protocol):
    """Is told of each report."""

    def __call__(self, report: "Report") -> None:
        """Take in what has happened, and show it."""


@contextmanager
def follow(progress: Progress, waits: Waits = nothing_waits) -> Iterator[Listener]:
    """Show progress while the block runs: bars on a terminal, else a line per trial.

    Args:
        progress: is told of what happens.
        waits: says what the tracking store does not have yet.
    """
    screen = console(err=True)
    if not screen.is_terminal:
        yield Lines(progress, waits, screen)
        return
    bars = Bars(progress, waits, screen)
    with Live(get_renderable=bars.picture, console=screen, refresh_per_second=4, transient=True):
        yield progress.add
    screen.print(Text(bars.summary), overflow="ellipsis", no_wrap=True)


def store_line(waiting: "Waiting | None") -> str:
    """Say that the store is away, where it is; else nothing."""
    if waiting is None or waiting.seconds < _STORE_IS_AWAY:
        return ""
    trouble = waiting.trouble or "it does not answer"
    return (
        f"tracking store away for {duration(waiting.seconds)} ({trouble}): "
        f"{waiting.entries:,} entries wait on disk, the trials go on"
    )


class Lines:
    """A line per trial that ends, and one now and then with how far the others are."""

    def __init__(self, progress: Progress, waits: Waits, screen: Console) -> None:
        self._progress = progress
        self._waits = waits
        self._screen = screen
        self._last = time.monotonic()

    def __call__(self, report: "Report") -> None:
        """Take in what has happened, and write a line where there is something to say."""
        self._progress.add(report)
        if isinstance(report.event, Ended):
            self._write(self._ended(report.trial, report.event))
        elif time.monotonic() - self._last >= _PACE_EVERY:
            self._write(self._pace())

    def _write(self, line: str) -> None:
        self._last = time.monotonic()
        self._screen.print(line, markup=False)
        if away := store_line(self._waits()):
            self._screen.print(away, markup=False)

    @property
    def _count(self) -> str:
        return f"[{self._progress.ended.total()}/{self._progress.trials}]"

    def _ended(self, trial: "Trial", ended: Ended) -> str:
        left, best = self._progress.seconds_left, self._progress.best.get(trial.task)
        own = self._progress.latest
        parts = [
            self._count,
            trial.name,
            ended.status.value.replace("_", " "),
            f"({ended.error})" if ended.error else "",
            f"{own:.4f}" if own is not None and not ended.error else "",
            f"(best {best[0]:.4f})" if best else "",
            f"about {duration(left)} left" if left else "",
        ]
        return " ".join(part for part in parts if part)

    def _pace(self) -> str:
        running = ", ".join(f"{c.trial.name} {c.part:.0%}" for c in self._progress.running)
        return f"{self._count} {self._progress.pace}; running: {running or 'none'}"


class Bars:
    """A bar per worker, and one for the study with its pace and its best scores."""

    def __init__(self, progress: Progress, waits: Waits, screen: Console) -> None:
        self._progress = progress
        self._waits = waits
        self._screen = screen

    @property
    def summary(self) -> str:
        """What stays on the terminal when all is over."""
        parts = [
            f"{self._progress.ended.total()}/{self._progress.trials} trials",
            self._progress.scores,
        ]
        return " · ".join(part for part in parts if part)

    def picture(self) -> RenderableType:
        """Return what is to be seen now."""
        progress = self._progress
        rows = Table.grid(padding=(0, 1))
        rows.add_column(no_wrap=True, overflow="ellipsis")
        rows.add_column(ratio=1, min_width=8)
        for _ in range(3):
            rows.add_column(no_wrap=True, justify="right")
        running, shown = progress.running, max(self._screen.height - 6, 1)
        for course in running[:shown]:
            rows.add_row(
                course.trial.name,
                ProgressBar(total=course.total, completed=course.step),
                f"{course.part:.0%}",
                f"[dim]step {course.step}/{course.total}[/]",
                "" if course.score is None else f"best {course.score:.3f}",
            )
        rows.expand = True
        count = f"{progress.ended.total()}/{progress.trials} trials"
        study = Table.grid(padding=(0, 1), expand=True)
        study.add_column(no_wrap=True)
        study.add_column(ratio=1, min_width=8)
        study.add_column(no_wrap=True, justify="right")
        study.add_row(
            Text(count, style="bold"),
            ProgressBar(total=max(progress.total, 1e-9), completed=progress.done),
            progress.pace,
        )
        parts: list[RenderableType] = [rows] if running else []
        if len(running) > shown:
            parts.append(Text(f"and {len(running) - shown} more workers", style="dim"))
        parts.append(study)
        if scores := progress.scores:
            parts.append(Text(scores, style="dim", no_wrap=True, overflow="ellipsis"))
        if away := store_line(self._waits()):
            parts.append(Text(away, style="yellow", overflow="fold"))
        return Group(*parts)
