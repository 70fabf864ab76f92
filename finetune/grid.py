"""The grid of a study: which trials there are, and which of them are left to run."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from itertools import islice, product

from finetune.errors import SeedbedError
from finetune.pretrained import Pretrained, find_pretrained
from finetune.study import (
    FOLLOW_DATA_ORDER,
    Recipe,
    Setting,
    Study,
    StudyTask,
    Trial,
    format_seeds,
    parse_seeds,
)
from finetune.tasks import Task, find_task, own_hub_task, own_task


@dataclass(frozen=True)
class Grid(Setting):
    """The trials of one task of a study: what one MLflow experiment holds.

    Attributes, besides those of its setting:
        wi_seeds: seeds of the head's weights.
        do_seeds: seeds of the data order.
        dropout_seeds: seeds of the dropout masks; None where each trial's is its DO seed.
        pairs: how many of the pairs of WI and DO seeds there are trials of; None for all. They lie
            on diagonals, so that each seed has its share of them.
    """

    wi_seeds: tuple[int, ...]
    do_seeds: tuple[int, ...]
    dropout_seeds: tuple[int, ...] | None
    pairs: int | None = None

    def trials(self) -> list[Trial]:
        """Return every trial of the grid: WI seed by WI seed, or diagonal by diagonal."""
        setting = {field.name: getattr(self, field.name) for field in fields(Setting)}
        return [
            Trial(**setting, wi_seed=wi_seed, do_seed=do_seed, dropout_seed=dropout_seed)
            for wi_seed, do_seed in self._seed_pairs()
            for dropout_seed in (self.dropout_seeds or (do_seed,))
        ]

    def _seed_pairs(self) -> list[tuple[int, int]]:
        if self.pairs is None:
            return list(product(self.wi_seeds, self.do_seeds))
        size = len(self.do_seeds)
        diagonals = (
            (wi_seed, self.do_seeds[(row + shift) % size])
            for shift in range(size)
            for row, wi_seed in enumerate(self.wi_seeds)
        )
        return list(islice(diagonals, self.pairs))

    def to_json(self) -> str:
        """Write the grid as compact JSON, for the tag of its experiment."""
        dropout = format_seeds(self.dropout_seeds) if self.dropout_seeds else FOLLOW_DATA_ORDER
        content = {
            **vars(self),
            "recipe": self.recipe.model_dump(exclude_defaults=True),
            "wi_seeds": format_seeds(self.wi_seeds),
            "do_seeds": format_seeds(self.do_seeds),
            "dropout_seeds": dropout,
        }
        if self.pairs is None:
            del content["pairs"]
        return json.dumps(content, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "Grid":
        """Read what `to_json` wrote."""
        content = json.loads(text)
        dropout = content["dropout_seeds"]
        content |= {
            "recipe": Recipe(**content["recipe"]),
            "wi_seeds": parse_seeds(content["wi_seeds"]),
            "do_seeds": parse_seeds(content["do_seeds"]),
            "dropout_seeds": None if dropout == FOLLOW_DATA_ORDER else parse_seeds(dropout),
        }
        return cls(**content)


@dataclass(frozen=True)
class Plan:
    """A study with everything found that it names.

    Attributes:
        pretrained: the encoder.
        tasks: each task by its name.
        grids: one per task, in the order of the study.
        keep_best: of how many of each task's best trials the model is kept.
    """

    pretrained: Pretrained
    tasks: dict[str, Task]
    grids: tuple[Grid, ...]
    keep_best: int = 0

    def trials(self, *, without: Collection[str] = ()) -> list[Trial]:
        """Return the trials of all grids, in order, but for those whose ids are in `without`."""
        return [trial for grid in self.grids for trial in grid.trials() if trial.id not in without]

    def limited(self, pairs: Mapping[str, int]) -> "Plan":
        """Return the plan with trials of so many pairs of seeds of each task.

        Raises:
            SeedbedError: where a grid has not that many.
        """
        for grid in self.grids:
            most = len(grid.wi_seeds) * len(grid.do_seeds)
            if pairs[grid.task] > most:
                raise SeedbedError(
                    f"task {grid.task}: {pairs[grid.task]} trials are to be started, and the seeds "
                    f"make {most}. Give more --wi-seeds or --do-seeds."
                )
        grids = tuple(replace(grid, pairs=pairs[grid.task]) for grid in self.grids)
        return replace(self, grids=grids)


def plan(study: Study) -> Plan:
    """Find the model and the tasks of a study, and lay out its grids.

    Raises:
        SeedbedError: where the model or the data of a task is not there.
    """
    pretrained = find_pretrained(
        study.model, revision=study.model_revision, trust_remote_code=study.trust_remote_code
    )
    tasks = [_find_task(entry, study) for entry in study.tasks]
    grids = tuple(
        Grid(
            study=study.study,
            task=task.name,
            model=pretrained.name,
            model_fingerprint=pretrained.fingerprint,
            data_fingerprint=task.source.fingerprint(),
            train_limit=entry.train_examples or study.train_examples,
            validation_limit=entry.validation_examples or study.validation_examples,
            recipe=study.recipe.model_copy(
                update={name: getattr(entry.recipe, name) for name in entry.recipe.model_fields_set}
            ),
            wi_seeds=entry.wi_seeds or study.wi_seeds,
            do_seeds=entry.do_seeds or study.do_seeds,
            dropout_seeds=study.dropout_seed,
        )
        for entry, task in zip(study.tasks, tasks, strict=True)
    )
    return Plan(pretrained, {task.name: task for task in tasks}, grids, study.keep_best)


def _find_task(entry: StudyTask, study: Study) -> Task:
    own = entry.data
    if own is None:
        return find_task(entry.task, data_dir=entry.data_dir or study.data_dir)
    columns = own.model_dump(include={"text", "label", "labels", "metric"})
    if own.hub is None:
        assert own.train is not None
        assert own.validation is not None
        return own_task(entry.task, train=own.train, validation=own.validation, **columns)
    where = own.model_dump(include={"config", "revision", "train_split", "validation_split"})
    return own_hub_task(entry.task, repo=own.hub, **where, **columns)
