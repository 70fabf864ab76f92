"""Pretrained encoders: a model of the Hugging Face Hub, a local folder, or the embedded one."""

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from finetune.errors import SeedbedError

if TYPE_CHECKING:
    from torch.nn import Parameter
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

EMBEDDED = "embedded"
"""The name of the encoder that ships with the package."""


@dataclass(frozen=True)
class Pretrained:
    """Where a pretrained encoder comes from.

    Weights are read from safetensors files only, and code that comes with a model is not run
    unless `trust_remote_code` says so.

    Attributes:
        name: how tables call it: the Hub name, or the folder's own name without its path.
        location: the Hub name or the folder.
        revision: branch, tag or commit on the Hub; None for the default branch.
        trust_remote_code: whether the model's own Python code may be run.
    """

    name: str
    location: str
    revision: str | None = None
    trust_remote_code: bool = False

    @property
    def folder(self) -> Path | None:
        """The folder of a local model; None for one of the Hub."""
        path = Path(self.location)
        return path if path.is_dir() else None

    @cached_property
    def fingerprint(self) -> str:
        """Tells the model's weights and vocabulary from any other: 16 hex digits.

        For a folder the start of a hash of its files; for the Hub the start of the commit.

        Raises:
            SeedbedError: where there is no such model.
        """
        if self.folder is None:
            commit = getattr(self.config(outputs=2), "_commit_hash", None)
            return (commit or self.revision or "main")[:16]
        digest = hashlib.sha256()
        for path in sorted(self.folder.iterdir()):
            if path.suffix in (".json", ".txt", ".safetensors", ".model"):
                with path.open("rb") as file:
                    content = hashlib.file_digest(file, "sha256").hexdigest()
                digest.update(f"{path.name} {content}\n".encode())
        return digest.hexdigest()[:16]

    def config(self, outputs: int) -> "PreTrainedConfig":
        """Read the model's configuration, with a head of `outputs` outputs."""
        from transformers import AutoConfig

        with _faults_of(self):
            config: PreTrainedConfig = AutoConfig.from_pretrained(
                self.location,
                revision=self.revision or "main",
                trust_remote_code=self.trust_remote_code,
                num_labels=outputs,
            )
            return config

    def tokenizer(self) -> "PreTrainedTokenizerBase":
        """Read the model's tokenizer."""
        from transformers import AutoTokenizer

        with _faults_of(self):
            tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
                self.location,
                revision=self.revision or "main",
                trust_remote_code=self.trust_remote_code,
            )
            return tokenizer

    def classifier(self, outputs: int) -> tuple["PreTrainedModel", frozenset[str]]:
        """Read the model, with a head of `outputs` outputs for sequence classification.

        Returns:
            The model in fp32 on the CPU, and the names of its parameters that are not pretrained:
            those outside the encoder, and those that the checkpoint lacks. Their values are not
            yet anybody's: they are for the trial to draw.

        Raises:
            SeedbedError: where there is no such model, or its weights are not the encoder's that
                its configuration describes.
        """
        import torch
        from transformers import AutoModelForSequenceClassification

        config = self.config(outputs)
        # Eager attention is the one whose dropout passes through torch.nn.functional.dropout,
        # where the trial's own stream is put in (see finetune.model).
        with _faults_of(self), torch.random.fork_rng(), _quiet_loading():
            model, report = AutoModelForSequenceClassification.from_pretrained(
                self.location,
                config=config,
                revision=self.revision or "main",
                trust_remote_code=self.trust_remote_code,
                use_safetensors=True,
                ignore_mismatched_sizes=True,
                attn_implementation="eager",
                dtype=torch.float32,
                output_loading_info=True,
            )
        encoder = self._encoder(model)
        missing = frozenset(report["missing_keys"])
        self._see_that_it_is_pretrained(
            encoder, missing, frozenset(entry[0] for entry in report["mismatched_keys"])
        )
        fresh = frozenset(
            name for name, _ in model.named_parameters() if name in missing or name not in encoder
        )
        return model, fresh

    def _encoder(self, model: "PreTrainedModel") -> "dict[str, Parameter]":
        """Return the parameters of a classifier's encoder, by their names in the classifier."""
        body = model.base_model
        if body is model:
            raise SeedbedError(
                f"model {self.name}: {type(model).__name__} does not tell its encoder from its "
                "head. Choose another encoder."
            )
        inside = {id(parameter) for parameter in body.parameters()}
        return {name: p for name, p in model.named_parameters() if id(p) in inside}

    def _see_that_it_is_pretrained(
        self, encoder: "dict[str, Parameter]", missing: frozenset[str], misshapen: frozenset[str]
    ) -> None:
        """Refuse an encoder that a checkpoint fills with weights of other shapes, or hardly."""
        wrong = sorted(misshapen & encoder.keys())
        if wrong:
            raise SeedbedError(
                f"model {self.name}: the shapes of {len(wrong)} of the encoder's weights, "
                f"{wrong[0]} the first, are not those of config.json. Give the configuration that "
                "the weights were saved with."
            )
        # A layer that only fine-tuning needs, such as a pooler, may be missing; most may not.
        absent = sum(p.numel() for name, p in encoder.items() if name in missing)
        if 2 * absent > sum(p.numel() for p in encoder.values()):
            raise SeedbedError(
                f"model {self.name}: the checkpoint holds less than half of the encoder's weights; "
                f"{min(missing & encoder.keys())} is one that is missing. Give the checkpoint of a "
                f"pretrained {type(self.config(outputs=2)).model_type} model."
            )


