"""A model and a task small enough to train in a blink."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from finetune.pretrained import Pretrained
from finetune.study import Recipe, Trial
from finetune.tasks import Split, Task, TaskData

WORDS = ("good", "bad", "fine", "poor", "film", "book", "a", "the", "very", "not")


@pytest.fixture(scope="session", autouse=True)
def _no_network() -> None:
    """Keep the Hub's client from the network."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an untrained BERT of two layers and sixteen dimensions."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("model with 'quotes'") / "tiny-encoder"
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = {word: index for index, word in enumerate([*specials, *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    ).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_pretrained(tiny_encoder: Path) -> Pretrained:
    return Pretrained("tiny-encoder", str(tiny_encoder))


@dataclass(frozen=True)
class Reviews:
    """Sentences of some words; the class says whether a good word is among them."""

    examples: int = 40

    def fingerprint(self) -> str:
        return f"reviews-{self.examples}"

    def read(self) -> TaskData:
        return TaskData(self._split(0, self.examples), self._split(1, self.examples // 2))

    def _split(self, stream: int, size: int) -> Split:
        bits = np.random.PCG64(np.random.SeedSequence([stream, size])).random_raw((size + 1) * 12)
        rows = bits.reshape(size + 1, 12)[:size]
        texts, labels = [], []
        for row in rows:
            words = [WORDS[int(b % 10)] for b in row[1 : 3 + int(row[0] % 6)]]
            texts.append((" ".join(words),))
            labels.append(int("good" in words or "fine" in words))
        return Split(tuple(texts), np.array(labels, dtype=np.int64))


@pytest.fixture(scope="session")
def reviews() -> Task:
    return Task(
        name="reviews",
        title="Reviews",
        description="Whether a good word is there.",
        kind="classification",
        labels=("bad", "good"),
        metric="accuracy",
        source=Reviews(),
    )


@pytest.fixture
def make_trial() -> Any:
    """Make trials of the tiny encoder on the reviews, changed as said."""

    def make(**changes: Any) -> Trial:
        recipe = Recipe(
            epochs=2, batch_size=8, learning_rate=1e-3, max_length=32, evaluate="2 per epoch"
        )
        fields: dict[str, Any] = {
            "study": "tiny",
            "task": "reviews",
            "model": "tiny-encoder",
            "model_fingerprint": "tiny",
            "data_fingerprint": "reviews-40",
            "train_limit": None,
            "validation_limit": None,
            "recipe": recipe,
            "wi_seed": 1,
            "do_seed": 2,
            "dropout_seed": 2,
        }
        settings = {
            name: changes.pop(name) for name in list(changes) if name in Recipe.model_fields
        }
        fields["recipe"] = recipe.model_copy(update=settings)
        return Trial(**{**fields, **changes})

    return make


@pytest.fixture(scope="session")
def _empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tracking store with nothing in it."""
    from mlflow import MlflowClient

    file = tmp_path_factory.mktemp("empty") / "mlflow.db"
    MlflowClient(f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture
def new_store(_empty_store: Path, tmp_path: Path) -> Callable[[str], str]:
    """Make a tracking store in a folder of its own; to copy one is faster than to make one."""

    def make(name: str) -> str:
        (tmp_path / name).mkdir()
        shutil.copy(_empty_store, tmp_path / name / "mlflow.db")
        return f"sqlite:///{tmp_path / name / 'mlflow.db'}"

    return make
