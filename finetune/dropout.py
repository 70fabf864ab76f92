"""Dropout of an optimiser step, every mask of it drawn from the trial's own stream."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from finetune.seeds import DropoutBits, threshold


class Dropout:
    """The dropout of one optimiser step: masks drawn one after another from the step's bits."""

    def __init__(self, probability: float, bits: DropoutBits) -> None:
        """Take the bits of a step.

        Args:
            probability: of dropping an element, in [0, 1); taken to the nearest of 2^16 steps.
            bits: the step's stream.
        """
        self.probability = probability
        self.bits = bits
        self._scale = 2**16 / (2**16 - int(threshold(probability)))

    def mask(self, size: int, like: Tensor) -> Tensor:
        """Draw the factors of `size` elements: 0 for what is dropped, else what makes up for it.

        Returns:
            A tensor [size] of the type, and on the device, of `like`.
        """
        kept = torch.from_numpy(self.bits.kept(size, self.probability))
        return kept.to(like.device, like.dtype).mul_(self._scale)

    def factors(self, values: Tensor) -> Tensor:
        """Draw the factors of a tensor's elements; what is returned has its shape."""
        return self.mask(values.numel(), values).view(values.shape)

    @property
    def drops(self) -> bool:
        """Whether anything is ever dropped."""
        return self.probability > 0


@contextmanager
def dropping(module: nn.Module, dropout: Dropout) -> Iterator[None]:
    """Train `module` within the block, with the dropout given.

    Wherever the module drops out, whatever probability its configuration names, the mask is the
    dropout's next. The module is left as it was found, in training or evaluation mode.
    """
    training = module.training
    module.train()
    try:
        with _OwnStream(dropout):
            yield
    finally:
        module.train(training)


class _OwnStream(TorchFunctionMode):
    """Puts a stream of our own in the place of PyTorch's global one."""

    def __init__(self, dropout: Dropout) -> None:
        super().__init__()
        self._own = dropout

    def __torch_function__(
        self, func: Any, _: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is nn.functional.dropout:
            return self._dropout(*args, **(kwargs or {}))
        if func is torch.dropout:
            return self._drop(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    def _dropout(
        self,
        input: Tensor,  # noqa: A002 — torch.nn.functional.dropout's own names
        p: float = 0.5,
        training: bool = True,
        inplace: bool = False,
    ) -> Tensor:
        dropped = self._drop(input, p, training)
        return input.copy_(dropped) if inplace else dropped

    def _drop(self, input: Tensor, p: float, train: bool) -> Tensor:  # noqa: A002, ARG002
        if not train or not self._own.drops:
            return input
        return input * self._own.factors(input)
