"""Make the built-in encoder: `python -m finetune.embedded.pretrain --output DIR`.

A BERT of two layers (Devlin et al. 2019) is pretrained on a corpus of the built-in language, as
BERT was: to restore masked words and to tell a text's second sentence from another, so that of a
classifier on top of it only the head is new. One thread, a few minutes; with the same versions on
the same kind of processor the weights come out the same to the bit.
"""

import argparse
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from transformers import BertConfig, BertForPreTraining, BertTokenizer

from finetune.embedded.corpus import TEXTS_OF_A_DOCUMENT, draw_documents
from finetune.embedded.dice import Dice
from finetune.embedded.lexicon import VOCABULARY
from finetune.files import replacing_folder

PAD, UNKNOWN, BEGIN, END, MASK = range(5)
SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
TOKEN_IDS = {token: number for number, token in enumerate((*SPECIAL_TOKENS, *VOCABULARY))}
IGNORED = -100
"""Marks a token that is not to be restored."""

DOCUMENTS = 12_288
PASSES = 8
BATCH_SIZE = 64
BUCKET = 16
"""Batches that are filled by length together; padding would cost a third more time."""
PEAK_LEARNING_RATE = 4e-3
WARMUP = 0.1
INITIAL_DEVIATION = 0.1
"""BERT's 0.02 is made for 768 dimensions; with 64, attention takes far longer to form from it."""
STEPS = PASSES * DOCUMENTS * TEXTS_OF_A_DOCUMENT // BATCH_SIZE

RECORD = "pretraining.json"
"""File beside the weights that says how they were made and how good they are."""
RECORDED_LOSSES = 40
"""How many of the first losses the record holds: enough to tell whether arithmetic agrees."""


@dataclass(frozen=True)
class Pair:
    """Two sentences as token ids, and whether the second is another than the first's next."""

    first: tuple[int, ...]
    second: tuple[int, ...]
    is_other: bool


@dataclass(frozen=True)
class Batch:
    """Pairs as tensors.

    Attributes:
        tokens: int64 of shape (pairs, length), some masked or replaced.
        segments: the same shape, 1 in the second sentence.
        attention: the same shape, 0 on padding.
        masked: the same shape, the token to restore, or `IGNORED`.
        is_other: int64 of shape (pairs,), 1 where the second sentence is another.
    """

    tokens: torch.Tensor
    segments: torch.Tensor
    attention: torch.Tensor
    masked: torch.Tensor
    is_other: torch.Tensor


@dataclass(frozen=True)
class Quality:
    """How well the encoder does what it was pretrained for.

    Attributes:
        masked_loss: mean cross-entropy of the masked words, in nats.
        masked_accuracy: share of them restored.
        next_accuracy: share of pairs of which it can tell whether the second sentence is the next.
    """

    masked_loss: float
    masked_accuracy: float
    next_accuracy: float


# ── The corpus ───────────────────────────────────────────────────────────────────────────────────
Encoded = tuple[tuple[int, ...], tuple[int, ...]]


def encode_texts(documents: int, *, held_out: bool = False) -> list[Encoded]:
    """Draw documents and return their texts as token ids, a document's texts side by side."""
    dice = Dice("corpus", int(held_out))
    drawn = islice(draw_documents(dice, held_out=held_out), documents)
    return [(_encode(first), _encode(second)) for document in drawn for first, second in document]


def _encode(sentence: str) -> tuple[int, ...]:
    return tuple(TOKEN_IDS[word] for word in sentence.split())


def draw_pair(texts: Sequence[Encoded], place: int, dice: Dice) -> Pair:
    """Pair a text's first sentence with its second, or as often with that of another text.

    The other text is from the same document or from any, as often one as the other: what is far
    off teaches the words, what is near teaches to compare.
    """
    first, second = texts[place]
    if dice.chance(1, 2):
        return Pair(first, second, is_other=False)
    other = dice.below(len(texts))
    if dice.chance(1, 2):
        start = place - place % TEXTS_OF_A_DOCUMENT
        away = 1 + dice.below(TEXTS_OF_A_DOCUMENT - 1)
        other = start + (place - start + away) % TEXTS_OF_A_DOCUMENT
    return Pair(first, texts[other][1], is_other=other != place)


