"""The language: noun phrases and clauses, how they are drawn, and how they are put into words.

A fragment of English in the present tense. A verb agrees with its subject across whatever stands
between; a reflexive agrees with the subject in number and gender; *ever* needs *not* or *no* above
it. What the fragment leaves out, it leaves out so that truth can be told from form: definites point
at something whatever is denied of it, and a negated verb has no quantified subject.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

from finetune.embedded.dice import Dice
from finetune.embedded.lexicon import (
    ADJECTIVES,
    ADVERBS,
    ARE,
    BY,
    DETERMINERS,
    DO,
    DOES,
    EVER,
    IS,
    LIVING,
    NOT,
    NOUNS,
    PREPOSITIONS,
    PRONOUNS,
    STOP,
    THAT,
    THEMSELVES,
    VERBS,
    Class,
    Determiner,
    Noun,
    Term,
    Verb,
    narrower,
)


class Word(NamedTuple):
    """A word as it stands in a sentence, and the forms of it that would be wrong there."""

    text: str
    wrong: tuple[str, ...] = ()


@dataclass(frozen=True)
class NounPhrase:
    """*The small kings near a tower*: the modifier follows the noun."""

    determiner: Determiner
    noun: Noun
    many: bool
    adjective: str | None = None
    modifier: "Place | Relative | None" = None


@dataclass(frozen=True)
class Place:
    """*Near a tower*."""

    preposition: str
    noun_phrase: NounPhrase


class Gap(Enum):
    """Which part of a relative clause the noun plays."""

    SUBJECT = auto()
    OBJECT = auto()


@dataclass(frozen=True)
class Relative:
    """*That see the queen* (the noun is the subject) or *that the queen sees* (the object)."""

    verb: Verb
    gap: Gap
    noun_phrase: NounPhrase


@dataclass(frozen=True)
class Clause:
    """A sentence.

    Attributes:
        subject: what stands first and the verb agrees with; in the passive, what it is done to.
        verb: its verb.
        other: the object, or in the passive the doer; none for an intransitive verb.
        reflexive: whether the object is the subject itself; then `other` is none.
        passive: whether the verb is in the passive.
        negated: whether the verb is.
        ever: whether *ever* stands before the verb.
        adverb: what stands at the end.
    """

    subject: NounPhrase
    verb: Verb
    other: NounPhrase | None = None
    reflexive: bool = False
    passive: bool = False
    negated: bool = False
    ever: bool = False
    adverb: str | None = None


# ── Drawing ──────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True)
class Topic:
    """The words that a few sentences keep to."""

    living: tuple[Noun, ...]
    things: tuple[Noun, ...]
    buildings: tuple[Noun, ...]
    verbs: tuple[Verb, ...]
    adjectives: tuple[str, ...]
    adverbs: tuple[str, ...]


_LIVING_KINDS = tuple(n for n in NOUNS if n.kind is None and n.names in LIVING)
_THING_KINDS = tuple(n for n in NOUNS if n.kind is None and n.names is Class.THING)
_BUILDING_KINDS = tuple(n for n in NOUNS if n.kind is None and n.names is Class.BUILDING)
_INTRANSITIVE = tuple(v for v in VERBS if v.kind is None and not v.objects)
_OF_LIVING = tuple(v for v in VERBS if v.kind is None and v.objects >= LIVING)
_OF_THINGS = tuple(v for v in VERBS if v.kind is None and Class.THING in v.objects)
_DETERMINERS_OF = {
    many: tuple(d for d in DETERMINERS if d.takes(many)) for many in (False, True)
}
_PLAIN = {
    many: tuple(d for d in _DETERMINERS_OF[many] if d.restrictor > 0) for many in (False, True)
}
_DEFINITE = {
    many: tuple(d for d in _DETERMINERS_OF[many] if d.definite) for many in (False, True)
}


def draw_topic(dice: Dice) -> Topic:
    """Draw what a few sentences are about: four of the living, a few things, four verbs."""
    return Topic(
        living=tuple(_of_kind(dice, dice.choice(_LIVING_KINDS)) for _ in range(4)),
        things=tuple(_of_kind(dice, dice.choice(_THING_KINDS)) for _ in range(2)),
        buildings=(_of_kind(dice, dice.choice(_BUILDING_KINDS)),),
        verbs=tuple(
            _of_kind(dice, dice.choice(kinds))
            for kinds in (_INTRANSITIVE, _OF_LIVING, _OF_LIVING, _OF_THINGS)
        ),
        adjectives=(dice.choice(ADJECTIVES), dice.choice(ADJECTIVES)),
        adverbs=(dice.choice(ADVERBS),),
    )


def draw_clause(dice: Dice, topic: Topic) -> Clause:
    """Draw a sentence on a topic, of 4 to 20 words or so."""
    negated = dice.chance(1, 5)
    many = dice.chance(1, 2)
    determiner = dice.choice((_DEFINITE if negated else _DETERMINERS_OF)[many])
    subject = _draw_noun_phrase(dice, topic, topic.living, determiner, many, dice.chance(1, 3))
    verb = dice.choice(topic.verbs)
    reflexive = verb.objects >= LIVING and dice.chance(1, 4)
    other = None
    if verb.objects and not reflexive:
        many = dice.chance(1, 2)
        nouns = topic.living if verb.objects >= LIVING else topic.things
        if Class.THING in verb.objects and dice.chance(1, 2):
            nouns = topic.things
        determiner = dice.choice(_PLAIN[many])
        other = _draw_noun_phrase(dice, topic, nouns, determiner, many, dice.chance(1, 6))
    passive = (
        other is not None
        and other.noun.names in LIVING
        and dice.chance(1, 3)
    )
    licensed = negated or subject.determiner.scope < 0
    return Clause(
        subject,
        verb,
        other,
        reflexive,
        passive,
        negated,
        ever=licensed and not passive and dice.chance(1, 2),
        adverb=dice.choice(topic.adverbs) if dice.chance(1, 4) else None,
    )


def _draw_noun_phrase(
    dice: Dice, topic: Topic, nouns: tuple[Noun, ...], determiner: Determiner, many: bool,
    modified: bool,
) -> NounPhrase:
    """Draw a noun phrase that names one of `classes`; a modifier holds a plain noun phrase."""
    noun = dice.choice(nouns)
    adjective = dice.choice(topic.adjectives) if dice.chance(1, 4) else None
    modifier: Place | Relative | None = None
    if modified:
        relative = noun.names in LIVING and dice.chance(1, 2)
        modifier = _draw_relative(dice, topic) if relative else draw_place(dice, topic)
    return NounPhrase(determiner, noun, many, adjective, modifier)


def draw_place(dice: Dice, topic: Topic) -> Place:
    many = dice.chance(1, 2)
    nouns = dice.choice((topic.living, topic.buildings))
    determiner = dice.choice(_PLAIN[many])
    return Place(
        dice.choice(PREPOSITIONS),
        _draw_noun_phrase(dice, topic, nouns, determiner, many, modified=False),
    )


def _draw_relative(dice: Dice, topic: Topic) -> Relative:
    many = dice.chance(1, 2)
    verbs = tuple(verb for verb in topic.verbs if verb.objects >= LIVING)
    determiner = dice.choice(_PLAIN[many])
    return Relative(
        dice.choice(verbs),
        dice.choice((Gap.SUBJECT, Gap.OBJECT)),
        _draw_noun_phrase(dice, topic, topic.living, determiner, many, modified=False),
    )


def _of_kind(dice: Dice, kind: Term) -> Term:
    """Draw the word for a kind itself in one case of three, else for one of that kind."""
    return kind if dice.chance(1, 3) else dice.choice(narrower(kind))


# ── Wording ──────────────────────────────────────────────────────────────────────────────────────
def words(clause: Clause) -> tuple[Word, ...]:
    """Put a clause into words, each with its forms that would make the sentence unacceptable."""
    sentence = _noun_phrase(clause.subject)
    many = clause.subject.many
    if clause.passive:
        sentence.append(_agreeing(IS, ARE, many))
    elif clause.negated:
        sentence.append(_agreeing(DOES, DO, many))
    if clause.negated:
        sentence.append(Word(NOT))
    if clause.ever:
        sentence.append(Word(EVER))
    if clause.passive:
        sentence += [Word(clause.verb.participle), Word(BY)]
    elif clause.negated:
        sentence.append(Word(clause.verb.base))
    else:
        sentence.append(_agreeing(clause.verb.s, clause.verb.base, many))
    if clause.reflexive:
        sentence.append(_pronoun(clause.subject))
    if clause.other:
        sentence += _noun_phrase(clause.other)
    if clause.adverb:
        sentence.append(Word(clause.adverb))
    return (*sentence, Word(STOP))


def text(sentence: tuple[Word, ...]) -> str:
    """Return the words as one string, a blank between every two."""
    return " ".join(word.text for word in sentence)


def _noun_phrase(phrase: NounPhrase) -> list[Word]:
    determiner, noun = phrase.determiner, phrase.noun
    listed = [Word(determiner.word, (determiner.other,) if determiner.other else ())]
    if phrase.adjective:
        listed.append(Word(phrase.adjective))
    listed.append(Word(noun.many if phrase.many else noun.one))
    match phrase.modifier:
        case Place(preposition, inner):
            listed += [Word(preposition), *_noun_phrase(inner)]
        case Relative(verb, Gap.SUBJECT, inner):
            listed += [Word(THAT), _agreeing(verb.s, verb.base, phrase.many), *_noun_phrase(inner)]
        case Relative(verb, Gap.OBJECT, inner):
            listed += [Word(THAT), *_noun_phrase(inner), _agreeing(verb.s, verb.base, inner.many)]
    return listed


def _agreeing(one: str, many: str, is_many: bool) -> Word:
    return Word(many, (one,)) if is_many else Word(one, (many,))


def _pronoun(subject: NounPhrase) -> Word:
    of_one = PRONOUNS[subject.noun.names]
    if subject.many:
        return Word(THEMSELVES, (of_one,))
    return Word(of_one, (THEMSELVES, *(other for other in PRONOUNS.values() if other != of_one)))
