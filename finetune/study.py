"""Studies: model × tasks × WI seeds × DO seeds × recipe; and the trials they are made of.

Each field's `description` says what is allowed; `finetune.study_file` puts it into its messages.
"""

import functools
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    model_validator,
)

from finetune.contract import TASK_METRICS

FOLLOW_DATA_ORDER = "follow-data-order"
"""The dropout seed is the DO seed, as in the paper's program."""

_LARGEST_SEED = 2**32 - 1
_SEEDS_ALLOWED = "whole numbers from 0, as a range (1-25), a list ([1, 4, 7]) or both (1-5, 9)"


# ── Seeds ────────────────────────────────────────────────────────────────────────────────────────
def parse_seeds(value: object) -> tuple[int, ...]:
    """Read seeds as users write them: `7`, `1-25`, `1-5, 9`, `[1, 4, 7]`.

    Returns:
        The seeds in the order given, each once.

    Raises:
        ValueError: where it is none of these, says a seed twice, or a range runs backwards.
    """
    parts = value if isinstance(value, list | tuple) else str(value).split(",")
    seeds: list[int] = []
    for part in parts:
        match = re.fullmatch(r"\s*(\d+)(?:\s*(?:-|\.\.)\s*(\d+))?\s*", str(part))
        if match is None or isinstance(part, bool):
            raise ValueError(f"{part!r} is no seed and no range of seeds")
        first = int(match[1])
        last = int(match[2]) if match[2] else first
        if last < first:
            raise ValueError(f"the range {first}-{last} runs backwards")
        if last > _LARGEST_SEED:
            raise ValueError(f"{last} is too large: seeds are below 2^32")
        if last - first >= 1_000_000:
            raise ValueError(f"the range {first}-{last} holds more than a million seeds")
        seeds.extend(range(first, last + 1))
    twice = sorted({seed for seed in seeds if seeds.count(seed) > 1}) if len(seeds) < 10_000 else []
    if twice or len(set(seeds)) != len(seeds):
        raise ValueError(f"seed {', '.join(map(str, twice)) or '…'} is there more than once")
    if not seeds:
        raise ValueError("there are no seeds")
    return tuple(seeds)


def format_seeds(seeds: Sequence[int]) -> str:
    """Write seeds as briefly as `parse_seeds` reads them: `1-5,9`."""
    runs: list[tuple[int, int]] = []
    for seed in seeds:
        if runs and seed == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], seed)
        else:
            runs.append((seed, seed))
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


Seeds = Annotated[
    tuple[int, ...],
    BeforeValidator(parse_seeds),
    PlainSerializer(format_seeds, return_type=str),
]


def _parse_dropout_seeds(value: object) -> tuple[int, ...] | None:
    return None if value is None or value == FOLLOW_DATA_ORDER else parse_seeds(value)


# ── The recipe ───────────────────────────────────────────────────────────────────────────────────
_EVALUATE = re.compile(r"\s*(?:(\d+)\s+per\s+epoch|every\s+(\d+)\s+steps?)\s*")
_AS_RELEASED = "as released"
_EVALUATE_ALLOWED = (
    "`10 per epoch` or `every 100 steps`, with any whole number from 1, or `as released`"
)


def _parse_evaluate(value: object) -> str:
    if value == _AS_RELEASED:
        return _AS_RELEASED
    match = _EVALUATE.fullmatch(str(value))
    if match is None or int(match[1] or match[2]) < 1:
        raise ValueError(f"{value!r} does not say when to evaluate")
    return f"{int(match[1])} per epoch" if match[1] else f"every {int(match[2])} steps"


