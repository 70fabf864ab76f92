"""Does the second sentence follow from the first?

The second is the first after one edit. What the edit does to truth is told by natural logic: a
broader word (*man* for *king*) or one modifier less keeps a sentence true in an upward-monotone
place, a narrower word or one modifier more in a downward-monotone one, as after *no*, in the noun
phrase of *every* or under *not* (van Benthem 1986; MacCartney and Manning 2007). A change of voice
keeps it true if subject and object change places as well.
"""

from collections.abc import Iterator
from dataclasses import replace
from enum import Enum, auto
from typing import NamedTuple

from finetune.embedded.dice import Dice
from finetune.embedded.grammar import Clause, NounPhrase, draw_place
from finetune.embedded.lexicon import ADJECTIVES, ADVERBS, LIVING, NOUNS, VERBS, narrower


class Change(Enum):
    """What an edit changes."""

    NOUN = auto()
    ADJECTIVE = auto()
    MODIFIER = auto()
    VERB = auto()
    ADVERB = auto()
    VOICE = auto()
    OTHER_NOUN = auto()
    OTHER_VERB = auto()


class Edit(NamedTuple):
    """A sentence made from another.

    Attributes:
        clause: the sentence made.
        broader: whether by something broader or left out; of a change of voice, whether subject
            and object changed places.
        follows: whether it is true whenever the other is.
    """

    clause: Clause
    broader: bool
    follows: bool


def edits(clause: Clause, change: Change, dice: Dice, topic) -> list[Edit]:
    """Return what a clause can be made into by one change; words to put in are drawn."""
    predicate = clause.subject.determiner.scope * (-1 if clause.negated else 1)
    match change:
        case Change.OTHER_NOUN | Change.OTHER_VERB:
            base = Change.NOUN if change is Change.OTHER_NOUN else Change.VERB
            right = [e for e in edits(clause, base, dice, topic) if e.follows]
            if not right: return []
            e = dice.choice(right)
            if change is Change.OTHER_VERB:
                c = clause.verb.kind or clause.verb
                pool = [v for v in VERBS if (v.kind is None) == (e.clause.verb.kind is None) and (v.kind or v) != c and (v.objects == c.objects)]
                if not pool: return []
                return [e, Edit(replace(e.clause, verb=dice.choice(pool)), False, False)]
            if e.clause.subject != clause.subject:
                new = _other(clause.subject, e.clause.subject, dice)
                return [e, Edit(replace(e.clause, subject=new), False, False)] if new else []
            new = _other(clause.other, e.clause.other, dice)
            return [e, Edit(replace(e.clause, other=new), False, False)] if new else []
        case Change.VOICE:
            return list(_voices(clause))
        case Change.VERB:
            verb = clause.verb.kind or dice.choice(narrower(clause.verb))
            made = replace(clause, verb=verb)
            return [_judged(made, clause.verb.kind is not None, predicate)]
        case Change.ADVERB:
            made = replace(clause, adverb=None if clause.adverb else dice.choice(ADVERBS))
            return [_judged(made, clause.adverb is not None, predicate)]
    subject, broader = _changed(clause.subject, change, dice, topic)
    upward = clause.subject.determiner.restrictor
    made = [_judged(replace(clause, subject=subject), broader, upward)]
    if clause.other:
        other, broader = _changed(clause.other, change, dice, topic)
        upward = 1 if clause.other.determiner.definite else predicate
        made.append(_judged(replace(clause, other=other), broader, upward))
    return made


def _changed(phrase: NounPhrase, change: Change, dice: Dice, topic) -> tuple[NounPhrase, bool]:
    """Return the phrase with one thing changed, and whether that made it broader."""
    match change:
        case Change.NOUN:
            noun = phrase.noun.kind or dice.choice(narrower(phrase.noun))
            return replace(phrase, noun=noun), phrase.noun.kind is not None
        case Change.ADJECTIVE:
            adjective = None if phrase.adjective else dice.choice(ADJECTIVES)
            return replace(phrase, adjective=adjective), phrase.adjective is not None
        case _:
            modifier = None if phrase.modifier else draw_place(dice, topic)
            return replace(phrase, modifier=modifier), phrase.modifier is not None


def _other(old, phrase, dice):
    c = old.noun.kind or old.noun
    pool = [n for n in NOUNS if (n.kind is None) == (phrase.noun.kind is None) and (n.kind or n) != c and ((n.names in LIVING) == (c.names in LIVING))]
    return replace(phrase, noun=dice.choice(pool)) if pool else None


def _judged(clause: Clause, broader: bool, upward: int) -> Edit:
    return Edit(clause, broader, follows=broader == (upward > 0))


def _voices(clause: Clause) -> Iterator[Edit]:
    """Yield a clause in the other voice, the living in it in their places and exchanged."""
    other = clause.other
    if (
        other
        and not clause.negated
        and clause.verb.objects >= LIVING
        and other.noun.names in LIVING
        and clause.subject.determiner.restrictor > 0
        and (clause.subject.determiner, clause.subject.noun) != (other.determiner, other.noun)
    ):
        turned = replace(clause, passive=not clause.passive)
        yield Edit(turned, broader=False, follows=False)
        yield Edit(replace(turned, subject=other, other=clause.subject), broader=True, follows=True)