def make_batch(pairs: Sequence[Pair], dice: Dice) -> Batch:
    """Lay out pairs as BERT does and mask 15 % of the words.

    Of the words to restore, 80 % are masked, 10 % replaced by any word and 10 % left (Devlin et
    al. 2019, section 3.1).
    """
    length = max(len(pair.first) + len(pair.second) for pair in pairs) + 3
    tokens = np.full((len(pairs), length), PAD, dtype=np.int64)
    segments, masked = np.zeros_like(tokens), np.full_like(tokens, IGNORED)
    for row, pair in enumerate(pairs):
        laid_out = [BEGIN, *pair.first, END, *pair.second, END]
        segments[row, len(pair.first) + 2 : len(laid_out)] = 1
        for column, token in enumerate(laid_out):
            tokens[row, column] = token
            if token > MASK and dice.chance(15, 100):
                masked[row, column] = token
                tokens[row, column] = _disguised(token, dice)
    return Batch(
        tokens=torch.from_numpy(tokens),
        segments=torch.from_numpy(segments),
        attention=torch.from_numpy((tokens != PAD).astype(np.int64)),
        masked=torch.from_numpy(masked),
        is_other=torch.tensor([int(pair.is_other) for pair in pairs]),
    )


def _disguised(token: int, dice: Dice) -> int:
    tenth = dice.below(10)
    if tenth == 0:
        return token
    return len(SPECIAL_TOKENS) + dice.below(len(VOCABULARY)) if tenth == 1 else MASK


def draw_batches(texts: Sequence[Encoded], dice: Dice) -> Iterator[Batch]:
    """Yield batches without end: each pass takes every text once, in random order.

    Pairs of like length share a batch, within buckets of `BUCKET` batches.
    """
    while True:
        order = dice.permutation(len(texts))
        for start in range(0, len(order), BUCKET * BATCH_SIZE):
            pairs = [
                draw_pair(texts, place, dice)
                for place in order[start : start + BUCKET * BATCH_SIZE]
            ]
            pairs.sort(key=lambda pair: len(pair.first) + len(pair.second))
            batches = [pairs[at : at + BATCH_SIZE] for at in range(0, len(pairs), BATCH_SIZE)]
            for place in dice.permutation(len(batches)):
                yield make_batch(batches[place], dice)


# ── The encoder ──────────────────────────────────────────────────────────────────────────────────
def new_encoder(generator: torch.Generator) -> BertForPreTraining:
    """Return an encoder with random weights: normal, biases 0, scales of norms 1.

    It is in evaluation mode and is trained so: the corpus is too large to be learnt by heart, and
    dropout would only slow it down.
    """
    config = BertConfig(
        vocab_size=len(TOKEN_IDS),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=128,
        pad_token_id=PAD,
    )
    with torch.random.fork_rng(devices=[]):  # what the constructor draws is overwritten below
        encoder = BertForPreTraining(config)
    with torch.no_grad():
        for name, parameter in encoder.named_parameters():
            if parameter.dim() == 1:
                parameter.fill_(1.0 if name.endswith("LayerNorm.weight") else 0.0)
            else:
                parameter.normal_(0.0, INITIAL_DEVIATION, generator=generator)
    encoder.eval()
    return encoder


