"""Does one sentence follow from another? Edits, and what they do to truth.

The verdicts are those of natural logic. A broader word (*man* for *king*) or one modifier less
keeps a sentence true in an upward-monotone place; a narrower word or one modifier more does in a
downward-monotone one: after *no*, in the noun phrase of *every* or *all*, under *not* (van Benthem
1986, Essays in Logical Semantics; MacCartney and Manning 2007, Natural Logic for Textual
Inference). A change of voice does if subject and object change places with it.
"""

from dataclasses import replace
from enum import Enum, auto
from typing import NamedTuple

from finetune.embedded.dice import Dice
from finetune.embedded.grammar import Clause, NounPhrase, Topic, draw_place
from finetune.embedded.lexicon import LIVING, NARROWER_NOUNS, NARROWER_VERBS


class Change(Enum):
    """What an edit changes."""

    NOUN = auto()
    ADJECTIVE = auto()
    MODIFIER = auto()
    VERB = auto()
    ADVERB = auto()
    VOICE = auto()


class Edit(NamedTuple):
    """A sentence made from another.

    Attributes:
        clause: the sentence made.
        broader: whether what was changed became broader or was left out; of a change of voice,
            whether subject and object changed places with it.
        follows: whether it is true whenever the other is.
    """

    clause: Clause
    broader: bool
    follows: bool


def edits(clause: Clause, change: Change, topic: Topic, dice: Dice) -> list[Edit]:
    """Return what one change can make of a clause; may be empty.

    Args:
        clause: the sentence to change.
        change: what to change.
        topic: where a modifier to put in is drawn from.
        dice: draws what is put in.
    """
    upward = clause.subject.determiner.scope * (-1 if clause.negated else 1) > 0
    match change:
        case Change.VOICE:
            return _in_the_other_voice(clause)
        case Change.VERB:
            verb = clause.verb.broader or dice.choice(NARROWER_VERBS[clause.verb])
            return [_judged(replace(clause, verb=verb), clause.verb.broader is not None, upward)]
        case Change.ADVERB:
            adverb = None if clause.adverb else topic.adverb
            return [_judged(replace(clause, adverb=adverb), clause.adverb is not None, upward)]
    subject, broader = _changed(clause.subject, change, topic, dice)
    made = [
        _judged(replace(clause, subject=subject), broader, clause.subject.determiner.restrictor > 0)
    ]
    if clause.other:
        other, broader = _changed(clause.other, change, topic, dice)
        upward = upward or clause.other.determiner.definite
        made.append(_judged(replace(clause, other=other), broader, upward))
    return made


def restate(clause: Clause, topic: Topic, dice: Dice) -> Clause:
    """Return a sentence that follows from a clause: two edits away, or fewer where none is left."""
    changes, made = tuple(Change), 0
    for place in dice.permutation(len(changes)):
        following = [edit for edit in edits(clause, changes[place], topic, dice) if edit.follows]
        if following:
            clause = dice.choice(following).clause
            made += 1
        if made == 2:
            break
    return clause


def _judged(clause: Clause, broader: bool, upward: bool) -> Edit:
    return Edit(clause, broader, follows=broader == upward)


def _changed(
    phrase: NounPhrase, change: Change, topic: Topic, dice: Dice
) -> tuple[NounPhrase, bool]:
    """Return the phrase with one thing changed, and whether that made it broader."""
    match change:
        case Change.NOUN:
            noun = phrase.noun.broader or dice.choice(NARROWER_NOUNS[phrase.noun])
            return replace(phrase, noun=noun), phrase.noun.broader is not None
        case Change.ADJECTIVE:
            adjective = None if phrase.adjective else dice.choice(topic.adjectives)
            return replace(phrase, adjective=adjective), phrase.adjective is not None
        case _:
            modifier = None if phrase.modifier else draw_place(dice, topic)
            return replace(phrase, modifier=modifier), phrase.modifier is not None


def _in_the_other_voice(clause: Clause) -> list[Edit]:
    """Return a clause in the other voice, subject and object in their places and exchanged.

    Only where they are of unlike kinds, and where it says the same whichever takes scope over the
    other: one is definite, or both are *a* or *some* of one.
    """
    subject, other = clause.subject, clause.other
    if other is None or other.noun.names not in LIVING or subject.noun.kind == other.noun.kind:
        return []
    if clause.negated or subject.determiner.restrictor < 0:
        return []
    definite = subject.determiner.definite or other.determiner.definite
    if not definite and (subject.many or other.many):
        return []
    turned = replace(clause, passive=not clause.passive)
    return [
        Edit(turned, broader=False, follows=False),
        Edit(replace(turned, subject=other, other=subject), broader=True, follows=True),
    ]
