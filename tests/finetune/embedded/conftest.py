"""A recogniser of the language that reads words, and knows nothing of how sentences are made."""

from collections.abc import Callable, Container
from dataclasses import dataclass

import pytest

from finetune.embedded.lexicon import (
    ADJECTIVES,
    ADVERBS,
    DETERMINERS,
    NOUNS,
    PREPOSITIONS,
    PRONOUNS,
    VERBS,
)

DETERMINER = {determiner.word: determiner for determiner in DETERMINERS}
NOUN = {form: (noun, many) for noun in NOUNS for form, many in ((noun.one, 0), (noun.many, 1))}
FINITE = {form: (verb, many) for verb in VERBS for form, many in ((verb.s, 0), (verb.base, 1))}
PARTICIPLES = {verb.participle for verb in VERBS if verb.participle}


class Rejected(Exception):  # noqa: N818
    """What was read is no sentence."""


@dataclass
class Reader:
    """Reads a sentence from left to right, by recursive descent."""

    left: list[str]

    def sentence(self) -> None:
        negative = self.left[0] == "no"
        many, reflexive = self.noun_phrase(modified=True)
        if self.took(("are" if many else "is",)):
            self.took(("not",))
            self.take(PARTICIPLES)
            self.take({"by"})
            self.noun_phrase(modified=True)
        else:
            self.predicate(many, reflexive, negative)
        self.took(ADVERBS)
        self.take({"."})
        if self.left:
            raise Rejected

    def predicate(self, many: int, reflexive: str, negative: bool) -> None:
        negated = self.took(("do" if many else "does",))
        if negated:
            self.take({"not"})
        if self.took(("ever",)) and not (negated or negative):
            raise Rejected
        verb, form = FINITE[self.take(FINITE)]
        if form != (1 if negated else many):
            raise Rejected
        if verb.objects and not self.took((reflexive,)):
            self.noun_phrase(modified=True)

    def noun_phrase(self, *, modified: bool = False) -> tuple[int, str]:
        determiner = DETERMINER[self.take(DETERMINER)]
        self.took(ADJECTIVES)
        noun, many = NOUN[self.take(NOUN)]
        if not determiner.takes(bool(many)):
            raise Rejected
        if modified and self.took(PREPOSITIONS):
            self.noun_phrase()
        elif modified and self.took(("that",)):
            self.relative(many)
        return many, "themselves" if many else PRONOUNS.get(noun.names, "")

    def relative(self, many: int) -> None:
        subject = self.left[0] in FINITE
        if not subject:
            many, _ = self.noun_phrase()
        verb, form = FINITE[self.take(FINITE)]
        if form != many or not verb.objects:
            raise Rejected
        if subject:
            self.noun_phrase()

    def take(self, words: Container[str]) -> str:
        if not self.left or self.left[0] not in words:
            raise Rejected
        return self.left.pop(0)

    def took(self, words: tuple[str, ...]) -> bool:
        if self.left and self.left[0] in words:
            self.left.pop(0)
            return True
        return False


@pytest.fixture(scope="session")
def is_well_formed() -> Callable[[str], bool]:
    """Return the recogniser: of a text, whether it is a sentence."""

    def recognise(text: str) -> bool:
        try:
            Reader(text.split()).sentence()
        except Rejected:
            return False
        return True

    return recognise