def losses(encoder: BertForPreTraining, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the mean loss of the masked words and that of the next sentence, both in nats."""
    masked_logits, next_logits, masked = _logits(encoder, batch)
    return cross_entropy(masked_logits, masked), cross_entropy(next_logits, batch.is_other)


def _logits(
    encoder: BertForPreTraining, batch: Batch
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return logits of the masked words alone, those of the next sentence, and the words."""
    hidden, pooled = encoder.bert(
        batch.tokens,
        attention_mask=batch.attention,
        token_type_ids=batch.segments,
        return_dict=False,
    )
    chosen = batch.masked != IGNORED
    return (
        encoder.cls.predictions(hidden[chosen]),
        encoder.cls.seq_relationship(pooled),
        batch.masked[chosen],
    )


def measure(encoder: BertForPreTraining, batch: Batch) -> Quality:
    """Measure an encoder on one batch."""
    with torch.no_grad():
        masked_logits, next_logits, masked = _logits(encoder, batch)
        return Quality(
            masked_loss=float(cross_entropy(masked_logits, masked)),
            masked_accuracy=float((masked_logits.argmax(-1) == masked).float().mean()),
            next_accuracy=float((next_logits.argmax(-1) == batch.is_other).float().mean()),
        )


def held_out_batch(texts: int = 1024) -> Batch:
    """Return pairs of sentences that are not in the corpus, always the same."""
    encoded = encode_texts(texts // TEXTS_OF_A_DOCUMENT, held_out=True)
    dice = Dice("held-out batch")
    return make_batch([draw_pair(encoded, place, dice) for place in range(len(encoded))], dice)


def train(encoder: BertForPreTraining, batches: Iterator[Batch], steps: int) -> Iterator[float]:
    """Train an encoder in place, yielding the loss of each step.

    Adam with the learning rate rising over the first tenth of the steps and falling to 0.

    Args:
        encoder: the encoder to train.
        batches: one for each step.
        steps: length of the schedule; the iterator may be left before.
    """
    optimizer = torch.optim.AdamW(
        encoder.parameters(), lr=PEAK_LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.01
    )
    for step in range(steps):
        share = min(step / (WARMUP * steps), (1 - step / steps) / (1 - WARMUP))
        for group in optimizer.param_groups:
            group["lr"] = PEAK_LEARNING_RATE * share
        loss = torch.stack(losses(encoder, next(batches))).sum()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
        optimizer.step()
        yield loss.item()


def start() -> tuple[BertForPreTraining, Iterator[float]]:
    """Return a new encoder and the steps of its whole pretraining, not yet taken."""
    encoder = new_encoder(torch.Generator().manual_seed(1))
    batches = draw_batches(encode_texts(DOCUMENTS), Dice("batches"))
    return encoder, train(encoder, batches, STEPS)


def pretrain(output: Path, say: Callable[[str], None]) -> None:
    """Pretrain the encoder and write it, its tokenizer and the record of it.

    Args:
        output: the folder to write; what stood there is replaced when all is done.
        say: is given a line of progress now and then.
    """
    say(f"Drawing {DOCUMENTS:,} documents.")
    encoder, steps = start()
    held_out = held_out_batch()
    taken: list[float] = []
    for loss in steps:
        taken.append(loss)
        if not math.isfinite(loss):
            raise ArithmeticError(f"The loss of step {len(taken)} is {loss}.")
        if len(taken) % (STEPS // 12) == 0:
            quality = measure(encoder, held_out)
            say(
                f"Step {len(taken):,} of {STEPS:,}: held-out masked words "
                f"{quality.masked_accuracy:.3f} right, loss {quality.masked_loss:.3f}; "
                f"next sentences {quality.next_accuracy:.3f} right."
            )
    record = {
        "steps": STEPS,
        "torch": torch.__version__,
        "first_losses": taken[:RECORDED_LOSSES],
        "held_out": asdict(measure(encoder, held_out)),
    }
    with replacing_folder(output) as folder:
        encoder.save_pretrained(folder)
        BertTokenizer(vocab=TOKEN_IDS, model_max_length=128).save_pretrained(folder)
        (folder / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        for file in folder.iterdir():
            file.chmod(0o644)  # safetensors keeps what it writes from other users
    say(f"Wrote {output}.")


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and pretrain."""
    parser = argparse.ArgumentParser(
        prog="python -m finetune.embedded.pretrain",
        description="Generate the built-in language's corpus and pretrain the tiny encoder on it.",
    )
    parser.add_argument(
        "--output", type=Path, required=True, help="folder to write the encoder into"
    )
    output = parser.parse_args(arguments).output
    torch.set_num_threads(1)  # sums of several threads differ in their last bits
    pretrain(output, lambda line: print(line, flush=True))  # noqa: T201


if __name__ == "__main__":
    main()