class _Section(BaseModel):
    """A mapping of a study file: frozen, and no field that is not declared."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class Recipe(_Section):
    """Everything that stays fixed in a study. The defaults are the paper's (section 2.2).

    Three fields are for what the authors' program did beyond what the paper says:

    - `schedule: as released` applies the schedule twice, see `finetune.optimizer.learning_rate`;
    - `dropout_until_evaluated` turns dropout off in each epoch once the model has been evaluated in
      it, since the program's validation left the model in evaluation mode;
    - `evaluate: as released` evaluates after many of the first steps, see `evaluation_steps`.
    """

    epochs: int = Field(default=3, ge=1, description="a whole number from 1")
    batch_size: int = Field(default=16, ge=1, description="a whole number from 1")
    learning_rate: float = Field(
        default=2e-5, gt=0, le=1, description="a number above 0, at most 1"
    )
    warmup: float = Field(
        default=0.1,
        ge=0,
        lt=1,
        description="a share of all steps, from 0 up to but not including 1",
    )
    schedule: Literal["linear", "as released"] = Field(
        default="linear", description="linear or as released"
    )
    bias_correction: bool = Field(default=False, description="true or false")
    weight_decay: float = Field(default=0.01, ge=0, le=1, description="a number from 0 to 1")
    adam_epsilon: float = Field(default=1e-6, gt=0, le=1, description="a number above 0, at most 1")
    clipping: Literal["per-parameter", "global", "none"] = Field(
        default="per-parameter", description="per-parameter, global or none"
    )
    clip_norm: float = Field(default=1.0, gt=0, allow_inf_nan=False, description="a number above 0")
    dropout: float = Field(
        default=0.1, ge=0, lt=1, description="a probability, from 0 up to but not including 1"
    )
    dropout_until_evaluated: bool = Field(default=False, description="true or false")
    max_length: int = Field(default=128, ge=4, description="a whole number of tokens from 4")
    precision: Literal["fp32", "bf16"] = Field(default="fp32", description="fp32 or bf16")
    evaluate: Annotated[str, BeforeValidator(_parse_evaluate)] = Field(
        default="10 per epoch", description=_EVALUATE_ALLOWED
    )

    def steps_per_epoch(self, examples: int) -> int:
        """Return how many optimiser steps one pass takes; the last batch may be partial."""
        return -(-examples // self.batch_size)

    def evaluation_steps(self, steps_per_epoch: int) -> tuple[int, ...]:
        """Return after which optimiser steps the model is evaluated, ascending.

        Always before the first step, at the end of each epoch and so at the end; between them at
        equal parts of each epoch, or every so many steps of the whole trial.

        As released: in each epoch after its first step and every so many from there, a tenth of the
        epoch but at most 100; in the first epoch also after each of the first 50 steps and every
        tenth of the first 300.
        """
        ends = [steps_per_epoch * (epoch + 1) for epoch in range(self.epochs)]
        match = _EVALUATE.fullmatch(self.evaluate)
        if match is None:
            tenth = max(1, min(steps_per_epoch // 10, 100))
            between = {
                steps_per_epoch * epoch + place + 1
                for epoch in range(self.epochs)
                for place in range(steps_per_epoch)
                if place % tenth == 0
                or (epoch == 0 and (place < 50 or (place < 300 and place % 10 == 0)))
            }
        elif match[1]:
            parts = int(match[1])
            between = {
                steps_per_epoch * epoch + round(steps_per_epoch * part / parts)
                for epoch in range(self.epochs)
                for part in range(1, parts)
            }
        else:
            between = set(range(0, ends[-1], int(match[2])))
        return tuple(sorted({0, *between, *ends}))


RECIPES: Mapping[str, Recipe] = {
    "paper": Recipe(),
    "released-code": Recipe(
        schedule="as released", dropout_until_evaluated=True, evaluate=_AS_RELEASED
    ),
    "modern": Recipe(epochs=20, bias_correction=True, clipping="global"),
}
"""Recipes by name.

- `paper`: BERT's own Adam, as section 2.2 of the paper has it.
- `released-code`: the same with what the authors' program did besides.
- `modern`: the baseline of Mosbach, Andriushchenko and Klakow (2021), "On the Stability of
  Fine-tuning BERT", section 6: bias correction, long training, warm-up over a tenth of it.
"""


def _parse_recipe(value: object) -> object:
    """Put the fields of a named recipe under those given beside it."""
    given = {"preset": value} if isinstance(value, str) else value
    if not isinstance(given, Mapping) or "preset" not in given:
        return given
    preset = given["preset"]
    if preset not in RECIPES:
        raise ValueError(f"{preset!r} is no recipe; the recipes are {', '.join(RECIPES)}")
    return {**RECIPES[preset].model_dump(), **{k: v for k, v in given.items() if k != "preset"}}


RecipeSection = Annotated[Recipe, BeforeValidator(_parse_recipe)]
_RECIPE_ALLOWED = f"a mapping of recipe fields, or one of {', '.join(RECIPES)}"


# ── The study ────────────────────────────────────────────────────────────────────────────────────
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_NAME_ALLOWED = "letters, digits, dot, dash and underscore, the first a letter or a digit"
_TASK_ALLOWED = "the name of a task (see `finetune tasks`)"
_LIMIT_ALLOWED = "a whole number from 1, or nothing for all"


def _parse_texts(value: object) -> object:
    return (value,) if isinstance(value, str) else value


class OwnData(_Section):
    """A user's own data: files, or a data set of the Hub, with its columns and metric."""

    train: Path | None = Field(default=None, description="a CSV, TSV or JSONL file")
    validation: Path | None = Field(default=None, description="a CSV, TSV or JSONL file")
    hub: str | None = Field(
        default=None, description="a data set of the Hub, such as someone/reviews"
    )
    config: str | None = Field(default=None, description="a configuration of the Hub data set")
    revision: str | None = Field(
        default=None, description="a branch, tag or commit of the Hub data set"
    )
    train_split: str = Field(default="train", description="a split of the Hub data set")
    validation_split: str = Field(default="validation", description="a split of the Hub data set")
    text: Annotated[tuple[str, ...], BeforeValidator(_parse_texts)] = Field(
        min_length=1, max_length=2, description="one or two column names"
    )
    label: str = Field(default="label", description="a column name")
    labels: tuple[str, ...] | None = Field(
        default=None, description="the names of the classes, in order"
    )
    metric: Literal[TASK_METRICS] = Field(  # type: ignore[valid-type]
        "accuracy", description=", ".join(TASK_METRICS)
    )

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        files = self.train is not None and self.validation is not None
        if (self.hub is None) != files or (self.hub and (self.train or self.validation)):
            raise ValueError("data takes either `train` and `validation` files, or `hub`")
        return self