def find_pretrained(
    model: str, *, revision: str | None = None, trust_remote_code: bool = False
) -> Pretrained:
    """Find a model by what a study calls it.

    Args:
        model: `embedded`, a folder, or a name on the Hub.
        revision: branch, tag or commit on the Hub.
        trust_remote_code: whether the model's own Python code may be run.

    Raises:
        SeedbedError: where it is neither a folder of a model nor a possible name on the Hub.
    """
    if model == EMBEDDED:
        from finetune.embedded import ENCODER

        return Pretrained(EMBEDDED, str(ENCODER))
    path = Path(model).expanduser()
    if path.is_dir():
        for needed, what in (("config.json", "configuration"), ("*.safetensors", "weights")):
            if not any(path.glob(needed)):
                raise SeedbedError(
                    f"model {model}: the folder holds no {needed}, the model's {what}. "
                    "Give a folder as `save_pretrained` writes it."
                )
        return Pretrained(path.resolve().name, str(path.resolve()), None, trust_remote_code)
    if not re.fullmatch(r"[\w][\w.-]*(/[\w][\w.-]*)?", model):
        raise SeedbedError(
            f"model {model}: there is no such folder, and it is no name on the Hub. Give a folder, "
            "a name such as bert-large-uncased, or `embedded`."
        )
    return Pretrained(model, model, revision, trust_remote_code)


class _quiet_loading:  # noqa: N801 — used as a function
    """Keep transformers from reporting that the head is not pretrained: that is the point."""

    def __enter__(self) -> None:
        from transformers.utils import logging

        self._verbosity = logging.get_verbosity()
        logging.set_verbosity_error()
        logging.disable_progress_bar()

    def __exit__(self, *_: object) -> None:
        from transformers.utils import logging

        logging.set_verbosity(self._verbosity)
        logging.enable_progress_bar()


class _faults_of:  # noqa: N801 — used as a function
    """Turn what transformers raises about a model into a sentence for the user."""

    def __init__(self, model: Pretrained) -> None:
        self._model = model

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        if not isinstance(error, OSError | ValueError | KeyError) or isinstance(
            error, SeedbedError
        ):
            return
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = lines[0].rstrip(".") if lines else type(error).__name__
        if self._model.folder is None:
            advice = (
                "Check the name and the network, log in with `hf auth login` for a private model, "
                "or give a local folder; `embedded` needs no network."
            )
        else:
            advice = "Give a folder as `save_pretrained` writes it, with its tokenizer."
        raise SeedbedError(f"model {self._model.name}: {reason}. {advice}") from error
