"""The training loop: one, to be read from top to bottom."""

from collections.abc import Generator, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from finetune.contract import Status
from finetune.events import Evaluation, Step
from finetune.model import EncodedSplit, Model, dropout
from finetune.optimizer import build_optimizer, clip_gradients, learning_rate
from finetune.seeds import DropoutBits, data_order
from finetune.study import Recipe, Trial
from finetune.tasks.metrics import compute, is_regression

EVALUATION_BATCH = 64
"""Examples of a batch of validation; of no influence on the numbers beyond rounding."""


def train(
    trial: Trial, model: Model, training: EncodedSplit, validation: EncodedSplit, metric: str
) -> Generator[Step | Evaluation, None, Status]:
    """Fine-tune a model, step by step.

    Args:
        trial: seeds and recipe.
        model: the encoder; its weights are reset first and trained in place.
        training: the examples trained on.
        validation: the examples evaluated on.
        metric: the task's own metric.

    Yields:
        Each optimiser step and each evaluation, as it happens.

    Returns:
        How the trial ended: finished, or diverged, that is with a loss that is not finite or with
        a model that predicts one class for every example.
    """
    recipe = trial.recipe
    steps_per_epoch = recipe.steps_per_epoch(len(training))
    total_steps = recipe.epochs * steps_per_epoch
    evaluation_steps = frozenset(recipe.evaluation_steps(steps_per_epoch))

    model.reset(trial.wi_seed)
    optimizer = build_optimizer(model.module, recipe)
    evaluation = evaluate(model, validation, metric, recipe, step=0, epoch=0.0)
    yield evaluation

    for step, examples in enumerate(batches(trial, len(training)), start=1):
        rate = learning_rate(recipe, step - 1, total_steps)
        loss = optimizer_step(model, optimizer, training, examples, rate, trial, step)
        yield Step(step, loss)
        if not np.isfinite(loss):
            return Status.DIVERGED
        if step in evaluation_steps:
            epoch = step / steps_per_epoch
            best = evaluation.best_score
            evaluation = evaluate(model, validation, metric, recipe, step, epoch, best)
            yield evaluation

    return Status.DIVERGED if evaluation.constant else Status.FINISHED


def batches(trial: Trial, examples: int) -> Iterator[NDArray[np.int64]]:
    """Yield which examples each optimiser step sees, over all epochs, in the trial's data order."""
    size = trial.recipe.batch_size
    for epoch in range(trial.recipe.epochs):
        order = data_order(trial.do_seed, epoch, examples)
        for start in range(0, examples, size):
            yield order[start : start + size]


def optimizer_step(
    model: Model,
    optimizer: torch.optim.Optimizer,
    training: EncodedSplit,
    examples: NDArray[np.int64],
    rate: float,
    trial: Trial,
    step: int,
) -> float:
    """Make one optimiser step on some training examples; return their mean loss before it."""
    recipe = trial.recipe
    labels = training.labels[torch.from_numpy(examples)].to(model.device)
    with (
        dropout(model.module, recipe.dropout, DropoutBits(trial.dropout_seed, step)),
        _precision(model, recipe),
    ):
        logits = model(training.batch(examples))
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
        model: the model; left in evaluation mode, which training does not depend on.
        validation: the examples.
        metric: the task's own metric.
        recipe: for the precision.
        step: how many optimiser steps were made.
        epoch: how many epochs were seen.
        best_score: the highest score before.
    """
    model.module.eval()
    # Examples of like length together: less filling up.
    order = np.argsort(validation.lengths, kind="stable")
    outputs: list[Tensor] = []
    with torch.inference_mode(), _precision(model, recipe):
        for start in range(0, len(order), EVALUATION_BATCH):
            batch = validation.batch(order[start : start + EVALUATION_BATCH])
            outputs.append(model(batch).float().cpu())
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
