"""The training loop: one, to be read from top to bottom."""

import json
import math
import os
from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from finetune.contract import Status
from finetune.dropout import Dropout
from finetune.errors import SeedbedError
from finetune.events import Evaluation, Step
from finetune.files import replacing_file
from finetune.model import EncodedSplit, Model, Weights
from finetune.optimizer import build_optimizer, clip_gradients, decay, learning_rate
from finetune.seeds import DropoutBits, data_order
from finetune.study import Recipe, Trial
from finetune.tasks.metrics import compute, is_regression

EVALUATION_BATCH = 64
"""Examples of a batch of validation; of no influence on the numbers beyond rounding."""


@dataclass
class TrialState:
    """Where a trial stands between two of its events, besides the weights of its model.

    The three streams have no state of their own: each is drawn by the number of the step.

    Attributes:
        optimizer: with its moments.
        step: how many optimiser steps were made.
        evaluation: the last one; None before the first.
        best: the best model so far; None before the first evaluation, or where none is kept.
        course: all that has happened since the start of the trial, in order.
        seconds: how long it has been trained and evaluated, without pauses; kept by whoever trains.
    """

    optimizer: torch.optim.AdamW
    step: int = 0
    evaluation: Evaluation | None = None
    best: "BestModel | None" = None
    course: list[Step | Evaluation] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def is_lost(self) -> bool:
        """Whether the last thing that happened was a step whose loss was not finite."""
        last = self.course[-1] if self.course else None
        return isinstance(last, Step) and not math.isfinite(last.loss)


@dataclass(frozen=True)
class BestModel:
    """The model of a trial at its best evaluation, the first of those where several are best.

    Attributes:
        step: how many optimiser steps had been made.
        score: of that evaluation.
        weights: as `finetune.model.Model.weights` gives them.
    """

    step: int
    score: float
    weights: Weights


def begin(
    trial: Trial, model: Model, training: EncodedSplit, validation: EncodedSplit
) -> TrialState:
    """Bring a model to the start of a trial: pretrained weights, a fresh head, no moments.

    Args:
        trial: the WI seed and the recipe.
        model: is reset.
        training: what the trial trains on.
        validation: what it is evaluated on; the model reads nothing besides the two.
    """
    model.reset(trial.wi_seed, (training, validation))
    return TrialState(build_optimizer(model.module, trial.recipe))


def train(
    trial: Trial,
    model: Model,
    state: TrialState,
    training: EncodedSplit,
    validation: EncodedSplit,
    metric: str,
    *,
    keep_best: bool = False,
    until: int | None = None,
) -> Generator[Step | Evaluation, None, Status | None]:
    """Fine-tune a model, step by step, from where a trial stands to its end.

    Args:
        trial: seeds and recipe.
        model: the encoder, as `state` has it; trained in place.
        state: from `begin`, or from `load_state`; kept up to date, so that between two events it
            can be saved and the trial taken up from it, to the same numbers.
        training: the examples trained on.
        validation: the examples evaluated on.
        metric: the task's own metric.
        keep_best: whether the state keeps the weights of the best evaluation, for `save_best`.
        until: the optimiser step to stop at, evaluated if that is due; None for the end.

    Yields:
        Each optimiser step and each evaluation, as it happens.

    Returns:
        How the trial ended: finished, or diverged, that is with a loss that is not finite or with
        a model that predicts one class for every example; None where it stopped at `until`.
    """
    recipe = trial.recipe
    steps_per_epoch = recipe.steps_per_epoch(len(training))
    evaluation_steps = frozenset(recipe.evaluation_steps(steps_per_epoch))
    upcoming = batches(trial, len(training), state.step)

    while not state.is_lost:
        step, last = state.step, state.evaluation
        if step in evaluation_steps and (last is None or last.step < step):
            best = -math.inf if last is None else last.best_score
            epoch = step / steps_per_epoch
            last = state.evaluation = evaluate(model, validation, metric, recipe, step, epoch, best)
            if keep_best and last.score > best:
                state.best = BestModel(step, last.score, model.weights())
            state.course.append(last)
            yield last
        assert last is not None, "the first evaluation is before the first step"
        if until is not None and step >= until:
            return None

        examples = next(upcoming, None)
        if examples is None:
            return Status.DIVERGED if last.constant else Status.FINISHED
        rate = learning_rate(recipe, step, steps_per_epoch)
        epoch_was_evaluated = last.step > step // steps_per_epoch * steps_per_epoch
        off = recipe.dropout_until_evaluated and epoch_was_evaluated
        bits = DropoutBits(trial.dropout_seed, step + 1)
        dropout = Dropout(recipe.dropout, bits) if recipe.dropout and not off else None
        loss = optimizer_step(model, state.optimizer, training, examples, rate, dropout, recipe)
        state.step += 1
        state.course.append(Step(state.step, loss))
        yield state.course[-1]
    return Status.DIVERGED


