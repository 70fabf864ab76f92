"""The loop: what it computes, what each seed changes in it, and how it ends."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score

from finetune.contract import Status
from finetune.events import Evaluation, Step
from finetune.model import EncodedSplit, Model
from finetune.pretrained import Pretrained
from finetune.study import Trial
from finetune.tasks import Task
from finetune.training import batches, evaluate, train


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
        events = train(trial, model, *splits, "accuracy")
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


def test_the_losses_are_those_of_a_loop_written_with_transformers_alone(
    run: Any,
    make_trial: Any,
    tiny_pretrained: Pretrained,
    model: Model,
    splits: tuple[EncodedSplit, EncodedSplit],
) -> None:
    from transformers import AutoModelForSequenceClassification, get_linear_schedule_with_warmup

    trial = make_trial(
        dropout=0.0, clipping="global", bias_correction=True, batch_size=6, epochs=3,
        learning_rate=5e-3,
    )  # fmt: skip
    course = run(trial)

    reference = AutoModelForSequenceClassification.from_pretrained(tiny_pretrained.location)
    model.reset(trial.wi_seed)
    reference.load_state_dict(model.module.state_dict())
    reference.eval()
    training = splits[0]
    decayed = [
        p for n, p in reference.named_parameters() if not n.endswith(("bias", "Norm.weight"))
    ]
    others = [p for n, p in reference.named_parameters() if n.endswith(("bias", "Norm.weight"))]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}],
        lr=5e-3,
        eps=1e-6,
    )
    schedule = get_linear_schedule_with_warmup(optimizer, 3, 21)
    losses = []
    for examples in batches(trial, len(training)):
        output = reference(**training.batch(examples), labels=training.labels[examples])
        losses.append(output.loss.item())
        optimizer.zero_grad()
        output.loss.backward()
        torch.nn.utils.clip_grad_norm_(reference.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    np.testing.assert_allclose(course.losses, losses, rtol=1e-4, atol=1e-6)
    assert np.ptp(losses) > 0.05


def test_an_epoch_sees_every_example_once_in_the_seeds_order(make_trial: Any) -> None:
    trial = make_trial(epochs=2, batch_size=8)
    seen = list(batches(trial, 37))
    assert [len(batch) for batch in seen] == [8, 8, 8, 8, 5] * 2
    first, second = np.concatenate(seen[:5]), np.concatenate(seen[5:])
    assert sorted(first) == sorted(second) == list(range(37))
    assert not np.array_equal(first, second)


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
        logits = torch.cat([model(training.batch(np.array([i]))) for i in range(len(training))])
    expected = torch.nn.functional.cross_entropy(logits, training.labels).item()
    assert evaluation.loss == pytest.approx(expected, rel=1e-5)
    assert evaluation.score == accuracy_score(training.labels, logits.argmax(1))


def test_a_loss_that_is_not_finite_ends_the_trial_as_diverged(run: Any, make_trial: Any) -> None:
    course = run(make_trial(learning_rate=1.0, warmup=0.0, clipping="none", weight_decay=0.0,
                            epochs=30, adam_epsilon=1e-30))  # fmt: skip
    assert course.status is Status.DIVERGED


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
    events = list(train(trial, model, encoded, encoded, "pearson_and_spearman"))
    evaluations = [event for event in events if isinstance(event, Evaluation)]
    start = values.labels.astype(np.float32)
    assert evaluations[0].loss == pytest.approx(float((start**2).mean()), rel=0.1)
    assert evaluations[-1].score > 0.8
    assert evaluations[-1].loss < 0.4
