"""The optimiser is what its definition says, in float64 and step by step."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from finetune.optimizer import build_optimizer, clip_gradients, learning_rate
from finetune.study import Recipe


class Two(nn.Module):
    """One matrix and one vector."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.matrix = nn.Parameter(torch.randn(5, 4, generator=generator))
        self.vector = nn.Parameter(torch.randn(4, generator=generator))


def reference(recipe: Recipe, gradients: list[list[np.ndarray]], rates: list[float]) -> list[Any]:
    """Adam with decoupled decay, written from its definition."""
    module = Two()
    weights = [p.detach().double().numpy().copy() for p in (module.matrix, module.vector)]
    decays = [recipe.weight_decay, 0.0]
    m = [np.zeros_like(w) for w in weights]
    v = [np.zeros_like(w) for w in weights]
    for t, (step, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        norms = [float(np.sqrt((g**2).sum())) for g in step]
        if recipe.clipping == "global":
            norms = [math.hypot(*norms)] * len(norms)
        for i, gradient in enumerate(step):
            g = gradient
            if recipe.clipping != "none":
                g = g * min(1.0, recipe.clip_norm / (norms[i] + 1e-6))
            m[i] = 0.9 * m[i] + 0.1 * g
            v[i] = 0.999 * v[i] + 0.001 * g**2
            m_hat, v_hat = m[i], v[i]
            if recipe.bias_correction:
                m_hat, v_hat = m[i] / (1 - 0.9**t), v[i] / (1 - 0.999**t)
            update = m_hat / (np.sqrt(v_hat) + recipe.adam_epsilon) + decays[i] * weights[i]
            weights[i] = weights[i] - rate * update
    return weights


@pytest.mark.parametrize("bias_correction", [False, True])
@pytest.mark.parametrize("clipping", ["per-parameter", "global", "none"])
def test_two_hundred_steps_are_those_of_the_definition(
    bias_correction: bool, clipping: str
) -> None:
    recipe = Recipe.model_validate(
        {
            "bias_correction": bias_correction,
            "clipping": clipping,
            "learning_rate": 1e-2,
            "weight_decay": 0.1,
        }
    )
    rng = np.random.default_rng(1)
    gradients = [
        [rng.normal(size=(5, 4)) * rng.exponential(), rng.normal(size=4)] for _ in range(200)
    ]
    rates = [learning_rate(recipe, step, 67) for step in range(200)]
    module = Two()
    optimizer = build_optimizer(module, recipe)
    for step, rate in zip(gradients, rates, strict=True):
        module.matrix.grad, module.vector.grad = (
            torch.tensor(g, dtype=torch.float32) for g in step
        )
        clip_gradients(module.parameters(), recipe)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
    start = Two()
    for parameter, first, expected in zip(
        (module.matrix, module.vector),
        (start.matrix, start.vector),
        reference(recipe, gradients, rates),
        strict=True,
    ):
        moved = np.abs(expected - first.detach().numpy()).max()
        assert moved > 0.05
        assert np.abs(parameter.detach().numpy() - expected).max() < 1e-4 * moved


def test_the_schedule_is_that_of_transformers() -> None:
    from transformers import get_linear_schedule_with_warmup

    recipe = Recipe(learning_rate=1.0, warmup=0.1, epochs=3)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = get_linear_schedule_with_warmup(optimizer, math.ceil(0.1 * 57), 57)
    for step in range(57):
        assert learning_rate(recipe, step, 19) == pytest.approx(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    assert learning_rate(recipe, 57, 19) == 0.0


def test_without_warm_up_the_first_step_has_the_whole_rate() -> None:
    assert learning_rate(Recipe(warmup=0.0, learning_rate=0.5), 0, 10) == 0.5


def test_as_released_the_rate_warms_up_anew_in_each_epoch() -> None:
    recipe = Recipe(schedule="as released", learning_rate=1.0, epochs=2, warmup=0.1)
    rates = [learning_rate(recipe, step, 20) for step in range(40)]
    # Written out from the definition: warm-up is over 4 of the 40 steps.
    assert rates[0] == rates[20] == 0.0
    assert rates[2] == pytest.approx((2 / 4) * (2 / 4))
    assert rates[4] == pytest.approx(0.9 * 0.9)
    assert rates[10] == pytest.approx(0.75 * 0.75)
    assert rates[22] == pytest.approx((2 / 4) * (1 - 22 / 40))
    assert rates[39] == pytest.approx((1 - 19 / 40) * (1 - 39 / 40))


def test_a_small_gradient_is_left_as_it_is() -> None:
    module = Two()
    module.matrix.grad, module.vector.grad = torch.full((5, 4), 0.01), torch.full((4,), 10.0)
    clip_gradients(module.parameters(), Recipe())
    assert torch.equal(module.matrix.grad, torch.full((5, 4), 0.01))
    assert module.vector.grad.norm().item() == pytest.approx(1.0)