def batches(trial: Trial, examples: int, start: int = 0) -> Iterator[NDArray[np.int64]]:
    """Yield which examples each optimiser step sees, in the trial's data order.

    Args:
        trial: DO seed, batch size and epochs.
        examples: how many there are.
        start: how many optimiser steps have been made; what they saw is left out.
    """
    size = trial.recipe.batch_size
    epoch, place = divmod(start, trial.recipe.steps_per_epoch(examples))
    for number in range(epoch, trial.recipe.epochs):
        order = data_order(trial.do_seed, number, examples)
        for first in range(place * size, examples, size):
            yield order[first : first + size]
        place = 0


def save_state(path: Path, trial: Trial, model: Model, state: TrialState) -> None:
    """Write where a trial stands, to be taken up by `load_state`, in this process or another.

    The file is safetensors: the weights, Adam's moments, the losses and times of the steps, and
    the rest as JSON in its header. It is on the disk before it takes the place of the one before.
    """
    tensors = {f"weights/{name}": value for name, value in model.module.state_dict().items()}
    if state.best is not None:
        tensors |= {f"best/{name}": value for name, value in state.best.weights.items()}
    for index, moments in state.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{name}": value for name, value in moments.items()}
    steps = [[event.loss, event.time] for event in state.course if isinstance(event, Step)]
    tensors[_STEPS] = torch.tensor(steps, dtype=torch.float64).reshape(-1, 2)
    header = {
        "trial": trial.id,
        "evaluations": [asdict(event) for event in state.course if isinstance(event, Evaluation)],
        "best": state.best and [state.best.step, state.best.score],
        "seconds": state.seconds,
    }
    with replacing_file(path) as beside:
        save_file(tensors, beside, metadata={"state": json.dumps(header)})
        with beside.open("rb") as written:
            os.fsync(written.fileno())


_STEPS = "course/steps"
"""float64[steps made, 2]: the loss and the time of each."""


