"""The loop: what it computes, what each seed changes in it, and how it ends."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score

from finetune.contract import Status
from finetune.errors import SeedbedError
from finetune.events import Evaluation, Step
from finetune.model import EncodedSplit, Model
from finetune.optimizer import decay
from finetune.pretrained import Pretrained
from finetune.study import Trial
from finetune.tasks import Task
from finetune.training import (
    batches,
    begin,
    evaluate,
    load_state,
    save_best,
    save_state,
    train,
)


@dataclass
class Course:
    """What a trial went through."""

    steps: list[Step]
    evaluations: list[Evaluation]
    status: Status

    @property
    def losses(self) -> list[float]:
        return [step.loss for step in self.steps]


@pytest.fixture(scope="module")
def model(tiny_pretrained: Pretrained) -> Model:
    torch.set_num_threads(1)
    return Model(tiny_pretrained, 2, torch.device("cpu"))


@pytest.fixture(scope="module")
def splits(model: Model, reviews: Task) -> tuple[EncodedSplit, EncodedSplit]:
    data = reviews.source.read()
    return model.encode(data.train, 16), model.encode(data.validation, 16)


@pytest.fixture
def run(model: Model, splits: tuple[EncodedSplit, EncodedSplit]) -> Callable[[Trial], Course]:
    def run(trial: Trial) -> Course:
        course = Course([], [], Status.RUNNING)
        events = train(trial, model, begin(trial, model, *splits), *splits, "accuracy")
        while True:
            try:
                event = next(events)
            except StopIteration as end:
                course.status = end.value
                return course
            match event:
                case Step():
                    course.steps.append(event)
                case Evaluation():
                    course.evaluations.append(event)

    return run


def test_the_same_trial_gives_the_same_numbers_to_the_bit(run: Any, make_trial: Any) -> None:
    trial = make_trial()
    first = run(trial)
    run(make_trial(wi_seed=9, learning_rate=1.0))
    second = run(trial)
    assert first.losses == second.losses
    assert [e.metrics for e in first.evaluations] == [e.metrics for e in second.evaluations]
    assert [e.loss for e in first.evaluations] == [e.loss for e in second.evaluations]


def test_a_trial_has_the_same_numbers_whichever_way_its_device_goes(
    run: Any, make_trial: Any, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = make_trial(dropout=0.3)
    packed = run(trial)
    monkeypatch.setattr(model, "_packs", False)
    padded = run(trial)
    assert padded.losses == pytest.approx(packed.losses, rel=1e-4)
    assert padded.losses != packed.losses, "both went the same way"
    losses = [e.loss for e in packed.evaluations]
    assert [e.loss for e in padded.evaluations] == pytest.approx(losses, rel=1e-4)


@pytest.mark.parametrize("seed", ["wi_seed", "do_seed", "dropout_seed"])
def test_each_seed_changes_the_training(run: Any, make_trial: Any, seed: str) -> None:
    assert run(make_trial()).losses != run(make_trial(**{seed: 77})).losses


def test_only_the_wi_seed_changes_the_model_before_training(run: Any, make_trial: Any) -> None:
    start = run(make_trial()).evaluations[0].loss
    assert run(make_trial(do_seed=77, dropout_seed=77)).evaluations[0].loss == start
    assert run(make_trial(wi_seed=77)).evaluations[0].loss != start


def test_without_dropout_the_dropout_seed_changes_nothing(run: Any, make_trial: Any) -> None:
    one = run(make_trial(dropout=0.0))
    other = run(make_trial(dropout=0.0, dropout_seed=77))
    assert one.losses == other.losses


def test_a_whole_run_is_that_of_the_hugging_face_trainer(
    run: Any,
    make_trial: Any,
    tiny_pretrained: Pretrained,
    model: Model,
    splits: tuple[EncodedSplit, EncodedSplit],
    tmp_path: Path,
) -> None:
    from transformers import Trainer, TrainingArguments

    trial = make_trial(
        dropout=0.0, clipping="global", bias_correction=True, batch_size=6, epochs=3,
        learning_rate=5e-3,
    )  # fmt: skip
    course = run(trial)

    training = splits[0]
    model.reset(trial.wi_seed)
    reference, _ = tiny_pretrained.classifier(2)
    reference.load_state_dict(model.module.state_dict())
    for module in reference.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0

    class InOurOrder(Trainer):
        def get_train_dataloader(self) -> Any:
            # One pass holds all epochs, so that each has an order of its own.
            return [
                {**training.batch(examples), "labels": training.labels[examples]}
                for examples in batches(trial, len(training))
            ]

    arguments = TrainingArguments(
        output_dir=str(tmp_path),
        num_train_epochs=1,
        learning_rate=trial.recipe.learning_rate,
        weight_decay=trial.recipe.weight_decay,
        adam_epsilon=trial.recipe.adam_epsilon,
        max_grad_norm=1.0,
        warmup_steps=math.ceil(0.1 * len(course.losses)),
        logging_steps=1,
        logging_strategy="steps",
        save_strategy="no",
        report_to="none",
        use_cpu=True,
        disable_tqdm=True,
    )
    with torch.random.fork_rng():
        trainer = InOurOrder(reference, arguments)
        trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    np.testing.assert_allclose(course.losses, losses, rtol=1e-4, atol=1e-4)
    assert np.ptp(losses) > 0.05


@pytest.mark.parametrize("stop", range(1, 15, 3))
@pytest.mark.parametrize("recipe", ["paper", "released"])
def test_a_trial_stopped_anywhere_goes_on_to_the_same_numbers(
    run: Any,
    make_trial: Any,
    model: Model,
    splits: tuple[EncodedSplit, EncodedSplit],
    tmp_path: Path,
    stop: int,
    recipe: str,
) -> None:
    fields = {"paper": {}, "released": {"dropout_until_evaluated": True, "schedule": "as released"}}
    trial = make_trial(**fields[recipe])
    whole = run(trial)
    state = begin(trial, model, *splits)
    events: list[Any] = list(islice(train(trial, model, state, *splits, "accuracy"), stop))
    save_state(tmp_path / "state", trial, model, state)

    run(make_trial(wi_seed=99, do_seed=98))
    state = load_state(tmp_path / "state", trial, model, *splits)
    events += train(trial, model, state, *splits, "accuracy")
    assert [e.loss for e in events if isinstance(e, Step)] == whole.losses
    evaluations = [e for e in events if isinstance(e, Evaluation)]
    assert [replace(e, time=0) for e in evaluations] == [
        replace(e, time=0) for e in whole.evaluations
    ]


def test_the_best_model_is_that_of_the_best_evaluation_across_a_stop(
    make_trial: Any,
    model: Model,
    splits: tuple[EncodedSplit, EncodedSplit],
    tmp_path: Path,
) -> None:
    from transformers import AutoModelForSequenceClassification

    trial = make_trial(
        wi_seed=3, learning_rate=3e-3, weight_decay=0.9, epochs=4, evaluate="every 1 steps"
    )
    state = begin(trial, model, *splits)
    evaluations = []
    for number, event in enumerate(train(trial, model, state, *splits, "accuracy", keep_best=True)):
        if isinstance(event, Evaluation):
            evaluations.append(event)
        if number == 15:
            break
    save_state(tmp_path / "state", trial, model, state)
    state = load_state(tmp_path / "state", trial, model, *splits)
    events = train(trial, model, state, *splits, "accuracy", keep_best=True)
    evaluations += [event for event in events if isinstance(event, Evaluation)]
    best = max(evaluations, key=lambda evaluation: evaluation.score)
    assert 0 < best.step < evaluations[-1].step, "an end would prove little"
    assert state.best is not None
    assert (state.best.step, state.best.score) == (best.step, best.score)

    steps_per_epoch = trial.recipe.steps_per_epoch(len(splits[0]))
    save_best(tmp_path / "best", trial, model, state.best, ("bad", "good"), steps_per_epoch)
    model.reset(1)
    name = next(n for n in model.module.state_dict() if n.endswith("word_embeddings.weight"))
    table = model.module.state_dict()[name].clone()
    model.module.load_state_dict(
        AutoModelForSequenceClassification.from_pretrained(tmp_path / "best").state_dict()
    )
    again = evaluate(model, splits[1], "accuracy", trial.recipe, best.step, best.epoch)
    assert again.score == best.score
    assert again.loss == pytest.approx(best.loss, rel=1e-5)
    # What no example has in it was never looked up, and has decayed like all else.
    used = {word for split in splits for words in split.inputs["input_ids"] for word in words}
    unused = [word for word in range(1, len(table)) if word not in used]
    kept = model.module.state_dict()[name][unused]
    factor = decay(trial.recipe, best.step, steps_per_epoch)
    assert factor < 0.99
    torch.testing.assert_close(kept, table[unused] * factor)


def test_a_loss_that_is_not_finite_ends_the_trial_as_diverged_also_when_taken_up_there(
    make_trial: Any, model: Model, splits: tuple[EncodedSplit, EncodedSplit], tmp_path: Path
) -> None:
    trial = make_trial()
    state = begin(trial, model, *splits)
    with torch.no_grad():
        next(model.module.parameters()).fill_(math.nan)
    events = list(train(trial, model, state, *splits, "accuracy"))
    assert isinstance(events[-1], Step)
    assert math.isnan(events[-1].loss)
    assert state.step == 1, "nothing is trained after it"
    save_state(tmp_path / "state", trial, model, state)
    state = load_state(tmp_path / "state", trial, model, *splits)
    with pytest.raises(StopIteration) as end:
        next(train(trial, model, state, *splits, "accuracy"))
    assert end.value.value is Status.DIVERGED


def test_training_stops_at_a_step_once_it_is_evaluated_there(
    make_trial: Any, model: Model, splits: tuple[EncodedSplit, EncodedSplit]
) -> None:
    trial = make_trial(evaluate="every 3 steps")
    state = begin(trial, model, *splits)
    for until, last in ((2, Step), (3, Evaluation), (3, Evaluation), (1, Evaluation)):
        list(train(trial, model, state, *splits, "accuracy", until=until))
        with pytest.raises(StopIteration) as end:
            next(train(trial, model, state, *splits, "accuracy", until=until))
        assert end.value.value is None
        assert isinstance(state.course[-1], last)
    assert state.step == 3


def test_a_state_is_taken_up_by_its_own_trial_alone(
    make_trial: Any, model: Model, splits: tuple[EncodedSplit, EncodedSplit], tmp_path: Path
) -> None:
    trial = make_trial()
    save_state(tmp_path / "state", trial, model, begin(trial, model, *splits))
    with pytest.raises(SeedbedError, match="holds the state of trial"):
        load_state(tmp_path / "state", make_trial(wi_seed=5), model, *splits)


def test_an_epoch_sees_every_example_once_in_the_seeds_order(make_trial: Any) -> None:
    trial = make_trial(epochs=2, batch_size=8)
    seen = list(batches(trial, 37))
    assert [len(batch) for batch in seen] == [8, 8, 8, 8, 5] * 2
    for start in range(10):
        later = list(batches(trial, 37, start))
        assert all(np.array_equal(a, b) for a, b in zip(later, seen[start:], strict=True))
    first, second = np.concatenate(seen[:5]), np.concatenate(seen[5:])
    assert sorted(first) == sorted(second) == list(range(37))
    assert not np.array_equal(first, second)


def test_dropout_until_evaluated_is_off_after_each_epochs_first_evaluation(
    run: Any, make_trial: Any
) -> None:
    """Five steps an epoch, evaluated after the second: dropout in steps 1 and 2 of each alone."""
    fields = {"dropout_until_evaluated": True, "learning_rate": 1e-20, "clipping": "none"}
    one, other = run(make_trial(**fields)), run(make_trial(**fields, dropout_seed=77))
    differs = [a != b for a, b in zip(one.losses, other.losses, strict=True)]
    assert differs == [True, True, False, False, False] * 2


def test_it_evaluates_when_the_recipe_says(run: Any, make_trial: Any) -> None:
    course = run(make_trial(epochs=2, batch_size=8, evaluate="2 per epoch"))
    assert [step.step for step in course.steps] == list(range(1, 11))
    assert [e.step for e in course.evaluations] == [0, 2, 5, 7, 10]
    assert [e.epoch for e in course.evaluations] == [0.0, 0.4, 1.0, 1.4, 2.0]


def test_the_best_score_is_the_highest_so_far(run: Any, make_trial: Any) -> None:
    evaluations = run(make_trial(epochs=4, evaluate="every 1 steps")).evaluations
    highest = np.maximum.accumulate([e.score for e in evaluations])
    assert [e.best_score for e in evaluations] == highest.tolist()


def test_an_evaluation_is_right_whatever_the_order_and_the_batches(
    model: Model, splits: tuple[EncodedSplit, EncodedSplit], make_trial: Any
) -> None:
    model.reset(1)
    recipe = make_trial().recipe
    training = splits[0]
    evaluation = evaluate(model, training, "accuracy", recipe, 0, 0.0)
    with torch.inference_mode():
        logits = torch.cat(
            [model.padded(training.batch(np.array([i]))) for i in range(len(training))]
        )
    expected = torch.nn.functional.cross_entropy(logits, training.labels).item()
    assert evaluation.loss == pytest.approx(expected, rel=1e-5)
    assert evaluation.score == accuracy_score(training.labels, logits.argmax(1))


def test_a_model_that_predicts_one_class_has_diverged(run: Any, make_trial: Any) -> None:
    course = run(make_trial(learning_rate=1e-9))
    assert course.evaluations[-1].constant
    assert course.status is Status.DIVERGED


def test_a_trial_that_learns_is_finished(run: Any, make_trial: Any) -> None:
    course = run(make_trial(learning_rate=3e-3, epochs=30, dropout=0.0))
    assert course.status is Status.FINISHED
    assert course.evaluations[-1].best_score > 0.8
    assert course.losses[-1] < 0.3


def test_bf16_is_near_fp32_and_not_the_same(run: Any, make_trial: Any) -> None:
    full, half = run(make_trial()).losses, run(make_trial(precision="bf16")).losses
    assert full != half
    np.testing.assert_allclose(full, half, rtol=0.05)


def test_regression_learns_values_by_squared_error(
    tiny_pretrained: Pretrained, reviews: Task, make_trial: Any
) -> None:
    from finetune.tasks import Split

    model = Model(tiny_pretrained, 1, torch.device("cpu"))
    data = reviews.source.read()
    values = Split(data.train.texts, data.train.labels.astype(np.float64) * 2 - 1)
    encoded = model.encode(values, 16)
    assert encoded.labels.dtype == torch.float32
    trial = make_trial(learning_rate=3e-3, epochs=40, dropout=0.0, bias_correction=True)
    state = begin(trial, model, encoded, encoded)
    events = list(train(trial, model, state, encoded, encoded, "pearson_and_spearman"))
    evaluations = [event for event in events if isinstance(event, Evaluation)]
    start = values.labels.astype(np.float32)
    assert evaluations[0].loss == pytest.approx(float((start**2).mean()), rel=0.1)
    assert evaluations[-1].score > 0.8
    assert evaluations[-1].loss < 0.4
