"""The model of a trial: a pretrained encoder, loaded once, with a fresh head for each trial."""

import copy
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn

from finetune import packed
from finetune.dropout import Dropout, dropping
from finetune.errors import SeedbedError
from finetune.files import replacing_file
from finetune.pretrained import Pretrained
from finetune.seeds import DropoutBits, head_weights
from finetune.tasks import Split, Texts

Batch = dict[str, Tensor]
"""The model's inputs by name, int64[examples, longest]."""

Weights = dict[str, Tensor]
"""The tensors of a model's state by name, on the CPU."""


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
            SeedbedError: where the encoder cannot be loaded, or cannot be trained by the rules of
                a study: one that draws random numbers outside the trial's streams, or one whose
                outputs for an example depend on how far its batch is filled up.
        """
        self.device = torch.device("cpu")
        self.tokenizer = pretrained.tokenizer()
        self.module, self._fresh = pretrained.classifier(outputs)
        self._tells_segments = _tells_segments(self.module)
        self._longest = min(_positions(self.module), self.tokenizer.model_max_length)
        self._pretrained = {
            name: value.detach().clone() for name, value in self.module.state_dict().items()
        }
        self._packable = packed.supports(self.module)
        self._try_out(pretrained.name)
        self._packs = self._packable and device.type == "cpu"
        self.module.eval()
        self.device = device
        nn.Module.to(self.module, device)
        self._pretrained = {name: value.to(device) for name, value in self._pretrained.items()}

    def reset(self, wi_seed: int, reads: Sequence[EncodedSplit] = ()) -> None:
        """Go back to the pretrained weights, and draw a fresh head.

        Weights of the head are drawn from N(0, 0.02²), those of its norms are one, and its biases
        zero.

        Args:
            wi_seed: the seed of the head's weights.
            reads: the splits that will be all that the model reads until the next reset. Where
                `finetune.packed` knows the architecture, the table of wordpieces is cut to theirs
                (see `CutTable` there); without any it stays whole.
        """
        if self._packable:
            packed.restore_table(self.module)
        self.module.load_state_dict(self._pretrained)
        if self._packable and reads:
            words = [word for split in reads for word in split.inputs["input_ids"]]
            padding = [self.tokenizer.pad_token_id]
            packed.cut_table(self.module, np.concatenate([padding, *words]))
        index = 0
        with torch.no_grad():
            for name, parameter in self.module.named_parameters():
                if name not in self._fresh:
                    continue
                owner = self.module.get_submodule(name.rpartition(".")[0])
                if name.endswith("bias"):
                    parameter.fill_(0.0)
                elif "norm" in type(owner).__name__.lower():
                    parameter.fill_(1.0)
                else:
                    weights = head_weights(wi_seed, index, tuple(parameter.shape))
                    parameter.copy_(torch.from_numpy(weights))
                    index += 1

    def weights(self) -> Weights:
        """Return a copy of the weights as they stand; of a cut table, what is in use."""
        return {
            name: value.detach().to("cpu", copy=True)
            for name, value in self.module.state_dict().items()
        }

    def save(self, folder: Path, weights: Weights, decay: float, labels: Sequence[str]) -> None:
        """Write a model and its tokenizer as a folder that transformers loads.

        Args:
            folder: where to; it is made where it is missing.
            weights: of `weights`, taken since the last reset.
            decay: what weight decay alone has made of a weight since, as a factor.
            labels: the names of the classes in the order of their numbers; empty for values.
        """
        whole = dict(weights)
        cut = packed.table_cut(self.module) if self._packable else None
        if cut is not None:
            name = packed.table_name(self.module)
            whole[name] = cut.whole(whole[name], decay)
        config = copy.deepcopy(self.module.config)
        # Eager attention is for training alone: its reader shall have what is fastest there.
        config._attn_implementation_internal = None  # noqa: SLF001 — has no public name
        if labels:
            config.id2label = dict(enumerate(labels))
            config.label2id = {label: number for number, label in enumerate(labels)}
            config.problem_type = "single_label_classification"
        else:
            config.problem_type = "regression"
        config.architectures = [type(self.module).__name__]
        folder.mkdir(parents=True, exist_ok=True)
        config.save_pretrained(folder)
        with replacing_file(folder / "model.safetensors") as beside:
            save_file(whole, beside, metadata={"format": "pt"})
        self.tokenizer.save_pretrained(folder)

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
            *_columns(split.texts),
            truncation=True,
            max_length=max_length,
            padding=False,
            # Some tokenizers leave them out though the encoder was pretrained with them, and some
            # give them to an encoder that has no table for them.
            return_token_type_ids=self._tells_segments,
        )
        names = list(encoding.keys())
        pads = {
            "input_ids": self.tokenizer.pad_token_id,
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

    def __call__(
        self, split: EncodedSplit, examples: NDArray[np.int64], dropout: Dropout | None = None
    ) -> Tensor:
        """Return the head's outputs for some examples, float[examples, outputs].

        The way is that of the encoder's architecture: packed where `finetune.packed` has one and
        the device is a CPU, else padded, as transformers computes it. The two agree to rounding.

        Args:
            split: where the examples are.
            examples: which of them.
            dropout: of the optimiser step; None to evaluate.
        """
        if self._packs:
            return packed.forward(self.module, packed.pack(split.inputs, examples), dropout)
        batch = split.batch(examples)
        if dropout is None:
            return self.padded(batch)
        if self._packable:
            real = batch["attention_mask"].bool().to(self.device)
            dropout = packed.PaddedDropout(dropout, real, self.module.config.num_hidden_layers)
        with dropping(self.module, dropout):
            return self.padded(batch)

    def padded(self, batch: Batch) -> Tensor:
        """Return the head's outputs for a padded batch, as transformers computes them."""
        inputs = {name: value.to(self.device) for name, value in batch.items()}
        logits: Tensor = self.module(**inputs).logits
        return logits

    def _try_out(self, name: str) -> None:
        """Compute the outputs of a few words and see that the model keeps the rules of a study."""
        if self.tokenizer.pad_token_id is None:
            raise SeedbedError(
                f"model {name}: its tokenizer has no padding token, so its examples cannot be put "
                "into batches. Choose an encoder such as BERT or RoBERTa."
            )
        texts = (("a",), ("a b c d e f g",))
        split = Split(texts, np.zeros(len(texts), dtype=np.int64))
        self.reset(0)
        self.module.eval()
        try:
            encoded = self.encode(split, min(self._longest, 16))
            both = encoded.batch(np.arange(2))
            with torch.inference_mode():
                alone, beside = self.padded(encoded.batch(np.arange(1))), self.padded(both)
            draws = self._draws_elsewhere(both)
        except (AttributeError, IndexError, RuntimeError, TypeError, ValueError) as error:
            reason = str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
            raise SeedbedError(
                f"model {name}: it cannot take the batches that its own tokenizer makes: {reason}. "
                "See that tokenizer and model belong together, or choose another encoder."
            ) from error
        if draws:
            raise SeedbedError(
                f"model {name}: in training it draws random numbers that are not plain dropout and "
                "cannot be taken from the trial's own stream, so no seed would govern them. "
                "Choose another encoder."
            )
        # A thousandth of the outputs: far above rounding, far below what a wrong position does.
        tolerance = 1e-6 + 1e-3 * beside.abs().max().item()
        if not torch.allclose(alone, beside[:1], rtol=0.0, atol=tolerance):
            raise SeedbedError(
                f"model {name}: its outputs for an example change when its batch is filled up on "
                f"the {encoded.padding_side}, so they would depend on the examples beside it. Set "
                "the tokenizer's padding_side as the model needs it, or choose another encoder."
            )

    def _draws_elsewhere(self, batch: Batch) -> bool:
        """Say whether a training step on the CPU draws from PyTorch's global generator."""
        with torch.random.fork_rng(devices=()), torch.no_grad():
            before = torch.random.get_rng_state()
            with dropping(self.module, Dropout(0.1, DropoutBits(0, 0))):
                self.padded(batch)
            return not torch.equal(before, torch.random.get_rng_state())


def _positions(module: nn.Module) -> int:
    """Return how many tokens an encoder has positions for; `sys.maxsize` where it knows no end."""
    positions = getattr(module.config, "max_position_embeddings", None)
    # XLNet, whose positions are relative, says -1.
    longest = positions if isinstance(positions, int) and positions > 0 else sys.maxsize
    for name, table in module.named_modules():
        # RoBERTa and its kin number the tokens from the row after that of the padding.
        if (
            isinstance(table, nn.Embedding)
            and name.endswith("position_embeddings")
            and table.padding_idx is not None
        ):
            longest = min(longest, table.num_embeddings - table.padding_idx - 1)
    return longest


def _tells_segments(module: nn.Module) -> bool:
    """Say whether an encoder tells the first text of a pair from the second by token types.

    Either it has a table of more than one token type, or, like XLNet, weights for whether two
    tokens are of the same.
    """
    return any(
        name.endswith("seg_embed")
        or (name.endswith("token_type_embeddings.weight") and len(parameter) > 1)
        for name, parameter in module.named_parameters()
    )


def _columns(texts: Sequence[Texts]) -> list[list[str]]:
    return [list(column) for column in zip(*texts, strict=True)]
