"""Is this a sentence of the language? Sound sentences, and the same with one fault.

A fault is one word in a form that is wrong where it stands, or a misplaced *no* that leaves *ever*
without what it needs. So a faulty sentence is as long as the sound one it was made from, and made
of words that sound sentences are made of.
"""

from finetune.embedded.dice import Dice
from finetune.embedded.grammar import Clause, Sentence, Word, words
from finetune.embedded.lexicon import EVER


def spoil(clause: Clause, dice: Dice) -> Sentence | None:
    """Put a clause into words with one fault, each place for one equally likely.

    Returns:
        None where no word of the clause can be wrong.
    """
    sentence = words(clause)
    faulty = [
        _with_word(sentence, place, dice) for place, word in enumerate(sentence) if word.wrong
    ]
    moved = _with_no_moved(clause, sentence)
    if moved:
        faulty.append(moved)
    return dice.choice(faulty) if faulty else None


def _with_word(sentence: Sentence, place: int, dice: Dice) -> Sentence:
    wrong = Word(dice.choice(sentence[place].wrong))
    return (*sentence[:place], wrong, *sentence[place + 1 :])


def _with_no_moved(clause: Clause, sentence: Sentence) -> Sentence | None:
    """Turn *no king near the queen ever …* into *the king near no queen ever …*, if it can be."""
    subject = clause.subject
    if not clause.ever or clause.negated or subject.modifier is None:
        return None
    inner = subject.modifier.noun_phrase
    if not (subject.determiner.takes(inner.many) and inner.determiner.takes(subject.many)):
        return None
    texts = [word.text for word in sentence]
    place = texts.index(inner.determiner.word, 1, texts.index(EVER))
    no, *rest = sentence
    return (sentence[place], *rest[: place - 1], no, *rest[place:])
