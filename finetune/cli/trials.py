"""Running trials: `run`, `trial`, `status`, `best`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from finetune.cli import options
from finetune.errors import SeedbedError

if TYPE_CHECKING:
    from finetune.executors import Executor
    from finetune.grid import Plan
    from finetune.study import Study, Trial
    from finetune.tracking import Tracker


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(run)
    app.command()(trial)
    app.command()(status)
    app.command()(best)


def run(
    study: options.StudyArgument = None,
    name: options.Name = None,
    model: options.Model = None,
    task: options.Tasks = None,
    wi_seeds: options.Seeds = None,
    do_seeds: options.Seeds = None,
    dropout_seed: options.DropoutSeed = None,
    recipe: options.Recipe = None,
    settings: options.Settings = None,
    train_examples: options.TrainExamples = None,
    validation_examples: options.ValidationExamples = None,
    data_dir: options.DataDir = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Also run again what failed by itself.")
    ] = False,
    workers: options.Workers = None,
    device: options.Device = "auto",
    store: options.Store = options.DEFAULT_STORE,
) -> None:
    """Run a study: every trial of its grid that the store does not hold as done.

    The same command goes on where it was stopped.

    Example: finetune run demo

    Example: finetune run --task mrpc --model bert-large-uncased --wi-seeds 1-25 --do-seeds 1-25
    """
    from finetune.cli.study_options import gather_study

    run_study(
        gather_study(
            study,
            changes={
                "study": name,
                "model": model,
                "wi_seeds": wi_seeds,
                "do_seeds": do_seeds,
                "dropout_seed": dropout_seed,
                "train_examples": train_examples,
                "validation_examples": validation_examples,
                "data_dir": data_dir,
            },
            tasks=task or [],
            recipe=options.parse_recipe(recipe, settings),
        ),
        store,
        workers=workers,
        device=device,
        retry_failed=retry_failed,
    )


def run_study(
    study: "Study",
    store: str,
    *,
    workers: int | None = None,
    device: str = "auto",
    retry_failed: bool = False,
) -> None:
    """Run what is left of a study, show its progress and how it ended.

    Raises:
        SeedbedError: where nothing could be run.
        typer.Exit: with status 1 where trials failed.
    """
    from finetune.cli import display
    from finetune.contract import Status
    from finetune.driver import trials_left
    from finetune.grid import plan
    from finetune.tracking import Tracker

    screen = display.console()
    laid_out = plan(study)
    tracker = Tracker(store)
    left = trials_left(laid_out, tracker, retry_failed=retry_failed)
    total = len(laid_out.trials())
    screen.print(
        f"Study [bold]{study.study}[/]: {total} trial{'s' if total > 1 else ''} of "
        f"{laid_out.pretrained.name} on "
        f"{', '.join(laid_out.tasks)}; {total - len(left)} done, {len(left)} to run."
    )
    if left:
        executor, where = _executor(laid_out, len(left), workers, device)
        screen.print(f"[dim]Running on {where}; tracked in {store}.[/]")
        failed = _follow(laid_out, left, executor, tracker)
    else:
        failed = 0
    tracked = tracker.trials(study.study)
    screen.print()
    screen.print(display.study_table(laid_out.grids, tracked))
    if failed:
        screen.print(
            f"\n{failed} trial{'s' if failed > 1 else ''} failed; `finetune status {study.study}` "
            "says why, `--retry-failed` runs them again."
        )
        raise typer.Exit(1)
    unfinished = [
        t for t in laid_out.trials() if t.id in tracked and tracked[t.id].status is Status.FAILED
    ]
    if unfinished and not left:
        screen.print(f"\n{len(unfinished)} failed before; `--retry-failed` runs them again.")


def _executor(
    plan: "Plan", trials: int, workers: int | None, device: str
) -> "tuple[Executor, str]":
    from finetune.executors import LocalExecutor
    from finetune.executors.base import Supplies, available_cores, find_device

    found = find_device(device)
    count = workers or (available_cores() if found == "cpu" else 1)
    count = min(count, trials)
    where = f"{found}, {count} worker{'s' if count > 1 else ''}"
    return LocalExecutor(Supplies(plan.pretrained, plan.tasks, found), count), where


def _follow(plan: "Plan", trials: "list[Trial]", executor: "Executor", tracker: "Tracker") -> int:
    """Run trials and show how far they are; return how many failed."""
    from finetune.cli import display
    from finetune.contract import Status
    from finetune.driver import run as drive

    progress = display.Progress(len(trials))
    try:
        with display.follow(progress) as listen:
            for report in drive(plan, trials, executor, tracker):
                listen(report)
    except KeyboardInterrupt:
        done = progress.ended.total()
        typer.echo(f"\nStopped after {done} trials. The same command goes on from here.", err=True)
        raise typer.Exit(130) from None
    return progress.ended[Status.FAILED]


def trial(
    study: options.StudyArgument = None,
    name: options.Name = None,
    model: options.Model = None,
    task: options.Tasks = None,
    wi_seed: Annotated[int, typer.Option(min=0, metavar="SEED", help="WI seed.")] = 1,
    do_seed: Annotated[int, typer.Option(min=0, metavar="SEED", help="DO seed.")] = 1,
    dropout_seed: options.DropoutSeed = None,
    recipe: options.Recipe = None,
    settings: options.Settings = None,
    train_examples: options.TrainExamples = None,
    validation_examples: options.ValidationExamples = None,
    data_dir: options.DataDir = None,
    device: options.Device = "auto",
    store: options.Store = options.DEFAULT_STORE,
) -> None:
    """Run one trial and draw its curve; it is tracked like any other, and may be run again.

    Example: finetune trial demo --task entailment --wi-seed 12 --do-seed 3

    Example: finetune trial --model bert-base-uncased --task rte --wi-seed 12 --do-seed 3
    """
    from finetune.cli import display
    from finetune.cli.study_options import gather_study
    from finetune.driver import run as drive
    from finetune.events import Ended, Evaluation
    from finetune.executors import InlineExecutor
    from finetune.executors.base import Supplies, find_device
    from finetune.grid import plan
    from finetune.tracking import Tracker

    found = gather_study(
        study,
        changes={
            "study": name,
            "model": model,
            "wi_seeds": str(wi_seed),
            "do_seeds": str(do_seed),
            "dropout_seed": dropout_seed,
            "train_examples": train_examples,
            "validation_examples": validation_examples,
            "data_dir": data_dir,
        },
        tasks=task or [],
        recipe=options.parse_recipe(recipe, settings),
    )
    laid_out = plan(found)
    trials = laid_out.trials()
    if len(trials) != 1:
        raise SeedbedError(
            f"this is {len(trials)} trials: {', '.join(t.name for t in trials)}. Choose one task "
            "with --task and one dropout seed, or run them all with `finetune run`."
        )
    screen = display.console()
    executor = InlineExecutor(Supplies(laid_out.pretrained, laid_out.tasks, find_device(device)))
    evaluations: list[Evaluation] = []
    ended = None
    with display.follow(display.Progress(1)) as listen:
        for report in drive(laid_out, trials, executor, Tracker(store)):
            listen(report)
            if isinstance(report.event, Evaluation):
                evaluations.append(report.event)
            if isinstance(report.event, Ended):
                ended = report.event
    assert ended is not None
    if ended.error is not None:
        raise SeedbedError(f"trial {trials[0].name}: failed: {ended.error}")
    metric = laid_out.tasks[trials[0].task].metric
    best = max(evaluations, key=lambda evaluation: evaluation.score)
    screen.print(f"\n{trials[0].name}: {metric.replace('_', ' ')} on the validation set\n")
    screen.print(display.curve(evaluations), markup=False)
    screen.print(
        f"\n{ended.status.value.capitalize()}: best {best.score:.4f} at step {best.step} (epoch "
        f"{best.epoch:.2f}), last {evaluations[-1].score:.4f}. Trial {trials[0].id} of study "
        f"{found.study}, tracked in {store}."
    )


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
        _show_status(name, tracker, screen, seeds=seeds)


def _show_status(
    study: str,
    tracker: "Tracker",
    screen: "rich.console.Console",  # type: ignore[name-defined] # noqa: F821
    *,
    seeds: bool,
) -> None:
    from finetune.cli import display
    from finetune.contract import Status

    grids = tracker.grids(study)
    tracked = tracker.trials(study)
    screen.print(f"Study [bold]{study}[/]\n")
    screen.print(display.study_table(grids, tracked))
    planned = [trial for grid in grids for trial in grid.trials()]
    states = [tracked[trial.id] for trial in planned if trial.id in tracked]
    done = [state for state in states if state.status.is_done]
    left = len(planned) - len(done) - sum(state.status is Status.FAILED for state in states)
    if left and done:
        # Trials overlap: the pace is what counts, from the first start to the last end.
        ends = [state.started + (state.seconds or 0) for state in done]
        pace = (max(ends) - min(state.started for state in done)) / len(done)
        screen.print(f"\n{left} left: about {display.duration(left * pace)} at the pace so far.")
    elif left:
        screen.print(f"\n{left} left.")
    for state in states:
        if state.status is Status.FAILED:
            screen.print(f"\n{state.name} failed: {state.error}", markup=False)
    if seeds:
        for grid in grids:
            screen.print()
            screen.print(display.seed_table(grid, tracked))
    screen.print()


def best(
    task: Annotated[
        str, typer.Option("--task", metavar="TASK", help="The task whose best model it is.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder to write it to.")
    ],
    study: Annotated[
        str | None,
        typer.Argument(
            metavar="STUDY",
            show_default=False,
            help="Name of a study in the store; may be left out where one alone has the task.",
        ),
    ] = None,
    store: options.Store = options.DEFAULT_STORE,
) -> None:
    """Write the best model of a task: weights, tokenizer, and a card that says how it was chosen.

    The folder is one that `from_pretrained` loads.

    Example: finetune best --task acceptability --output best-model
    """
    from finetune.best_model import choose, write
    from finetune.cli import display
    from finetune.tracking import Tracker

    tracker = Tracker(store)
    choice = choose(tracker, task, study)
    write(choice, tracker, output)
    screen = display.console()
    screen.print(
        f"[bold]{choice.run.name}[/]: {choice.metric.replace('_', ' ')} {choice.run.score:.4f} "
        f"after {choice.run.model_step} steps, the best of {len(choice.done)} trials of study "
        f"{choice.grid.study}."
    )
    if choice.better is not None:
        screen.print(
            f"{choice.better.name} had {choice.better.score:.4f}, but its model is not kept."
        )
    screen.print(f"Written to {output}, with its tokenizer and a card.")