def load_state(
    path: Path, trial: Trial, model: Model, training: EncodedSplit, validation: EncodedSplit
) -> TrialState:
    """Bring a model to where a trial stood when `save_state` wrote the file.

    Args:
        path: the file.
        trial: the trial that it is of.
        model: is brought there.
        training: as the trial began with.
        validation: as the trial began with.

    Raises:
        SeedbedError: where the file is not of this trial, or no whole state.
    """
    state = begin(trial, model, training, validation)
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads(file.metadata()["state"])
            state.seconds = float(header["seconds"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 — no mapping
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise SeedbedError(
            f"{path}: holds no whole state of a trial. Remove it, and trial {trial.id} begins anew."
        ) from error
    if header["trial"] != trial.id:
        raise SeedbedError(
            f"{path}: holds the state of trial {header['trial']}, not of {trial.id}. "
            "Remove it, and the trial begins anew."
        )

    def part(prefix: str) -> Weights:
        return {n.removeprefix(prefix): v for n, v in tensors.items() if n.startswith(prefix)}

    model.module.load_state_dict(part("weights/"))
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in part("optimizer/").items():
        index, _, moment = name.partition("/")
        moments.setdefault(int(index), {})[moment] = value
    state.optimizer.load_state_dict({**state.optimizer.state_dict(), "state": moments})
    if header["best"] is not None:
        step, score = header["best"]
        state.best = BestModel(step, score, part("best/"))
    steps = [Step(number, *row) for number, row in enumerate(tensors[_STEPS].tolist(), start=1)]
    evaluations = [Evaluation(**fields) for fields in header["evaluations"]]
    state.step = len(steps)
    state.evaluation = evaluations[-1] if evaluations else None
    # An evaluation comes after the step that it tells of.
    state.course = sorted([*steps, *evaluations], key=lambda event: event.step)
    return state


def save_best(
    folder: Path,
    trial: Trial,
    model: Model,
    best: BestModel,
    labels: Sequence[str],
    steps_per_epoch: int,
) -> None:
    """Write a trial's best model as a folder that transformers loads.

    Args:
        folder: where to.
        trial: the trial.
        model: as the trial has left it.
        best: the state's.
        labels: the names of the task's classes; empty for values.
        steps_per_epoch: of the trial.
    """
    factor = decay(trial.recipe, best.step, steps_per_epoch)
    model.save(folder, best.weights, factor, labels)


def optimizer_step(
    model: Model,
    optimizer: torch.optim.Optimizer,
    training: EncodedSplit,
    examples: NDArray[np.int64],
    rate: float,
    dropout: Dropout | None,
    recipe: Recipe,
) -> float:
    """Make one optimiser step on some training examples; return their mean loss before it."""
    labels = training.labels[torch.from_numpy(examples)].to(model.device)
    with _precision(model, recipe):
        logits = model(training, examples, dropout)
    loss = losses(logits, labels).mean()
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    clip_gradients(model.module.parameters(), recipe)
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    return loss.item()


def evaluate(
    model: Model,
    validation: EncodedSplit,
    metric: str,
    recipe: Recipe,
    step: int,
    epoch: float,
    best_score: float = -np.inf,
) -> Evaluation:
    """Evaluate a model on the validation set, as it stands, without dropout.

    Args:
        model: the model.
        validation: the examples.
        metric: the task's own metric.
        recipe: for the precision.
        step: how many optimiser steps were made.
        epoch: how many epochs were seen.
        best_score: the highest score before.
    """
    # Examples of like length together: less filling up.
    order = np.argsort(validation.lengths, kind="stable")
    outputs: list[Tensor] = []
    with torch.inference_mode(), _precision(model, recipe):
        for start in range(0, len(order), EVALUATION_BATCH):
            examples = order[start : start + EVALUATION_BATCH]
            outputs.append(model(validation, examples).float().cpu())
    logits = torch.cat(outputs)
    labels = validation.labels[torch.from_numpy(order)]
    predictions = logits.squeeze(1) if is_regression(metric) else logits.argmax(dim=1)
    metrics = compute(metric, predictions.numpy(), labels.numpy())
    score = metrics[metric]
    return Evaluation(
        step=step,
        epoch=epoch,
        loss=losses(logits, labels).double().mean().item(),
        metrics=metrics,
        score=score,
        best_score=max(best_score, score),
        constant=bool((predictions == predictions[0]).all()) and len(predictions) > 1,
    )


def losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Return each example's loss: cross-entropy in nats for classes, squared error for values."""
    if labels.is_floating_point():
        return (logits.float().squeeze(1) - labels).square()
    return nn.functional.cross_entropy(logits.float(), labels, reduction="none")


def _precision(model: Model, recipe: Recipe) -> torch.autocast:
    return torch.autocast(
        model.device.type, dtype=torch.bfloat16, enabled=recipe.precision == "bf16"
    )