class StudyTask(_Section):
    """A task of a study. What it leaves out is as the study says."""

    task: str = Field(pattern=_NAME, description=_TASK_ALLOWED)
    wi_seeds: Seeds | None = Field(default=None, description=_SEEDS_ALLOWED)
    do_seeds: Seeds | None = Field(default=None, description=_SEEDS_ALLOWED)
    recipe: RecipeSection = Field(default=Recipe(), description=_RECIPE_ALLOWED)
    train_examples: int | None = Field(default=None, ge=1, description=_LIMIT_ALLOWED)
    validation_examples: int | None = Field(default=None, ge=1, description=_LIMIT_ALLOWED)
    data_dir: Path | None = Field(default=None, description="a folder of GLUE TSV files")
    data: OwnData | None = Field(default=None, description="a mapping that describes your own data")


def _parse_task(value: object) -> object:
    return {"task": value} if isinstance(value, str) else value


class Study(_Section):
    """A study, as its file says it. Paths are absolute, or relative to the working directory."""

    study: str = Field(pattern=f"^{_NAME}$", description=_NAME_ALLOWED)
    model: str = Field(
        min_length=1, description="a model of the Hub, a folder, or `embedded` for the built-in one"
    )
    model_revision: str | None = Field(
        default=None, description="a branch, tag or commit on the Hub"
    )
    trust_remote_code: bool = Field(default=False, description="true or false")
    tasks: tuple[Annotated[StudyTask, BeforeValidator(_parse_task)], ...] = Field(
        min_length=1, description="a list of tasks"
    )
    wi_seeds: Seeds = Field(description=_SEEDS_ALLOWED)
    do_seeds: Seeds = Field(description=_SEEDS_ALLOWED)
    dropout_seed: Annotated[
        tuple[int, ...] | None,
        BeforeValidator(_parse_dropout_seeds),
        PlainSerializer(lambda s: FOLLOW_DATA_ORDER if s is None else format_seeds(s)),
    ] = Field(default=None, description=f"{FOLLOW_DATA_ORDER}, or {_SEEDS_ALLOWED}")
    recipe: RecipeSection = Field(default=Recipe(), description=_RECIPE_ALLOWED)
    train_examples: int | None = Field(default=None, ge=1, description=_LIMIT_ALLOWED)
    validation_examples: int | None = Field(default=None, ge=1, description=_LIMIT_ALLOWED)
    data_dir: Path | None = Field(default=None, description="a folder of GLUE TSV files")
    keep_best: int = Field(
        default=1,
        ge=0,
        description="of how many of each task's best trials the model is kept, from 0",
    )


# ── Trials ───────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True)
class Setting:
    """All that the trials of one task of a study share.

    Attributes:
        study: the study's name.
        task: the task's name.
        model: the pretrained model's name.
        model_fingerprint: tells the model's weights and vocabulary from any other.
        data_fingerprint: tells the task's data from any other.
        train_limit: how many training examples are used; None for all.
        validation_limit: how many validation examples are used; None for all.
        recipe: the recipe.
    """

    study: str
    task: str
    model: str
    model_fingerprint: str
    data_fingerprint: str
    train_limit: int | None
    validation_limit: int | None
    recipe: Recipe


@dataclass(frozen=True)
class Trial(Setting):
    """One fine-tuning episode: all that its numbers depend on, and the study it belongs to.

    Attributes, besides those of its setting:
        wi_seed: seed of the head's weights.
        do_seed: seed of the data order.
        dropout_seed: seed of the dropout masks.
    """

    wi_seed: int
    do_seed: int
    dropout_seed: int

    @functools.cached_property
    def id(self) -> str:
        """Hash of all that affects the trial's numbers, and of the study's name: 16 hex digits.

        The same trial in another study has another id, so that the tables of several studies can
        stand in one warehouse. Fields of the recipe that have their default are left out, so that
        a field added later leaves the ids of finished trials as they are.
        """
        content = {
            **{field.name: getattr(self, field.name) for field in fields(self)},
            "recipe": self.recipe.model_dump(exclude_defaults=True),
        }
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def name(self) -> str:
        """A name that sorts and reads well in `mlflow ui`: `mrpc-wi03-do12`."""
        name = f"{self.task}-wi{self.wi_seed:02d}-do{self.do_seed:02d}"
        return (
            name if self.dropout_seed == self.do_seed else f"{name}-dropout{self.dropout_seed:02d}"
        )
