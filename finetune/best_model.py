"""The best model of a study's task, written for use: weights, tokenizer, and how it was chosen."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from finetune.contract import Status
from finetune.errors import SeedbedError
from finetune.files import replacing_folder
from finetune.grid import Grid
from finetune.study import Trial
from finetune.tracking import TrackedTrial, Tracker


@dataclass(frozen=True)
class Choice:
    """The best of a task's trials, and what it was chosen from.

    Attributes:
        grid: the trials planned.
        trial: the best of those whose model is kept.
        run: what the store knows of it.
        states: what it knows of every trial of the grid that was begun.
    """

    grid: Grid
    trial: Trial
    run: TrackedTrial
    states: tuple[TrackedTrial, ...]

    @property
    def metric(self) -> str:
        """The task's own metric, by which it was chosen."""
        assert self.run.metric is not None, "a trial that began has one"
        return self.run.metric

    @property
    def done(self) -> list[TrackedTrial]:
        """The trials that it was chosen from: those that ran to their end."""
        return [state for state in self.states if state.status.is_done]

    @property
    def better(self) -> TrackedTrial | None:
        """The best trial of all, where it is better than the one chosen but has no model kept."""
        best = max(self.done, key=_score)
        return best if _score(best) > _score(self.run) else None


def choose(tracker: Tracker, task: str, study: str | None = None) -> Choice:
    """Find the best trial of a task whose model is kept.

    Args:
        tracker: the store.
        task: the task's name.
        study: the study's name; None where only one study of the store has the task.

    Raises:
        SeedbedError: where there is no such study or task, or none of its models is kept.
    """
    grids = [
        grid
        for name in ([study] if study else tracker.studies())
        for grid in tracker.grids(name)
        if grid.task == task
    ]
    if len(grids) != 1:
        where = f"study {study}" if study else tracker.store
        if not grids:
            raise SeedbedError(
                f"task {task}: there are no trials of it in {where}. `finetune status` shows which "
                "studies and tasks there are."
            )
        raise SeedbedError(
            f"task {task}: {len(grids)} studies in {where} have it: "
            f"{', '.join(grid.study for grid in grids)}. Name one of them."
        )
    (grid,) = grids
    planned = grid.trials()
    tracked = tracker.trials(grid.study)
    kept = [t for t in planned if t.id in tracked and tracked[t.id].model_step is not None]
    if not kept:
        raise SeedbedError(
            f"task {task} of study {grid.study}: the model of no trial is kept. Models are kept "
            "of trials run with keep_best above 0 in the study's file, the best of them."
        )
    best = max(kept, key=lambda trial: _score(tracked[trial.id]))
    states = tuple(tracked[trial.id] for trial in planned if trial.id in tracked)
    return Choice(grid, best, tracked[best.id], states)


def write(choice: Choice, tracker: Tracker, folder: Path) -> None:
    """Write the model chosen as a folder that transformers loads, with a card that says how.

    The card is also put beside the model in the store.

    Args:
        choice: of `choose`.
        tracker: the store.
        folder: where to; what is there must be such a folder, and is replaced.

    Raises:
        SeedbedError: where something else stands at `folder`, or the store cannot be read.
    """
    if folder.exists() and not (folder / "config.json").is_file() and any(folder.iterdir()):
        raise SeedbedError(
            f"{folder}: holds something that is no model, and is left as it is. Give --output "
            "another folder."
        )
    with replacing_folder(folder) as beside:
        tracker.fetch_model(choice.run.run_id, beside)
        path = beside / "README.md"
        path.write_text(card(choice), encoding="utf-8")
        tracker.add_to_model(choice.run.run_id, path)


def card(choice: Choice) -> str:
    """Return the card of the model chosen, in the Hub's Markdown."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("finetune"),
        undefined=jinja2.StrictUndefined,
        autoescape=jinja2.select_autoescape(),  # Markdown is not escaped
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    scores = sorted((_score(state) for state in choice.done), reverse=True)
    count = Counter(state.status for state in choice.states)
    return environment.get_template("model_card.md.j2").render(
        front_matter=yaml.safe_dump(_metadata(choice), sort_keys=False),
        choice=choice,
        metric=choice.metric.replace("_", " "),
        planned=len(choice.grid.trials()),
        diverged=count[Status.DIVERGED],
        stopped=count[Status.STOPPED_EARLY],
        failed=count[Status.FAILED],
        scores=scores,
        median=scores[len(scores) // 2],
        recipe=choice.trial.recipe.model_dump(),
    )


def _metadata(choice: Choice) -> dict[str, Any]:
    trial = choice.trial
    metadata: dict[str, Any] = {
        "library_name": "transformers",
        "pipeline_tag": "text-classification",
        "tags": ["seedbed", trial.task],
        "model-index": [
            {
                "name": f"{trial.study}-{trial.task}",
                "results": [
                    {
                        "task": {"type": "text-classification"},
                        "dataset": {"name": trial.task, "type": trial.task, "split": "validation"},
                        "metrics": [{"type": choice.metric, "value": _score(choice.run)}],
                    }
                ],
            }
        ],
    }
    if "/" in trial.model:
        metadata = {"base_model": trial.model, **metadata}
    return metadata


def _score(state: TrackedTrial) -> float:
    assert state.score is not None, "a trial that ran to its end was evaluated"
    return state.score
