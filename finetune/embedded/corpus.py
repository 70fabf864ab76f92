"""What the encoder is pretrained on: documents, whose texts are a sentence and its restatement."""

import hashlib
from collections.abc import Iterator

from finetune.embedded.dice import Dice
from finetune.embedded.entailment import restate
from finetune.embedded.grammar import draw_clause, draw_topic, draw_variation, text, words

Text = tuple[str, str]
"""A sentence, and the next: one that follows from it."""

TEXTS_OF_A_DOCUMENT = 4


def is_held_out(sentence: str) -> bool:
    """Return whether a sentence is kept for validation, as half the language is, by its hash.

    No corpus and no training set holds such a sentence; a validation set holds no other.
    """
    return hashlib.sha256(sentence.encode()).digest()[0] % 2 == 0


def draw_documents(dice: Dice, *, held_out: bool = False) -> Iterator[tuple[Text, ...]]:
    """Yield documents without end.

    The sentences of a document are on one topic, and each differs from the one before in its
    subject, its verb or its object alone; so what tells a text's second sentence from those of its
    neighbours may be one word.

    Args:
        dice: draws them.
        held_out: whether their sentences are those kept for validation, or the others.
    """
    while True:
        topic = draw_topic(dice)
        clause = draw_clause(dice, topic)
        document: list[Text] = []
        while len(document) < TEXTS_OF_A_DOCUMENT:
            pair = text(words(clause)), text(words(restate(clause, topic, dice)))
            if all(is_held_out(sentence) is held_out for sentence in pair):
                document.append(pair)
            clause = draw_variation(dice, topic, clause)
        yield tuple(document)
