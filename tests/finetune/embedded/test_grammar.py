"""The sentences of the language."""

from collections.abc import Callable

import pytest

from finetune.embedded.dice import Dice
from finetune.embedded.grammar import (
    Clause,
    NounPhrase,
    Topic,
    draw_clause,
    draw_topic,
    draw_variation,
    is_sentence,
    text,
    words,
)
from finetune.embedded.lexicon import DETERMINERS, NOUNS, VERBS, VOCABULARY


def draws(name: str, size: int = 1000) -> list[tuple[Topic, Clause]]:
    dice = Dice("test grammar", name)
    topics = [draw_topic(dice) for _ in range(size)]
    return [(topic, draw_clause(dice, topic)) for topic in topics]


def phrase(determiner: str, noun: str, *, many: bool = False) -> NounPhrase:
    return NounPhrase(
        next(d for d in DETERMINERS if d.word == determiner),
        next(n for n in NOUNS if n.one == noun),
        many,
    )


VERB = {verb.base: verb for verb in VERBS}


def test_the_sentences_of_a_key_are_pinned() -> None:
    assert [text(words(clause)) for _, clause in draws("pinned", 6)] == [
        "some brown men take these small spades .",
        "every dirty boy behind these dirty towers steals some knives .",
        "no men are judged by the birds .",
        "two small maids beside some castles are blamed by these birds .",
        "these birds that feed the beast sing .",
        "some strange woman judges these lions that the fathers hear .",
    ]


def test_what_is_drawn_is_a_sentence_to_a_reader_too(
    is_well_formed: Callable[[str], bool],
) -> None:
    seen = set()
    for _, clause in draws("drawn", 3000):
        assert is_sentence(clause)
        worded = text(words(clause))
        assert is_well_formed(worded), worded
        seen.update(worded.split())
    assert seen == set(VOCABULARY)


@pytest.mark.parametrize(
    ("clause", "worded"),
    [
        (Clause(phrase("the", "king"), VERB["sleep"]), "the king sleeps ."),
        (Clause(phrase("all", "mouse", many=True), VERB["sleep"]), "all mice sleep ."),
        (Clause(phrase("no", "king"), VERB["sleep"], ever=True), "no king ever sleeps ."),
        (
            Clause(phrase("the", "queen"), VERB["watch"], phrase("a", "dog"), negated=True),
            "the queen does not watch a dog .",
        ),
        (
            Clause(
                phrase("two", "queen", many=True), VERB["see"], phrase("a", "dog"), passive=True
            ),
            "two queens are seen by a dog .",
        ),
        (Clause(phrase("a", "nun"), VERB["feed"], reflexive=True), "a nun feeds herself ."),
    ],
)
def test_a_clause_is_worded_as_english_is(clause: Clause, worded: str) -> None:
    assert is_sentence(clause)
    assert text(words(clause)) == worded


@pytest.mark.parametrize(
    "clause",
    [
        Clause(phrase("every", "king"), VERB["sleep"], negated=True),
        Clause(phrase("the", "king"), VERB["sleep"], ever=True),
        Clause(phrase("the", "king"), VERB["sleep"], phrase("a", "dog")),
        Clause(phrase("the", "king"), VERB["feed"]),
        Clause(phrase("the", "king"), VERB["feed"], phrase("a", "peach")),
        Clause(phrase("the", "king"), VERB["feed"], phrase("no", "dog")),
        Clause(phrase("the", "king"), VERB["steal"], phrase("a", "peach"), passive=True),
        Clause(phrase("the", "king"), VERB["steal"], reflexive=True),
        Clause(phrase("the", "peach"), VERB["sleep"]),
    ],
)
def test_what_the_fragment_leaves_out_is_no_sentence(clause: Clause) -> None:
    assert not is_sentence(clause)


def test_the_verb_and_the_reflexive_agree_with_the_subject_not_with_what_is_nearest() -> None:
    attracted = 0
    for _, clause in draws("agreement", 3000):
        sentence = text(words(clause)).split()
        finite = clause.verb.base if clause.subject.many else clause.verb.s
        if not (clause.passive or clause.negated):
            assert finite in sentence
        modifier = clause.subject.modifier
        attracted += modifier is not None and modifier.noun_phrase.many != clause.subject.many
        if clause.reflexive:
            assert ("themselves" in sentence) == clause.subject.many
    assert attracted > 300


def test_a_variation_is_a_sentence_about_another_kind_in_one_part() -> None:
    dice = Dice("test grammar", "variations")
    parts = set()
    for topic, clause in draws("varied"):
        varied = draw_variation(dice, topic, clause)
        assert is_sentence(varied)
        changed = [
            part for part in Clause.__dataclass_fields__
            if getattr(varied, part) != getattr(clause, part)
        ]  # fmt: skip
        assert len(changed) == 1
        parts.add(changed[0])
        match changed:
            case ["verb"]:
                assert varied.verb.kind != clause.verb.kind
            case ["subject"]:
                assert varied.subject.noun.kind != clause.subject.noun.kind
            case _:
                assert varied.other
                assert clause.other
                assert varied.other.noun.kind != clause.other.noun.kind
    assert parts == {"subject", "verb", "other"}
