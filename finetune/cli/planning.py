"""What a study will take, shown before it is run: `run --plan`."""

from pathlib import Path
from typing import TYPE_CHECKING

from finetune.cli import options
from finetune.errors import SeedbedError

if TYPE_CHECKING:
    from rich.table import Table

    from finetune.estimate import Estimate
    from finetune.study import Study


def show_plan(
    study: "Study",
    store: str,
    *,
    workers: int | None = None,
    per_gpu: int = 1,
    executor: options.ExecutorChoice = options.ExecutorChoice.LOCAL,
    device: str = "auto",
    work_dir: Path | None = None,
    retry_failed: bool = False,
    shard: str | None = None,
) -> None:
    """Show what is left of a study and what it will take; run and write nothing.

    The arguments are those of `finetune.cli.trials.run_study`.

    Raises:
        SeedbedError: where the model or the data cannot be loaded.
    """
    from finetune.cli import display
    from finetune.driver import trials_left
    from finetune.estimate import estimate
    from finetune.executors import Supplies
    from finetune.executors.devices import worker_devices
    from finetune.grid import plan
    from finetune.shard import Shard
    from finetune.tracking import Tracker

    if executor is options.ExecutorChoice.RAY:
        raise SeedbedError(
            "--plan measures this machine: leave --executor out, on a node of the cluster."
        )
    screen = display.console()
    laid_out = plan(study)
    planned = laid_out.trials()
    if shard is not None:
        planned = Shard.parse(shard).of(planned)
    tracker = Tracker(store)
    own = {trial.id for trial in planned}
    left = [
        trial
        for trial in trials_left(laid_out, tracker, retry_failed=retry_failed, catch_up=False)
        if trial.id in own
    ]
    devices = worker_devices(device, workers=workers, per_gpu=per_gpu, trials=len(left) or 1)
    with display.console(err=True).status("Training some steps of each task to see how long"):
        found = estimate(
            planned, left, Supplies(laid_out.pretrained, laid_out.tasks), devices, study.keep_best
        )
    screen.print(
        f"Study [bold]{study.study}[/]: {laid_out.pretrained.name} on {', '.join(laid_out.tasks)}"
        f"{f', shard {shard}' if shard else ''}\n"
    )
    screen.print(_table(found))
    screen.print()
    for line in _totals(found, ", ".join(dict.fromkeys(devices)), tracker.work_folder, work_dir):
        screen.print(line, markup=False)


def _table(found: "Estimate") -> "Table":
    """Return a row per task: trials, steps and times."""
    from rich.table import Table

    from finetune.cli import display

    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("task")
    for name in ("trials", "to run", "steps each", "evaluations each", "a step", "an evaluation",
                 "a trial", "all, one worker"):  # fmt: skip
        table.add_column(name, justify="right")
    for task in found.tasks:
        measured = task.measured
        table.add_row(
            task.task,
            str(task.planned),
            str(task.left),
            f"{measured.steps:,}",
            str(measured.evaluations),
            f"{1000 * measured.step_seconds:.3g} ms",
            display.duration(measured.evaluation_seconds),
            display.duration(measured.trial_seconds),
            display.duration(task.seconds),
        )
    return table


def _totals(
    found: "Estimate", where: str, default_folder: Path, work_dir: Path | None
) -> "list[str]":
    from finetune.cli import display

    if not found.trials:
        return ["Nothing is left to run."]
    workers = f"{found.workers} worker{'s' if found.workers > 1 else ''} on {where}"
    return [
        f"{found.trials:,} trials, {found.steps:,} optimiser steps: about "
        f"{display.duration(found.seconds)} with {workers}, as measured just now.",
        f"Disk: {display.size(found.metrics_bytes)} of metrics in the tracking store "
        f"({found.metrics:,} values), {display.size(found.model_bytes)} of models kept there, and "
        f"up to {display.size(found.state_bytes)} in {work_dir or default_folder} while trials are "
        "under way.",
        "Nothing was run or written.",
    ]
