"""The grid of a study: which trials there are."""

from pathlib import Path

import pytest

from finetune.errors import SeedbedError
from finetune.grid import plan
from finetune.study_file import parse_study

TEXT = """
study: mine
model: {model}
tasks:
  - acceptability
  - {{task: entailment, wi_seeds: 7, recipe: {{epochs: 1}}, train_examples: 50}}
wi_seeds: 1-3
do_seeds: 4-5
{more}
"""


def study(model: object = "embedded", more: str = ""):  # type: ignore[no-untyped-def]
    return parse_study(TEXT.format(model=model, more=more), "study.yaml")


def test_every_wi_seed_meets_every_do_seed_on_every_task() -> None:
    trials = plan(study()).trials()
    assert [(t.task, t.wi_seed, t.do_seed) for t in trials] == [
        *[("acceptability", wi, do) for wi in (1, 2, 3) for do in (4, 5)],
        ("entailment", 7, 4),
        ("entailment", 7, 5),
    ]
    assert len({trial.id for trial in trials}) == len(trials)


def test_a_task_changes_the_recipe_for_itself_alone() -> None:
    first, second = plan(study(more="recipe: {epochs: 2, batch_size: 8}")).grids
    assert (first.recipe.epochs, first.recipe.batch_size, first.train_limit) == (2, 8, None)
    assert (second.recipe.epochs, second.recipe.batch_size, second.train_limit) == (1, 8, 50)


def test_dropout_follows_the_data_order_unless_it_is_a_factor() -> None:
    assert {t.dropout_seed - t.do_seed for t in plan(study()).trials()} == {0}
    trials = plan(study(more="dropout_seed: 8-9")).trials()
    assert len(trials) == 16
    assert {t.dropout_seed for t in trials} == {8, 9}


def test_what_is_done_is_left_out() -> None:
    laid_out = plan(study())
    first, *rest = laid_out.trials()
    assert laid_out.trials(without={first.id}) == rest


def test_other_weights_under_the_same_name_are_other_trials(tiny_encoder: Path) -> None:
    before = plan(study(tiny_encoder)).trials()[0]
    config = tiny_encoder / "config.json"
    text = config.read_text()
    try:
        config.write_text(text + " ")
        after = plan(study(tiny_encoder)).trials()[0]
    finally:
        config.write_text(text)
    assert before.model == after.model == "tiny-encoder"
    assert before.id != after.id


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("./nowhere", "there is no such folder"),
        ("no such model", "no name on the Hub"),
        ("nobody/nothing", "Check the name and the network"),
    ],
)
def test_a_model_that_is_not_there_is_said_so(
    model: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without a network the client of the Hub would try again and again.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(SeedbedError, match=message):
        plan(study(f"'{model}'"))


def test_a_folder_without_weights_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(SeedbedError, match=r"holds no \*.safetensors"):
        plan(study(tmp_path))
