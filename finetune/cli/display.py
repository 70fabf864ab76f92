"""What the commands show on a terminal, or in plain lines where there is none."""

import math
import statistics
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from rich.console import Console
from rich.table import Table

from finetune.contract import Status
from finetune.events import Ended, Evaluation, Started, Step

if TYPE_CHECKING:
    from finetune.executors import Report
    from finetune.grid import Grid
    from finetune.tracking import TrackedTrial
    from release.manifest import ReleasedFile


def console(*, err: bool = False) -> Console:
    """Return a console on standard output, or on standard error."""
    screen = Console(stderr=err, highlight=False, soft_wrap=True)
    if not screen.is_terminal:
        # Nobody's window is too narrow: tables keep their columns.
        screen.width = 200
    return screen


def duration(seconds: float) -> str:
    """Write a duration as people do: `8 s`, `4 min`, `3 h 20 min`, `2 days 4 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    days, hours = divmod(hours, 24)
    return f"{days} days {hours} h"


# ── Progress of a study ──────────────────────────────────────────────────────────────────────────
class Progress:
    """How far a study is: trials done, the part of those that run, best scores, time left."""

    def __init__(self, trials: int) -> None:
        self.trials = trials
        self.ended = Counter[Status]()
        self.best: dict[str, float] = {}
        self._running: dict[str, float] = {}
        self._steps: dict[str, int] = {}
        self._began: float | None = None

    def add(self, report: "Report") -> None:
        """Take in what has happened."""
        trial, event = report.trial, report.event
        match event:
            case Started(facts):
                self._began = self._began or time.monotonic()
                self._running[trial.id] = 0.0
                self._steps[trial.id] = int(facts["total_steps"] or 1)
            case Step(step):
                self._running[trial.id] = step / self._steps[trial.id]
            case Evaluation():
                score = max(self.best.get(trial.task, -math.inf), event.best_score)
                self.best[trial.task] = score
            case Ended(status):
                self._running.pop(trial.id, None)
                self.ended[status] += 1

    @property
    def done(self) -> float:
        """Trials that have ended, and the parts of those that run."""
        return self.ended.total() + sum(self._running.values())

    @property
    def seconds_left(self) -> float | None:
        """Estimated from the pace so far; None before there is one."""
        if self._began is None or self.done < 0.02:
            return None
        return (time.monotonic() - self._began) / self.done * (self.trials - self.done)

    @property
    def summary(self) -> str:
        """Best scores by task, and how many trials did not finish."""
        parts = [f"best {task} {score:.3f}" for task, score in self.best.items()]
        parts += [
            f"{count} {status.value.replace('_', ' ')}"
            for status, count in self.ended.items()
            if status is not Status.FINISHED
        ]
        return " · ".join(parts)


@contextmanager
def follow(progress: Progress) -> Iterator["Listener"]:
    """Show progress while the block runs: a bar on a terminal, else a line per trial."""
    screen = console(err=True)
    if not screen.is_terminal:
        yield _Lines(progress, screen)
        return
    from rich import progress as bars

    with bars.Progress(
        bars.TextColumn("[bold]{task.fields[counts]}"),
        bars.BarColumn(bar_width=30),
        bars.TextColumn("{task.fields[left]}"),
        bars.TextColumn("[dim]{task.fields[summary]}"),
        console=screen,
    ) as bar:
        yield _Bar(progress, bar)


class Listener(Protocol):
    """Is told of each report."""

    def __call__(self, report: "Report") -> None:
        """Take in what has happened, and show it."""


class _Lines:
    def __init__(self, progress: Progress, screen: Console) -> None:
        self._progress = progress
        self._screen = screen

    def __call__(self, report: "Report") -> None:
        progress = self._progress
        progress.add(report)
        if not isinstance(report.event, Ended):
            return
        left = progress.seconds_left
        parts = [
            f"[{progress.ended.total()}/{progress.trials}]",
            report.trial.name,
            report.event.status.value.replace("_", " "),
            f"({report.event.error})" if report.event.error else "",
            f"best {progress.best[report.trial.task]:.4f}"
            if report.trial.task in progress.best
            else "",
            f"about {duration(left)} left" if left else "",
        ]
        self._screen.print(" ".join(part for part in parts if part), markup=False)


class _Bar:
    def __init__(self, progress: Progress, bar: "rich.progress.Progress") -> None:  # type: ignore[name-defined] # noqa: F821
        self._progress = progress
        self._bar = bar
        self._task = bar.add_task("", total=progress.trials, counts="", left="", summary="")
        self._show()

    def __call__(self, report: "Report") -> None:
        self._progress.add(report)
        self._show()

    def _show(self) -> None:
        progress = self._progress
        left = progress.seconds_left
        self._bar.update(
            self._task,
            completed=progress.done,
            counts=f"{progress.ended.total()}/{progress.trials} trials",
            left="starting" if left is None else f"{duration(left)} left",
            summary=progress.summary,
        )


# ── Tables ───────────────────────────────────────────────────────────────────────────────────────
def study_table(grids: Sequence["Grid"], tracked: "dict[str, TrackedTrial]") -> Table:
    """Return a row per task of a study: how its trials stand, and their scores."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("task")
    for name in ("trials", "done", "diverged", "failed", "running", "left"):
        table.add_column(name, justify="right")
    table.add_column("mean ± s.d.", justify="right")
    table.add_column("best", justify="right")
    table.add_column("of trial")
    for grid in grids:
        planned = {trial.id: trial for trial in grid.trials()}
        here = [tracked[trial_id] for trial_id in planned if trial_id in tracked]
        count = Counter(trial.status for trial in here)
        done = [trial for trial in here if trial.status.is_done and trial.score is not None]
        scores = [trial.score for trial in done if trial.score is not None]
        best = max(done, key=lambda trial: trial.score or -math.inf, default=None)
        running, failed = count[Status.RUNNING], count[Status.FAILED]
        table.add_row(
            grid.task,
            str(len(planned)),
            str(len(done)),
            str(count[Status.DIVERGED]),
            str(failed),
            str(running),
            str(len(planned) - len(done) - failed - running),
            f"{statistics.fmean(scores):.3f} ± {statistics.pstdev(scores):.3f}" if scores else "–",
            f"{best.score:.4f}" if best is not None else "–",
            best.name if best is not None else "–",
        )
    return table


