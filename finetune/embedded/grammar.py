"""The language: what a sentence is, how one is drawn, and how it is put into words.

A fragment of English in the present tense. A verb agrees with its subject across whatever stands
between; a reflexive agrees with the subject in number and gender; *ever* needs *not* or *no* above
it. What the fragment leaves out, it leaves out so that form decides what follows from what: a
negated verb has no quantified subject, and only subjects are universal or negative.
"""

from dataclasses import dataclass, replace
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
    NARROWER_NOUNS,
    NARROWER_VERBS,
    NOT,
    PREPOSITIONS,
    PRONOUNS,
    STOP,
    THAT,
    THEMSELVES,
    Class,
    Determiner,
    Noun,
    Verb,
)


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
    """Which part of a relative clause the noun before it plays."""

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


def is_sentence(clause: Clause) -> bool:
    """Return whether a clause is one of the language."""
    subject, verb, other = clause.subject, clause.verb, clause.other
    return (
        subject.noun.names in LIVING
        and (other is None) == (clause.reflexive or not verb.objects)
        and (other is None or other.noun.names in verb.objects)
        and (other is None or other.determiner.restrictor > 0)
        and (not clause.reflexive or (verb.takes_the_living and not clause.passive))
        and (not clause.passive or (other is not None and other.noun.names in LIVING))
        and (not clause.negated or subject.determiner.definite)
        and (not clause.ever or clause.negated or subject.determiner.scope < 0)
        and not (clause.ever and clause.passive)
    )


# ── Drawing ──────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True)
class Topic:
    """The words that a few sentences keep to: one noun of each kind, a few verbs."""

    living: tuple[Noun, ...]
    things: tuple[Noun, ...]
    buildings: tuple[Noun, ...]
    verbs: tuple[Verb, ...]
    adjectives: tuple[str, ...]
    adverb: str


_LIVING_KINDS = tuple(kind for kind in NARROWER_NOUNS if kind.names in LIVING)
_THING_KINDS = tuple(kind for kind in NARROWER_NOUNS if kind.names is Class.THING)
_BUILDING_KINDS = tuple(kind for kind in NARROWER_NOUNS if kind.names is Class.BUILDING)
_INTRANSITIVE_KINDS = tuple(kind for kind in NARROWER_VERBS if not kind.objects)
_LIVING_VERB_KINDS = tuple(kind for kind in NARROWER_VERBS if kind.takes_the_living)
_THING_VERB_KINDS = tuple(kind for kind in NARROWER_VERBS if Class.THING in kind.objects)
_ANY = {many: tuple(d for d in DETERMINERS if d.takes(many)) for many in (False, True)}
_POSITIVE = {many: tuple(d for d in _ANY[many] if d.restrictor > 0) for many in (False, True)}
_DEFINITE = {many: tuple(d for d in _ANY[many] if d.definite) for many in (False, True)}


def draw_topic(dice: Dice) -> Topic:
    """Draw the words for a few sentences, each kind's own word in one case of three."""
    verb_kinds = (
        dice.choice(_INTRANSITIVE_KINDS),
        *(_LIVING_VERB_KINDS[place] for place in dice.permutation(len(_LIVING_VERB_KINDS))[:2]),
        dice.choice(_THING_VERB_KINDS),
    )
    return Topic(
        living=tuple(_draw_noun(dice, kind) for kind in _LIVING_KINDS),
        things=tuple(_draw_noun(dice, kind) for kind in _THING_KINDS),
        buildings=tuple(_draw_noun(dice, kind) for kind in _BUILDING_KINDS),
        verbs=tuple(
            kind if dice.chance(1, 3) else dice.choice(NARROWER_VERBS[kind]) for kind in verb_kinds
        ),
        adjectives=(dice.choice(ADJECTIVES), dice.choice(ADJECTIVES)),
        adverb=dice.choice(ADVERBS),
    )


def _draw_noun(dice: Dice, kind: Noun) -> Noun:
    return kind if dice.chance(1, 3) else dice.choice(NARROWER_NOUNS[kind])


def draw_clause(dice: Dice, topic: Topic) -> Clause:
    """Draw a sentence on a topic, of 4 to 20 words."""
    negated = dice.chance(1, 5)
    many = dice.chance(1, 2)
    determiner = dice.choice((_DEFINITE if negated else _ANY)[many])
    subject = _draw_noun_phrase(dice, topic, topic.living, determiner, many)
    if dice.chance(1, 3):
        subject = replace(subject, modifier=_draw_modifier(dice, topic))
    verb = dice.choice(topic.verbs)
    reflexive = verb.takes_the_living and dice.chance(1, 4)
    other = None
    if verb.objects and not reflexive:
        other = _draw_other(dice, topic, verb)
    passive = other is not None and other.noun.names in LIVING and dice.chance(1, 3)
    licensed = (negated or determiner.scope < 0) and not passive
    return Clause(
        subject,
        verb,
        other,
        reflexive,
        passive,
        negated,
        ever=licensed and dice.chance(1, 2),
        adverb=topic.adverb if dice.chance(1, 4) else None,
    )


