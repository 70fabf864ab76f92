"""How studies stand: `status`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from finetune.cli import options
from finetune.errors import SeedbedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from finetune.standing import Standing
    from finetune.tracking import Tracker


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(status)


def status(
    study: Annotated[
        str | None,
        typer.Argument(
            metavar="STUDY",
            show_default=False,
            help="Name of a study in the store, or its file; all of the store's if left out.",
        ),
    ] = None,
    seeds: Annotated[
        bool, typer.Option("--seeds", help="Also show the table of scores by WI and DO seed.")
    ] = False,
    store: options.Store = options.DEFAULT_STORE,
) -> None:
    """Show how the trials of a study stand: done, running, failed, left; best so far; time left.

    What is planned is what the last `finetune run` of the study had planned, all
    shards together; what the store holds besides is told apart.

    Example: finetune status demo
    """
    from finetune.cli import display
    from finetune.study_file import find_study
    from finetune.tracking import Tracker

    tracker = Tracker(store)
    known = tracker.studies()
    if not known:
        raise SeedbedError(
            f"tracking store {store}: holds no study yet. `finetune run demo` runs a small one; "
            "for another store give --store, or set MLFLOW_TRACKING_URI."
        )
    if study is not None and study not in known and Path(study).is_file():
        study = find_study(study).study
    screen = display.console()
    for name in [study] if study else known:
        _show(name, tracker, seeds=seeds)
    if behind := tracker.left_behind():
        screen.print(
            f"{behind:,} entries that this store does not have yet wait on disk; the next "
            "`finetune run` with it writes them.\n"
        )


def _show(study: str, tracker: "Tracker", *, seeds: bool) -> None:
    from finetune.claims import living_drivers
    from finetune.cli import display
    from finetune.standing import standings

    screen = display.console()
    grids, tracked = tracker.grids(study), tracker.trials(study)
    drivers = living_drivers(study, tracker)
    alive = {trial_id for driver in drivers for trial_id in driver.trials}
    found = standings(grids, tracked, alive)
    screen.print(f"Study [bold]{study}[/]\n")
    screen.print(display.study_table(found))
    for driver in {driver.process: driver for driver in drivers}.values():
        own = sum(len(d.trials) for d in drivers if d.process == driver.process)
        screen.print(
            f"\nAt work: process {driver.process.number} on {driver.process.host}, with "
            f"{own} trial{'s' if own > 1 else ''} of its own."
        )
    for line in _remarks(found):
        screen.print(f"\n{line}", markup=False)
    if seeds:
        for grid in grids:
            screen.print()
            screen.print(display.seed_table(grid, tracked))
    screen.print()


def _remarks(found: "Sequence[Standing]") -> "Iterator[str]":
    """Yield what the table does not say: time left, reasons of failures, trials not planned."""
    from collections import Counter

    from finetune.cli import display
    from finetune.contract import Status
    from finetune.standing import seconds_left

    left = sum(each.left for each in found)
    seconds = seconds_left(found)
    if left:
        pace = "" if seconds is None else f": about {display.duration(seconds)} at the pace so far"
        yield f"{left} left{pace}."
    if abandoned := sum(len(each.abandoned) for each in found):
        yield (
            f"{abandoned} of them {'was' if abandoned == 1 else 'were'} running when the driving "
            "process died; the next `finetune run` takes them up."
        )
    for each in found:
        for trial in each.here:
            if trial.status is Status.FAILED:
                yield f"{trial.name} failed: {trial.error}"
    for each in found:
        if each.beside:
            counts = Counter(trial.status for trial in each.beside)
            how = ", ".join(
                f"{count} {status.value.replace('_', ' ')}" for status, count in counts.items()
            )
            yield (
                f"Besides the plan the store has {len(each.beside)} "
                f"trial{'s' if len(each.beside) > 1 else ''} of {each.grid.task}, of other seeds, "
                f"recipe or data: {how}."
            )
