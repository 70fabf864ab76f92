"""What the commands show on a terminal, or in plain lines where there is none."""

import math
import statistics
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from finetune.contract import Status
from finetune.events import Evaluation

if TYPE_CHECKING:
    from finetune.grid import Grid
    from finetune.standing import Standing
    from finetune.tracking import TrackedTrial
    from release.publish import Change


def console(*, err: bool = False) -> Console:
    """Return a console on standard output, or on standard error."""
    screen = Console(stderr=err, highlight=False)
    if not screen.is_terminal:
        # Nobody's window is too narrow: lines stay whole, and tables keep their columns.
        screen.soft_wrap = True
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


# ── Tables ───────────────────────────────────────────────────────────────────────────────────────
def study_table(study: "Sequence[Standing]") -> Table:
    """Return a row per task of a study: how its trials stand, and their scores."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    # A column for what there is none of would only take room from the others.
    unusual = [
        status
        for status in (Status.STOPPED_EARLY, Status.DIVERGED, Status.FAILED, Status.RUNNING)
        if any(task.counts[status] for task in study)
    ]
    names = [status.value.replace("_", " ") for status in unusual]
    table.add_column("task", no_wrap=True)
    for name in ("trials", "done", *names, "left", "mean ± s.d.", "best"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("of trial", no_wrap=True)
    for task in study:
        counts, best = task.counts, task.best
        # A trial that was stopped early has no final score to compare.
        whole = [trial for trial in task.done if trial.status is not Status.STOPPED_EARLY]
        scores = [trial.score for trial in whole if trial.score is not None]
        table.add_row(
            task.grid.task,
            str(task.planned),
            str(len(task.done)),
            *(str(counts[status]) for status in unusual),
            str(task.left),
            f"{statistics.fmean(scores):.3f} ± {statistics.pstdev(scores):.3f}" if scores else "–",
            f"{best.score:.4f}" if best is not None else "–",
            best.name.removeprefix(f"{task.grid.task}-") if best is not None else "–",
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


def changes_table(changes: "Iterable[Change]") -> Table:
    """Return a row per file of a release: what becomes of it on the Hub, its path and its size."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("")
    table.add_column("file")
    table.add_column("size", justify="right")
    signs = {"add": "+", "change": "~", "delete": "−", "same": "="}
    styles = {"add": "green", "change": "yellow", "delete": "red", "same": "dim"}
    for change in changes:
        kind = change.kind.value
        table.add_row(
            f"{signs[kind]} {kind}", escape(change.path), size(change.bytes), style=styles[kind]
        )
    return table