def draw_variation(dice: Dice, topic: Topic, clause: Clause) -> Clause:
    """Draw a sentence that differs from another in its subject, its verb or its object alone.

    The part drawn anew is of another kind than the part it stands for, so that neither sentence
    follows from the other, nor would from broader or narrower words for the same.

    Args:
        dice: draws the new part.
        topic: where it is drawn from; the topic of `clause`.
        clause: the sentence to differ from.
    """
    while True:
        drawn = draw_clause(dice, topic)
        varied = [replace(clause, verb=drawn.verb)] if drawn.verb.kind != clause.verb.kind else []
        if drawn.subject.noun.kind != clause.subject.noun.kind:
            varied.append(replace(clause, subject=drawn.subject))
        if drawn.other and clause.other and drawn.other.noun.kind != clause.other.noun.kind:
            varied.append(replace(clause, other=drawn.other))
        sentences = [candidate for candidate in varied if is_sentence(candidate)]
        if sentences:
            return dice.choice(sentences)


def draw_place(dice: Dice, topic: Topic) -> Place:
    """Draw a modifier that says where: near, behind or beside a building or one of the living."""
    many = dice.chance(1, 2)
    nouns = dice.choice((topic.living, topic.buildings))
    determiner = dice.choice(_POSITIVE[many])
    preposition = dice.choice(PREPOSITIONS)
    return Place(preposition, _draw_noun_phrase(dice, topic, nouns, determiner, many))


def _draw_other(dice: Dice, topic: Topic, verb: Verb) -> NounPhrase:
    nouns = tuple(noun for noun in (*topic.living, *topic.things) if noun.names in verb.objects)
    many = dice.chance(1, 2)
    other = _draw_noun_phrase(dice, topic, nouns, dice.choice(_POSITIVE[many]), many)
    if dice.chance(1, 6):
        place = other.noun.names not in LIVING
        modifier = draw_place(dice, topic) if place else _draw_modifier(dice, topic)
        other = replace(other, modifier=modifier)
    return other


def _draw_modifier(dice: Dice, topic: Topic) -> Place | Relative:
    if dice.chance(1, 2):
        return draw_place(dice, topic)
    many = dice.chance(1, 2)
    verb = dice.choice(tuple(verb for verb in topic.verbs if verb.takes_the_living))
    gap = dice.choice(tuple(Gap))
    determiner = dice.choice(_POSITIVE[many])
    return Relative(verb, gap, _draw_noun_phrase(dice, topic, topic.living, determiner, many))


def _draw_noun_phrase(
    dice: Dice, topic: Topic, nouns: tuple[Noun, ...], determiner: Determiner, many: bool
) -> NounPhrase:
    noun = dice.choice(nouns)
    adjective = dice.choice(topic.adjectives) if dice.chance(1, 4) else None
    return NounPhrase(determiner, noun, many, adjective)


# ── Wording ──────────────────────────────────────────────────────────────────────────────────────
class Word(NamedTuple):
    """A word as it stands in a sentence, and the forms of it that would be wrong there."""

    text: str
    wrong: tuple[str, ...] = ()


Sentence = tuple[Word, ...]


def words(clause: Clause) -> Sentence:
    """Put a clause into words, each with its forms that would make the sentence unacceptable."""
    many = clause.subject.many
    sentence = _noun_phrase(clause.subject)
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
        sentence.append(_reflexive(clause.subject))
    if clause.other:
        sentence += _noun_phrase(clause.other)
    if clause.adverb:
        sentence.append(Word(clause.adverb))
    return (*sentence, Word(STOP))


def text(sentence: Sentence) -> str:
    """Return the words as one string, a blank between every two."""
    return " ".join(word.text for word in sentence)


def _noun_phrase(phrase: NounPhrase) -> list[Word]:
    partner = phrase.determiner.partner
    listed = [Word(phrase.determiner.word, (partner,) if partner else ())]
    if phrase.adjective:
        listed.append(Word(phrase.adjective))
    listed.append(Word(phrase.noun.many if phrase.many else phrase.noun.one))
    match phrase.modifier:
        case Place(preposition, inner):
            listed += [Word(preposition), *_noun_phrase(inner)]
        case Relative(verb, Gap.SUBJECT, inner):
            listed += [Word(THAT), _agreeing(verb.s, verb.base, phrase.many), *_noun_phrase(inner)]
        case Relative(verb, Gap.OBJECT, inner):
            listed += [Word(THAT), *_noun_phrase(inner), _agreeing(verb.s, verb.base, inner.many)]
    return listed


def _agreeing(of_one: str, of_many: str, many: bool) -> Word:
    return Word(of_many, (of_one,)) if many else Word(of_one, (of_many,))


def _reflexive(subject: NounPhrase) -> Word:
    of_one = PRONOUNS[subject.noun.names]
    if subject.many:
        return Word(THEMSELVES, (of_one,))
    return Word(of_one, (THEMSELVES, *(other for other in PRONOUNS.values() if other != of_one)))
