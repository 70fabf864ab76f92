"""What the encoder is pretrained on: texts of two sentences, the second going on from the first.

The second sentence says something that is true if the first is, in broader words or in the other
voice, or says something new about the one that the first was about.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import replace

from finetune.embedded.dice import Dice
from finetune.embedded.entailment import Change, edits
from finetune.embedded.grammar import Clause, draw_topic, draw_clause, text, words
from finetune.embedded.lexicon import DETERMINERS

_THE = next(determiner for determiner in DETERMINERS if determiner.word == "the")


def is_held_out(sentence: str) -> bool:
    """Whether a sentence is kept for validation: half the language is, told by its hash.

    Neither the corpus nor a training set holds such a sentence, nor a validation set another.
    """
    return hashlib.sha256(sentence.encode()).digest()[0] % 2 == 0


def draw_texts(dice: Dice, *, held_out: bool = False):
    """Yield documents of 4 pairs."""
    while True:
        topic=draw_topic(dice)
        doc=[]
        first = draw_clause(dice,topic)
        tries=0
        while len(doc)<4:
            tries+=1
            if tries>60: break
            prev=first
            first = varied(first, dice,topic)
            if first is None: first=prev; continue
            second = _restated(first, dice,topic)
            pair = text(words(first)), text(words(second))
            if all(is_held_out(sentence) is held_out for sentence in pair):
                doc.append(pair)
            else: first=prev
        if len(doc)==4: yield doc


def varied(clause,dice,topic):
    new=draw_clause(dice,topic)
    parts=dice.below(3)
    if parts==0:
        new=replace(clause,subject=new.subject)
        if new.negated and not new.subject.determiner.definite: return None
        if new.ever and not (new.negated or new.subject.determiner.scope<0): return None
        same=new.subject==clause.subject
    elif parts==1:
        same=new.verb==clause.verb
        if new.verb.objects!=clause.verb.objects: return None
        new=replace(clause,verb=new.verb)
    else:
        if new.other is None or clause.other is None or new.verb.objects!=clause.verb.objects or (clause.passive and new.other.noun.names not in LIVING): return None
        same=new.other.noun==clause.other.noun
        new=replace(clause,other=new.other)
    return None if same else new


def _restated(clause: Clause, dice: Dice,topic) -> Clause:
    for _ in range(2):
        change = dice.choice(tuple(Change)[:6])
        following = [edit.clause for edit in edits(clause, change, dice,topic) if edit.follows]
        if following:
            clause = dice.choice(following)
    return clause

from finetune.embedded.lexicon import LIVING