def seed_table(grid: "Grid", tracked: "dict[str, TrackedTrial]") -> Table:
    """Return the scores of a task's trials, a row per WI seed and a column per DO seed."""
    table = Table(box=None, header_style="bold", pad_edge=False, title_justify="left")
    table.title = f"{grid.task}: best score of each trial"
    table.add_column("WI \\ DO", style="bold")
    for seed in grid.do_seeds:
        table.add_column(str(seed), justify="right")
    scores: dict[tuple[int, int], list[float]] = {}
    for trial in grid.trials():
        known = tracked.get(trial.id)
        if known is not None and known.score is not None:
            scores.setdefault((trial.wi_seed, trial.do_seed), []).append(known.score)
    highest = max((max(cell) for cell in scores.values()), default=math.inf)
    for wi_seed in grid.wi_seeds:
        cells = []
        for do_seed in grid.do_seeds:
            cell = scores.get((wi_seed, do_seed))
            text = "–" if cell is None else f"{statistics.fmean(cell):.3f}"
            cells.append(f"[bold green]{text}[/]" if cell and max(cell) == highest else text)
        table.add_row(str(wi_seed), *cells)
    return table


# ── Curves ───────────────────────────────────────────────────────────────────────────────────────
_LEVELS = " ▁▂▃▄▅▆▇█"


def curve(evaluations: Sequence[Evaluation], *, height: int = 8) -> str:
    """Draw the score over the evaluations of a trial as columns of blocks.

    Args:
        evaluations: at least one, in order.
        height: lines of text for the range from the lowest to the highest score.
    """
    scores = [evaluation.score for evaluation in evaluations]
    low, high = min(scores), max(scores)
    span = (high - low) or 1.0
    steps = len(_LEVELS) - 1
    heights = [1 + round((score - low) / span * (height * steps - 1)) for score in scores]
    lines = []
    for row in range(height - 1, -1, -1):
        cells = (_LEVELS[min(max(filled - row * steps, 0), steps)] for filled in heights)
        label = f"{high:7.3f}" if row == height - 1 else f"{low:7.3f}" if row == 0 else " " * 7
        lines.append(f"{label} ┤{''.join(cell * 2 for cell in cells)}")
    first, last = evaluations[0].epoch, evaluations[-1].epoch
    width = 2 * len(scores)
    lines.append(f"{'':7} └{'─' * width}")
    lines.append(
        f"{'':8} {first:<{max(1, width // 2)}.0f}{f'epoch {last:.3g}':>{width - width // 2}}"
    )
    return "\n".join(lines)


def numbered(lines: Iterable[tuple[str, str]]) -> str:
    """Write commands to try, each with what it does, in two columns."""
    pairs = list(lines)
    width = max(len(command) for command, _ in pairs)
    return "\n".join(f"  {command:<{width}}   {what}" for command, what in pairs)


def size(count: int) -> str:
    """Write a number of bytes as people do: `512 B`, `38 kB`, `1.4 MB`."""
    amount = float(count)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if amount >= 10 or unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


def files_table(files: "Iterable[ReleasedFile]") -> Table:
    """Return a row per file of a release: its path, its rows and its size."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("file")
    table.add_column("rows", justify="right")
    table.add_column("size", justify="right")
    for file in files:
        rows = "" if file.rows is None else f"{file.rows:,}"
        table.add_row(file.path, rows, size(file.bytes))
    return table
