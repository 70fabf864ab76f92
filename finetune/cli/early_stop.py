"""Finding a good model for less: `early-stop`."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from finetune.cli import options
from finetune.errors import SeedbedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analysis.early_stopping import Recommendation
    from analysis.progress import Progress
    from finetune.early_stopping import Rule
    from finetune.grid import Grid, Plan

_PANEL = "What is started, and what goes on"


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("early-stop")(early_stop)


def early_stop(
    study: options.StudyArgument = None,
    budget: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Spend as much as N full trainings, by the best setting known.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    start: Annotated[
        int | None,
        typer.Option(
            min=2,
            metavar="N",
            help="Trials to start; all of the grid if left out.",
            show_default=False,
            rich_help_panel=_PANEL,
        ),
    ] = None,
    go_on: Annotated[
        list[int] | None,
        typer.Option(
            "--continue",
            min=1,
            metavar="N",
            help="How many of them go on; one for each --at.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    at: Annotated[
        list[str] | None,
        typer.Option(
            "--at",
            metavar="SHARE",
            help="After which share of the training the others are stopped, such as 0.3 or 1/3.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    continue_wi: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Stop by seed: go on with the N best WI seeds.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    continue_do: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Stop by seed: go on with the N best DO seeds.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    halving: Annotated[
        int | None,
        typer.Option(
            min=2,
            metavar="N",
            help="Successive halving: one in N goes on, to N times the training, and so on.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
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
    workers: options.Workers = None,
    per_gpu: options.PerGpu = 1,
    executor: options.Executor = options.ExecutorChoice.LOCAL,
    device: options.Device = "auto",
    work_dir: options.WorkDir = None,
    warehouse: options.Warehouse = options.DEFAULT_WAREHOUSE,
    store: options.Store = options.DEFAULT_STORE,
) -> None:
    """Start many trials, stop the poor ones early, and train the promising ones to their end.

    They are ranked at a share of their training by their best score so far, as in
    Section 5 of the paper. The best model is kept. The same command goes on where
    it was stopped.

    Example: finetune early-stop dodge2020 --task mrpc --start 41 --continue 11 --at 0.3

    Example: finetune early-stop demo --task entailment --budget 5

    Example: finetune early-stop demo --at 0.3 --continue-wi 2 --continue-do 2
    """
    from finetune.cli.study_options import gather_study
    from finetune.grid import plan

    wanted = _Wanted(budget, start, go_on or [], at or [], continue_wi, continue_do, halving)
    wanted.check()
    # Without a file, and without seeds, there is a seed of each kind for every trial.
    has_seeds = study is not None or bool(wi_seeds and do_seeds)
    found = gather_study(
        study,
        changes={
            "study": name,
            "model": model,
            "wi_seeds": wi_seeds or (None if has_seeds else "1"),
            "do_seeds": do_seeds or (None if has_seeds else "1"),
            "dropout_seed": dropout_seed,
            "train_examples": train_examples,
            "validation_examples": validation_examples,
            "data_dir": data_dir,
        },
        tasks=task or [],
        recipe=options.parse_recipe(recipe, settings),
    )
    laid_out = plan(found)
    settings_of = {grid.task: _setting(wanted, grid, warehouse) for grid in laid_out.grids}
    if not has_seeds:
        most = max(setting.start for setting in settings_of.values())
        seeds = {
            kind: tuple(range(1, most + 1))
            for kind, given in (("wi_seeds", wi_seeds), ("do_seeds", do_seeds))
            if given is None
        }
        laid_out = plan(found.model_copy(update=seeds))
    laid_out = laid_out.limited({task: each.start for task, each in settings_of.items()})
    _run(
        laid_out,
        settings_of,
        store,
        device=device,
        workers=workers,
        per_gpu=per_gpu,
        executor=executor,
        work_dir=work_dir,
        retry_failed=retry_failed,
    )


def _run(
    plan: "Plan",
    settings: "Mapping[str, _Setting]",
    store: str,
    *,
    device: str,
    workers: int | None,
    per_gpu: int,
    executor: options.ExecutorChoice,
    work_dir: Path | None,
    retry_failed: bool,
) -> None:
    """Say what will be done, do what is left of it, and show what came of it."""
    from finetune.cli import display
    from finetune.cli.driving import follow, make_executor
    from finetune.driver import trials_left
    from finetune.early_stopping import early_stopping
    from finetune.standing import standings
    from finetune.tracking import Tracker

    screen = display.console()
    tracker = Tracker(store)
    left = trials_left(plan, tracker, retry_failed=retry_failed)
    rules = {task: setting.rule for task, setting in settings.items()}
    stopping = early_stopping(plan, rules, left, tracker)
    for grid in plan.grids:
        for line in _describe(plan, grid, settings[grid.task]):
            screen.print(line)
    total = len(plan.trials())
    failed = 0
    if left:
        on_ray = executor is options.ExecutorChoice.RAY
        runs, where = make_executor(plan, len(left), device, workers, per_gpu, on_ray=on_ray)
        screen.print(
            f"[dim]{total - len(left)} of {total} trials are over. Running on {where}; tracked in "
            f"{store}.[/]"
        )
        failed = follow(plan, left, runs, tracker, stopping=stopping, work_folder=work_dir)
    study = plan.grids[0].study
    screen.print()
    screen.print(display.study_table(standings(plan.grids, tracker.trials(study))))
    for grid in plan.grids:
        screen.print(f"\nThe best model: finetune best {study} --task {grid.task} --output DIR")
    if failed:
        screen.print(
            f"\n{failed} trial{'s' if failed > 1 else ''} failed; `finetune status {study}` says "
            "why, `--retry-failed` runs them again."
        )
        raise typer.Exit(1)


# ── Which setting ────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True)
class _Setting:
    """How many trials of a task are started, which go on, and why so."""

    start: int
    rule: "Rule"
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Wanted:
    """What the options say of it."""

    budget: int | None
    start: int | None
    go_on: list[int]
    at: list[str]
    wi_seeds: int | None
    do_seeds: int | None
    halving: int | None

    def check(self) -> None:
        """See that it is one way, and said in full.

        Raises:
            SeedbedError: where it is not.
        """
        by_seed = self.wi_seeds is not None or self.do_seeds is not None
        ways = {
            "--budget": self.budget is not None,
            "--at": bool(self.at or self.go_on or by_seed),
            "--halving": self.halving is not None,
        }
        chosen = [way for way, is_chosen in ways.items() if is_chosen]
        if not chosen:
            raise SeedbedError(
                "nothing says which trials go on: give --budget, or --at with --continue (or with "
                "--continue-wi and --continue-do), or --halving."
            )
        if len(chosen) > 1:
            raise SeedbedError(f"{' and '.join(chosen)} are different ways: choose one.")
        if self.budget is not None and self.start is not None:
            raise SeedbedError("--budget says how many trials to start: leave --start out.")
        if by_seed and (self.go_on or len(self.at) != 1):
            raise SeedbedError("to stop by seed give one --at, and no --continue.")
        if by_seed and (self.wi_seeds is None or self.do_seeds is None):
            raise SeedbedError("to stop by seed give both --continue-wi and --continue-do.")
        if not by_seed and len(self.at) != len(self.go_on):
            raise SeedbedError(
                f"each --at needs its --continue: found {len(self.at)} and {len(self.go_on)}."
            )

    def rule(self, start: int) -> "Rule":
        """Return the rule for so many trials, where no budget says it.

        Raises:
            SeedbedError: where it cannot be.
        """
        from finetune.early_stopping import BestSeeds, BestTrials, Rule, Rung, successive_halving

        if self.halving is not None:
            return successive_halving(start, self.halving)
        if self.wi_seeds is not None and self.do_seeds is not None:
            return Rule((Rung(_share(self.at[0]), BestSeeds(self.wi_seeds, self.do_seeds)),))
        if sorted([start, *self.go_on], reverse=True) != [start, *self.go_on]:
            raise SeedbedError(
                f"--continue {' '.join(map(str, self.go_on))}: of {start} trials no more can go on "
                "than there are left."
            )
        rungs = zip(map(_share, self.at), map(BestTrials, self.go_on), strict=True)
        return Rule(tuple(Rung(at, best) for at, best in rungs))


def _share(text: str) -> Fraction:
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise SeedbedError(
            f"--at {text}: is no share of the training; write it as 0.3 or 1/3."
        ) from None


def _setting(wanted: _Wanted, grid: "Grid", warehouse: Path) -> _Setting:
    if wanted.budget is not None:
        return _advised(wanted.budget, grid, warehouse)
    start = wanted.start or len(grid.wi_seeds) * len(grid.do_seeds)
    return _Setting(start, wanted.rule(start))


def _advised(budget: int, grid: "Grid", warehouse: Path) -> _Setting:
    """Return the best setting known that meets a budget, and what is known of it."""
    from analysis.early_stopping import recommend
    from finetune.early_stopping import BestTrials, Rule, Rung

    known = _known_trials(grid, warehouse)
    advice = recommend(budget, known, epochs=grid.recipe.epochs)
    stop = Fraction(advice.stop).limit_denominator(10_000)
    rungs = (Rung(stop, BestTrials(advice.continue_best)),) if stop < 1 else ()
    return _Setting(advice.start, Rule(rungs), tuple(_reasons(advice, known, grid, warehouse)))


def _known_trials(grid: "Grid", warehouse: Path) -> "Progress | None":
    """Return the trials of the task by the same model of the study that has most, if there are."""
    if not warehouse.exists():
        return None
    from analysis import progress
    from analysis.warehouse import Warehouse

    opened = Warehouse(warehouse)
    found = opened.query(
        "select study from trials where task = $task and model = $model "
        "and status in ('finished', 'diverged') group by study order by count(*) desc, study",
        {"task": grid.task, "model": grid.model},
    ).to_pylist()
    return progress.compute(opened, found[0]["study"], grid.task) if found else None


def _reasons(
    advice: "Recommendation", known: "Progress | None", grid: "Grid", warehouse: Path
) -> list[str]:
    trials = 0 if known is None else len(known)
    if advice.is_papers:
        return [
            f"The setting is the paper's advice (Section 5): {warehouse} holds {trials} whole "
            f"trials of {grid.model} on {grid.task}, too few to learn from. What it gains cannot "
            "be told from them."
        ]
    assert known is not None
    assert advice.expected is not None
    assert advice.expected_full is not None
    gain = f"{advice.error_reduction:.1%} less error" if advice.error_reduction else "no gain"
    return [
        f"The setting is the best for {advice.trials} trials of study {known.study}: expected best "
        f"{advice.expected:.4f}, against {advice.expected_full:.4f} of {advice.budget} trained to "
        f"their end: {gain}.",
        f"[dim]Expected over {advice.over}.[/]",
    ]


def _describe(plan: "Plan", grid: "Grid", setting: _Setting) -> list[str]:
    """Say what is started, what goes on, what it costs, and what for."""
    from finetune.early_stopping import BestSeeds, total_steps

    trials = grid.trials()
    steps = total_steps(plan, grid, setting.rule)
    epoch = steps // grid.recipe.epochs
    lines = [f"Study [bold]{grid.study}[/], {grid.task}: {len(trials)} trials of {grid.model}."]
    for rung, count in zip(setting.rule.rungs, setting.rule.counts(trials), strict=True):
        step = rung.step(steps)
        seeds = (
            f" of the best {rung.choice.wi_seeds} WI and {rung.choice.do_seeds} DO seeds"
            if isinstance(rung.choice, BestSeeds)
            else " with the best score so far"
        )
        lines.append(
            f"  After step {step} of {steps} (epoch {step / epoch:.2f}) the {count}{seeds} go on."
        )
    cost = setting.rule.steps(trials, steps)
    lines.append(
        f"  Cost: {cost:,} steps, {cost / epoch:.1f} epochs: as much as {cost / steps:.1f} whole "
        f"trials ({cost / steps / len(trials):.0%} of training all)."
    )
    return lines + [f"  {reason}" for reason in setting.reasons]
