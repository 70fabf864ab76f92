"""The best model of a task: the right trial's, whole, and honest about how it was chosen."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from finetune import best_model
from finetune.contract import Status
from finetune.errors import SeedbedError
from finetune.events import Ended, Evaluation, SavedModel, Started
from finetune.grid import Plan, plan
from finetune.study_file import parse_study
from finetune.tracking import Tracker

STUDY = """
study: {study}
model: "{model}"
tasks: [entailment]
wi_seeds: 1-2
do_seeds: 1-2
"""


@pytest.fixture
def tracker(new_store: Callable[[str], str]) -> Tracker:
    return Tracker(new_store("store"))


Record = Callable[..., Plan]


@pytest.fixture
def record(tiny_encoder: Path, tracker: Tracker, tmp_path: Path) -> Record:
    """Record a study whose trials have these scores; a model is kept of those named."""

    def record(
        *scores: float | None, kept: tuple[int, ...] = (), study: str = "tiny", diverged: int = -1
    ) -> Plan:
        laid_out = plan(parse_study(STUDY.format(study=study, model=tiny_encoder), "study.yaml"))
        for grid in laid_out.grids:
            tracker.prepare(grid)
        for place, (trial, score) in enumerate(zip(laid_out.trials(), scores, strict=False)):
            tracker.record(trial, Started({"metric": "accuracy"}, {}))
            if score is None:
                tracker.record(trial, Ended(Status.FAILED, "no memory"))
                continue
            tracker.record(trial, Evaluation(7, 1.0, 0.5, {"accuracy": score}, score, score, False))
            saved = None
            if place in kept:
                folder = tmp_path / f"{study}-{place}"
                folder.mkdir()
                (folder / "config.json").write_text(trial.name)
                saved = SavedModel(folder, 7, score)
            status = Status.DIVERGED if place == diverged else Status.FINISHED
            tracker.record(trial, Ended(status, model=saved))
        return laid_out

    return record


def test_it_is_the_best_of_the_models_that_are_kept(
    record: Record, tracker: Tracker, tmp_path: Path
) -> None:
    record(0.5, 0.8, 0.7, kept=(1, 2))
    choice = best_model.choose(tracker, "entailment")
    assert choice.trial.name == "entailment-wi01-do02"
    assert choice.better is None
    folder = tmp_path / "out"
    best_model.write(choice, tracker, folder)
    assert (folder / "config.json").read_text() == choice.trial.name
    # The card lies beside the model in the store too.
    tracker.fetch_model(choice.run.run_id, tmp_path / "again")
    assert (tmp_path / "again" / "README.md").read_text() == (folder / "README.md").read_text()


def test_its_card_says_how_it_was_chosen_and_out_of_how_many(
    record: Record, tracker: Tracker
) -> None:
    record(0.5, 0.8, None, 0.6, kept=(1,), diverged=0)
    text = best_model.card(best_model.choose(tracker, "entailment"))
    front_matter = yaml.safe_load(text.split("---")[1])
    (result,) = front_matter["model-index"][0]["results"]
    assert result["metrics"] == [{"type": "accuracy", "value": 0.8}]
    for line in (
        "The best of 3 trials of the study **tiny**",
        "| its accuracy | 0.8000 |",
        "| chosen from | 3 trials that ran to their end, of 4 planned |",
        "| of these diverged | 1 |",
        "| failed besides | 1 |",
        "| median of their best scores | 0.6000 |",
        "| worst of their best scores | 0.5000 |",
        "Weight-initialisation seed 1, data-order seed 2, dropout seed 2",
        "| learning_rate | 2e-05 |",
    ):
        assert line in text, line
    assert "\n\n\n" not in text
    assert "A better trial" not in text


def test_a_better_trial_without_a_model_is_said(record: Record, tracker: Tracker) -> None:
    record(0.5, 0.8, 0.9, kept=(0,))
    choice = best_model.choose(tracker, "entailment")
    assert choice.run.score == 0.5
    assert choice.better is not None
    assert choice.better.name == "entailment-wi02-do01"
    assert "`entailment-wi02-do01` with 0.9000, has no model kept" in best_model.card(choice)


def test_a_study_must_be_named_where_several_have_the_task(
    record: Record, tracker: Tracker
) -> None:
    record(0.5, kept=(0,), study="one")
    record(0.6, kept=(0,), study="two")
    with pytest.raises(SeedbedError, match=r"2 studies in .* have it: one, two"):
        best_model.choose(tracker, "entailment")
    assert best_model.choose(tracker, "entailment", "one").run.score == 0.5


def test_what_is_not_there_is_said(record: Record, tracker: Tracker) -> None:
    record(0.5)
    with pytest.raises(SeedbedError, match="there are no trials of it"):
        best_model.choose(tracker, "mrpc")
    with pytest.raises(SeedbedError, match="the model of no trial is kept"):
        best_model.choose(tracker, "entailment")


def test_a_folder_that_holds_something_else_is_left_as_it_is(
    record: Record, tracker: Tracker, tmp_path: Path
) -> None:
    record(0.5, kept=(0,))
    choice = best_model.choose(tracker, "entailment")
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter").write_text("one")
    with pytest.raises(SeedbedError, match="holds something that is no model"):
        best_model.write(choice, tracker, tmp_path / "thesis")
    assert (tmp_path / "thesis" / "chapter").read_text() == "one"
    for _ in range(2):  # the second replaces the first
        best_model.write(choice, tracker, tmp_path / "model")
    assert (tmp_path / "model" / "README.md").is_file()
