"""The model of a trial: a pretrained encoder, loaded once, with a fresh head for each trial."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from finetune.errors import SeedbedError
from finetune.pretrained import Pretrained
from finetune.seeds import DropoutBits, head_weights, threshold
from finetune.tasks import Split, Texts

Batch = dict[str, Tensor]
"""The model's inputs by name, int64[examples, longest]."""


@dataclass(frozen=True)
class EncodedSplit:
    """A split as the model takes it.

    Attributes:
        inputs: by name of the model's input (`input_ids`, …) a sequence of numbers per example.
        padding: by name, the number that fills a shorter sequence of a batch.
        padding_side: where it is filled, `left` or `right`.
        labels: per example its class, int64, or its value, float32.
    """

    inputs: Mapping[str, Sequence[Sequence[int]]]
    padding: Mapping[str, int]
    padding_side: str
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """The number of tokens of each example."""
        return np.array([len(ids) for ids in self.inputs["input_ids"]], dtype=np.int64)

    def batch(self, examples: NDArray[np.int64]) -> Batch:
        """Return some examples, each filled up to the longest of them."""
        longest = max(len(self.inputs["input_ids"][i]) for i in examples)
        batch: Batch = {}
        for name, sequences in self.inputs.items():
            array = np.full((len(examples), longest), self.padding[name], dtype=np.int64)
            for row, i in enumerate(examples):
                sequence = sequences[i]
                start = longest - len(sequence) if self.padding_side == "left" else 0
                array[row, start : start + len(sequence)] = sequence
            batch[name] = torch.from_numpy(array)
        return batch


class Model:
    """A pretrained encoder with a head, to be reset before each trial.

    Loading takes seconds, resetting milliseconds; a process loads once and runs many trials.
    """

    def __init__(self, pretrained: Pretrained, outputs: int, device: torch.device) -> None:
        """Load the model.

        Args:
            pretrained: the encoder.
            outputs: outputs of the head: the number of classes, or 1.
            device: where to compute.

        Raises:
            SeedbedError: where the encoder cannot be loaded.
        """
        self.device = device
        self.tokenizer = pretrained.tokenizer()
        module, self._fresh = pretrained.classifier(outputs)
        positions = getattr(module.config, "max_position_embeddings", None) or sys.maxsize
        self._longest = min(positions, self.tokenizer.model_max_length)
        self.module = nn.Module.to(module, device)
        self._pretrained = {
            name: value.detach().clone() for name, value in self.module.state_dict().items()
        }

    def reset(self, wi_seed: int) -> None:
        """Go back to the pretrained weights, and draw a fresh head.

        Weights of the head are drawn from N(0, 0.02²); its biases are zero, its norms one.
        """
        self.module.load_state_dict(self._pretrained)
        index = 0
        with torch.no_grad():
            for name, parameter in self.module.named_parameters():
                if name not in self._fresh:
                    continue
                if parameter.ndim >= 2:
                    weights = head_weights(wi_seed, index, tuple(parameter.shape))
                    parameter.copy_(torch.from_numpy(weights))
                    index += 1
                else:
                    parameter.fill_(0.0 if name.endswith("bias") else 1.0)

    def encode(self, split: Split, max_length: int) -> EncodedSplit:
        """Tokenise a split; what is longer than `max_length` tokens is cut off.

        Raises:
            SeedbedError: where the encoder takes no sequences of that length.
        """
        if max_length > self._longest:
            raise SeedbedError(
                f"recipe.max_length: found {max_length}; this encoder takes at most "
                f"{self._longest} tokens. Set max_length to that or less."
            )
        encoding = self.tokenizer(
            *_columns(split.texts), truncation=True, max_length=max_length, padding=False
        )
        names = [name for name in self.tokenizer.model_input_names if name in encoding]
        pads = {
            "input_ids": self.tokenizer.pad_token_id or 0,
            "token_type_ids": self.tokenizer.pad_token_type_id,
            "attention_mask": 0,
        }
        dtype = np.int64 if split.labels.dtype.kind == "i" else np.float32
        return EncodedSplit(
            inputs={name: encoding[name] for name in names},
            padding={name: pads.get(name, 0) for name in names},
            padding_side=self.tokenizer.padding_side,
            labels=torch.from_numpy(split.labels.astype(dtype)),
        )

    def __call__(self, batch: Batch) -> Tensor:
        """Return the head's outputs, float[examples, outputs], on the model's device."""
        inputs = {name: value.to(self.device) for name, value in batch.items()}
        logits: Tensor = self.module(**inputs).logits
        return logits


def _columns(texts: Sequence[Texts]) -> list[list[str]]:
    return [list(column) for column in zip(*texts, strict=True)]


@contextmanager
def dropout(module: nn.Module, probability: float, bits: DropoutBits) -> Iterator[None]:
    """Train `module` within the block, its every dropout mask drawn from `bits`.

    Wherever the model drops out, with whatever probability its configuration names, elements are
    dropped with `probability`, taken to the nearest of 2^16 steps, and what is kept is scaled up.
    The module is left as it was found, in training or evaluation mode.
    """
    training = module.training
    module.train()
    try:
        with _SeededDropout(probability, bits):
            yield
    finally:
        module.train(training)


class _SeededDropout(TorchFunctionMode):
    """Puts a stream of our own in the place of PyTorch's global one."""

    def __init__(self, probability: float, bits: DropoutBits) -> None:
        super().__init__()
        self._probability = probability
        self._bits = bits
        self._scale = 2**16 / (2**16 - int(threshold(probability)))

    def __torch_function__(
        self, func: Any, _: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is nn.functional.dropout:
            return self._drop(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    def _drop(self, values: Tensor, *, training: bool = True, **_: object) -> Tensor:
        if not training or self._probability == 0:
            return values
        kept = self._bits.kept(values.numel(), self._probability)
        mask = torch.from_numpy(kept).view(values.shape).to(values.device)
        return values * (mask * self._scale).to(values.dtype)
