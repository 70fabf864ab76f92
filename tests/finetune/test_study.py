"""Studies, recipes and trials: what they hold, and what a trial's id depends on."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.contract import RECIPE_COLUMNS
from finetune.errors import SeedbedError
from finetune.grid import plan
from finetune.study import RECIPES, Recipe, Trial, format_seeds, parse_seeds
from finetune.study_file import parse_study

TRIAL = Trial(
    study="s",
    task="rte",
    model="m",
    model_fingerprint="a",
    data_fingerprint="b",
    train_limit=None,
    validation_limit=None,
    recipe=Recipe(),
    wi_seed=3,
    do_seed=12,
    dropout_seed=12,
)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("1-4", (1, 2, 3, 4)),
        ("7", (7,)),
        (7, (7,)),
        ("1-3, 9", (1, 2, 3, 9)),
        ([4, 2], (4, 2)),
        (["1-2", 5], (1, 2, 5)),
        ("0", (0,)),
    ],
)
def test_seeds_are_read_as_users_write_them(written: object, read: tuple[int, ...]) -> None:
    assert parse_seeds(written) == read


@pytest.mark.parametrize(
    "written", ["", "a", "5-1", "1,1", "-3", "1-3,2", [], 1.5, True, [True], "4294967296", None]
)
def test_what_are_no_seeds_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match=r"seed|backwards|large"):
        parse_seeds(written)


@given(st.lists(st.integers(0, 60), min_size=1, unique=True))
def test_written_seeds_read_back_as_they_were(seeds: list[int]) -> None:
    assert parse_seeds(format_seeds(seeds)) == tuple(seeds)


def test_the_defaults_of_a_recipe_are_the_paper() -> None:
    recipe = Recipe()
    assert (recipe.epochs, recipe.batch_size, recipe.learning_rate) == (3, 16, 2e-5)
    assert (recipe.dropout, recipe.max_length, recipe.evaluate) == (0.1, 128, "10 per epoch")
    assert not recipe.bias_correction


def test_every_field_of_a_recipe_has_its_column_in_the_contract() -> None:
    assert [column.name for column in RECIPE_COLUMNS] == list(Recipe.model_fields)


def test_the_paper_evaluates_thirty_times_and_before_the_first_step() -> None:
    steps = Recipe().evaluation_steps(230)  # MRPC: 3,668 examples in batches of 16
    assert len(steps) == 31
    assert steps[:3] == (0, 23, 46)
    assert {230, 460, 690} <= set(steps)


def test_every_hundred_steps_still_evaluates_at_the_ends_of_epochs() -> None:
    steps = Recipe(evaluate="every 100 steps").evaluation_steps(250)
    assert steps == (0, 100, 200, 250, 300, 400, 500, 600, 700, 750)


def test_as_released_evaluates_densely_at_first() -> None:
    steps = RECIPES["released-code"].evaluation_steps(400)
    first = [step for step in steps if step <= 400]
    assert first[:51] == list(range(51))
    assert first[51:54] == [51, 61, 71]
    assert [step for step in first if step > 291] == [321, 361, 400]
    second = [step - 400 for step in steps if 400 < step <= 800]
    assert second == [1, 41, 81, 121, 161, 201, 241, 281, 321, 361, 400]


def test_recipes_can_be_named_and_changed_field_by_field() -> None:
    text = "study: s\nmodel: embedded\nwi_seeds: 1\ndo_seeds: 1\n"
    named = parse_study(text + "tasks: [entailment]\nrecipe: modern\n", "study.yaml")
    assert named.recipe == RECIPES["modern"]
    changed = parse_study(
        text
        + "tasks: [{task: entailment, recipe: {preset: released-code, dropout: 0.2}}]\n"
        + "recipe: modern\n",
        "study.yaml",
    )
    (grid,) = plan(changed).grids
    assert grid.recipe == RECIPES["released-code"].model_copy(update={"dropout": 0.2})
    with pytest.raises(SeedbedError, match=r"line 6: recipe: 'fancy' is no recipe; the recipes"):
        parse_study(text + "tasks: [entailment]\nrecipe: fancy\n", "study.yaml")


@given(st.integers(1, 40), st.integers(1, 5), st.integers(1, 60))
def test_evaluations_ascend_from_the_start_to_the_end(parts: int, epochs: int, size: int) -> None:
    steps = Recipe(epochs=epochs, evaluate=f"{parts} per epoch").evaluation_steps(size)
    assert list(steps) == sorted(set(steps))
    assert steps[0] == 0
    assert steps[-1] == epochs * size
    assert len(steps) == 1 + epochs * min(parts, size)


@given(st.integers(1, 1000), st.integers(1, 64))
def test_an_epoch_sees_every_example_once(examples: int, batch: int) -> None:
    steps = Recipe(batch_size=batch).steps_per_epoch(examples)
    assert (steps - 1) * batch < examples <= steps * batch


def test_a_trials_id_is_pinned_so_that_finished_trials_stay_finished() -> None:
    assert TRIAL.id == "ae50b76aa5278868"


@pytest.mark.parametrize(
    "change",
    [
        {"study": "t"},
        {"task": "cola"},
        {"model_fingerprint": "c"},
        {"data_fingerprint": "c"},
        {"train_limit": 100},
        {"validation_limit": 100},
        {"wi_seed": 4},
        {"do_seed": 4},
        {"dropout_seed": 4},
        {"recipe": Recipe(epochs=2)},
        {"recipe": Recipe(clipping="global")},
    ],
    ids=str,
)
def test_all_that_affects_a_trial_changes_its_id(change: dict[str, Any]) -> None:
    assert replace(TRIAL, **change).id != TRIAL.id


def test_saying_a_default_aloud_does_not_change_the_id() -> None:
    assert replace(TRIAL, recipe=Recipe(epochs=3, dropout=0.1)).id == TRIAL.id


def test_the_name_of_a_trial_sorts_by_seed() -> None:
    assert TRIAL.name == "rte-wi03-do12"
    assert replace(TRIAL, dropout_seed=7).name == "rte-wi03-do12-dropout07"
