"""Running trials: `run`, `trial`, `best`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from finetune.cli import options
from finetune.errors import SeedbedError

if TYPE_CHECKING:
    from finetune.study import Study


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(run)
    app.command()(trial)
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
    retry_failed: options.RetryFailed = False,
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            metavar="K/N",
            show_default=False,
            help="Only the K-th of N equal parts: for several machines, each with its own K.",
        ),
    ] = None,
    plan_only: Annotated[
        bool,
        typer.Option(
            "--plan", help="Show what it will take, measured here; run and write nothing."
        ),
    ] = False,
    workers: options.Workers = None,
    per_gpu: options.PerGpu = 1,
    executor: options.Executor = options.ExecutorChoice.LOCAL,
    device: options.Device = "auto",
    work_dir: options.WorkDir = None,
    store: options.Store = options.DEFAULT_STORE,
) -> None:
    """Run a study: every trial of its grid that the store does not hold as done.

    The same command goes on where it was stopped.

    Example: finetune run demo

    Example: finetune run dodge2020 --plan

    Example: finetune run dodge2020 --shard 3/16

    Example: finetune run --task mrpc --model bert-large-uncased --wi-seeds 1-25 --do-seeds 1-25
    """
    from finetune.cli.planning import show_plan
    from finetune.cli.study_options import gather_study

    act = show_plan if plan_only else run_study
    act(
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
        per_gpu=per_gpu,
        executor=executor,
        device=device,
        work_dir=work_dir,
        retry_failed=retry_failed,
        shard=shard,
    )


def run_study(
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
    """Run what is left of a study, show its progress and how it ended.

    Raises:
        SeedbedError: where nothing could be run.
        typer.Exit: with status 1 where trials failed.
    """
    from finetune.cli import display
    from finetune.cli.driving import follow, make_executor
    from finetune.contract import Status
    from finetune.driver import trials_left
    from finetune.grid import plan
    from finetune.shard import Shard
    from finetune.standing import standings
    from finetune.tracking import Tracker

    screen = display.console()
    laid_out = plan(study)
    planned, part = laid_out.trials(), "Study"
    if shard is not None:
        planned, part = Shard.parse(shard).of(planned), f"Shard {Shard.parse(shard)} of study"
    tracker = Tracker(store)
    if written := tracker.catch_up():
        screen.print(f"Wrote {written:,} entries that had waited for {store}.")
    own = {trial.id for trial in planned}
    left = [
        trial
        for trial in trials_left(laid_out, tracker, retry_failed=retry_failed)
        if trial.id in own
    ]
    total = len(planned)
    screen.print(
        f"{part} [bold]{study.study}[/]: {total} trial{'s' if total > 1 else ''} of "
        f"{laid_out.pretrained.name} on "
        f"{', '.join(laid_out.tasks)}; {total - len(left)} done, {len(left)} to run."
    )
    if left:
        on_ray = executor is options.ExecutorChoice.RAY
        runs, where = make_executor(laid_out, len(left), device, workers, per_gpu, on_ray=on_ray)
        screen.print(f"[dim]Running on {where}; tracked in {store}.[/]")
        failed = follow(laid_out, left, runs, tracker, work_folder=work_dir)
    else:
        failed = 0
    study_standing = standings(laid_out.grids, tracker.trials(study.study))
    screen.print()
    screen.print(display.study_table(study_standing))
    if failed:
        screen.print(
            f"\n{failed} trial{'s' if failed > 1 else ''} failed; `finetune status {study.study}` "
            "says why, `--retry-failed` runs them again."
        )
        raise typer.Exit(1)
    before = sum(each.counts[Status.FAILED] for each in study_standing)
    if before and not left:
        screen.print(f"\n{before} failed before; `--retry-failed` runs them again.")


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
    from finetune.cli import display, progress
    from finetune.cli.study_options import gather_study
    from finetune.driver import run as drive
    from finetune.events import Ended, Evaluation
    from finetune.executors import InlineExecutor, Supplies
    from finetune.executors.devices import find_device
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
    executor = InlineExecutor(Supplies(laid_out.pretrained, laid_out.tasks), find_device(device))
    evaluations: list[Evaluation] = []
    ended = None
    tracker = Tracker(store)
    seen = progress.Progress.of(trials)
    with progress.follow(seen, lambda: tracker.waiting) as listen:
        for report in drive(laid_out, trials, executor, tracker, is_plan=False):
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
