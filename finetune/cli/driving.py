"""Driving trials from a command: where they run, what is shown, and how Ctrl-C ends it."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from finetune.early_stopping import EarlyStopping
    from finetune.executors import Executor
    from finetune.grid import Plan
    from finetune.study import Trial
    from finetune.tracking import Tracker


def make_executor(
    plan: "Plan", trials: int, device: str, workers: int | None, per_gpu: int, *, on_ray: bool
) -> "tuple[Executor, str]":
    """Return an executor for so many trials, and where it runs them, in words.

    Raises:
        SeedbedError: where there is no such device, or no Ray cluster.
    """
    from finetune.executors import LocalExecutor, Supplies
    from finetune.executors.devices import worker_devices

    if on_ray:
        from finetune.executors.ray import RayExecutor, connect, room, share_of_gpu

        connect()
        gpus = share_of_gpu(device, per_gpu)
        count = min(workers or room(gpus), trials)
        where = f"Ray, {count} worker{'s' if count > 1 else ''}{' on GPUs' if gpus else ''}"
        return RayExecutor(Supplies(plan.pretrained, plan.tasks), count, gpus=gpus), where
    devices = worker_devices(device, workers=workers, per_gpu=per_gpu, trials=trials)
    count = len(devices)
    where = f"{', '.join(dict.fromkeys(devices))}, {count} worker{'s' if count > 1 else ''}"
    return LocalExecutor(Supplies(plan.pretrained, plan.tasks), devices), where


def follow(
    plan: "Plan",
    trials: "Sequence[Trial]",
    executor: "Executor",
    tracker: "Tracker",
    *,
    stopping: "EarlyStopping | None" = None,
    work_folder: Path | None = None,
) -> int:
    """Run trials and show how far they are; return how many failed.

    Raises:
        SeedbedError: where nothing could be run, or the tracking store is away at the end.
        typer.Exit: with status 130 where it was interrupted.
    """
    from finetune.cli import progress
    from finetune.contract import Status
    from finetune.driver import run
    from finetune.interrupts import stopping_at_first

    def stop() -> None:
        executor.stop()
        # Written past Python's own buffers, in which whatever was interrupted may be writing.
        os.write(2, b"\nStopping: workers save where they are. Ctrl-C again ends at once.\n")

    if stopping is None:
        seen = progress.Progress.of(trials)
    else:
        seen = progress.Progress(stopping.left, len(trials))
    try:
        with (
            progress.follow(seen, lambda: tracker.waiting) as listen,
            stopping_at_first(stop) as interrupts,
        ):
            for report in run(
                plan, trials, executor, tracker, stopping=stopping, work_folder=work_folder
            ):
                listen(report)
        is_interrupted = bool(interrupts.received)
    except KeyboardInterrupt:
        is_interrupted = True
    for note in tracker.notes:
        typer.echo(f"Note: {note}", err=True)
    if is_interrupted:
        done = seen.ended.total()
        typer.echo(f"\nStopped after {done} trials. The same command goes on from here.", err=True)
        tracker.settle()
        raise typer.Exit(130)
    return seen.ended[Status.FAILED]
