"""Is this a sentence of the language? Acceptable sentences, and the same with one fault.

A fault is one word in a form that is wrong where it stands, or a misplaced *no* that leaves *ever*
without what it needs. So a faulty sentence is as long as the sound one it was made from, and each
of its words is one that sound sentences are made of.
"""

from finetune.embedded.dice import Dice
from finetune.embedded.grammar import Clause, Place, Relative, Word, words
from finetune.embedded.lexicon import EVER


def spoil(clause: Clause, dice: Dice) -> tuple[Word, ...] | None:
    """Return the clause in words with one fault, each possible place of it equally likely.

    Returns:
        None where the clause offers no place for a fault.
    """
    sentence = words(clause)
    places = [place for place, word in enumerate(sentence) if word.wrong]
    exchange = _determiners_to_exchange(clause, sentence)
    if not places and not exchange:
        return None
    drawn = dice.below(len(places) + (1 if exchange else 0))
    faulty = list(sentence)
    if drawn == len(places):
        assert exchange
        one, other = exchange
        faulty[one], faulty[other] = faulty[other], faulty[one]
    else:
        place = places[drawn]
        faulty[place] = Word(dice.choice(faulty[place].wrong))
    return tuple(faulty)


def _determiners_to_exchange(
    clause: Clause, sentence: tuple[Word, ...]
) -> tuple[int, int] | None:
    """Find where *no … the … ever* can become *the … no … ever*."""
    subject = clause.subject
    if not clause.ever or clause.negated or subject.modifier is None:
        return None
    match subject.modifier:
        case Place(_, inner) | Relative(_, _, inner):
            if not (subject.determiner.takes(inner.many) and inner.determiner.takes(subject.many)):
                return None
            before_ever = [word.text for word in sentence[: [w.text for w in sentence].index(EVER)]]
            return 0, before_ever.index(inner.determiner.word, 1)
