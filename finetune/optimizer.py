"""The optimiser of a trial: Adam with decoupled weight decay, clipping, and a schedule."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from finetune.study import Recipe

_LONG_AGO = 1e6
"""A step count so high that both of Adam's bias corrections, 1 - βᵗ, are 1 in floating point."""


def build_optimizer(module: nn.Module, recipe: Recipe) -> torch.optim.AdamW:
    """Return a fresh optimiser for a module's parameters.

    Without bias correction it is BERT's own Adam (Devlin et al. 2019, as in the paper's program):
    m ← β₁m + (1 - β₁)g, v ← β₂v + (1 - β₂)g², w ← w - η(m / (√v + ε) + λw).
    Biases and the weights of norms, all of which are vectors, do not decay.
    """
    parameters = [p for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(
        groups, lr=recipe.learning_rate, betas=(0.9, 0.999), eps=recipe.adam_epsilon, fused=True
    )
    if not recipe.bias_correction:
        for p in parameters:
            optimizer.state[p] = {
                "step": torch.full((), _LONG_AGO, dtype=torch.float32, device=p.device),
                "exp_avg": torch.zeros_like(p),
                "exp_avg_sq": torch.zeros_like(p),
            }
    return optimizer


def clip_gradients(parameters: Iterable[nn.Parameter], recipe: Recipe) -> None:
    """Scale down, in place, gradients whose Euclidean norm is above the recipe's."""
    if recipe.clipping == "none":
        return
    gradients: list[Tensor] = [p.grad for p in parameters if p.grad is not None]
    norms = torch.stack(list(torch._foreach_norm(gradients)))  # noqa: SLF001 — has no public name
    if recipe.clipping == "global":
        norms = norms.norm().expand(len(gradients))
    # The tiny addend is that of torch.nn.utils.clip_grad_norm_.
    factors = list((recipe.clip_norm / (norms + 1e-6)).clamp(max=1.0).unbind())
    if norms.device.type == "cpu":
        # Most gradients are below the norm, and need no pass over them; elsewhere to ask which are
        # would cost more, for it would wait for the device.
        above = [i for i, factor in enumerate(factors) if factor < 1.0]
        gradients, factors = [gradients[i] for i in above], [factors[i] for i in above]
    if gradients:
        torch._foreach_mul_(gradients, factors)


def learning_rate(recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    """Return the learning rate of an optimiser step: linear warm-up from 0, linear decay to 0.

    As released, it is the product of two schedules, each a function w of a share x of all steps,
    x / warmup below the warm-up and 1 - x from there (a step down): one counts the steps of the
    whole trial, the other those of the epoch, and so warms up anew in each.

    Args:
        recipe: the highest rate, and the share of steps that warm up.
        step: how many steps were made before this one, from 0.
        steps_per_epoch: how many steps an epoch has.
    """
    total_steps = recipe.epochs * steps_per_epoch
    if recipe.schedule == "as released":

        def w(steps: int) -> float:
            x = steps / total_steps
            return x / recipe.warmup if x < recipe.warmup else 1.0 - x

        return recipe.learning_rate * w(step % steps_per_epoch) * w(step)
    warmup_steps = math.ceil(recipe.warmup * total_steps)
    if step < warmup_steps:
        return recipe.learning_rate * step / warmup_steps
    return recipe.learning_rate * (total_steps - step) / max(1, total_steps - warmup_steps)


def decay(recipe: Recipe, steps: int, steps_per_epoch: int) -> float:
    """Return what weight decay alone makes of a weight in so many steps, as a factor: Π(1 - ηλ)."""
    return math.prod(
        1.0 - learning_rate(recipe, step, steps_per_epoch) * recipe.weight_decay
        for step in range(steps)
    )
