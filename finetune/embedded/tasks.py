"""Tasks."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from finetune.embedded.acceptability import spoil
from finetune.embedded.corpus import is_held_out
from finetune.embedded.dice import Dice
from finetune.embedded.entailment import Change, edits
from finetune.embedded.grammar import draw_topic, draw_clause, text, words
from finetune.tasks.task import Split, Task, TaskData, Texts

import os
TRAIN, VALIDATION = int(os.environ.get("NT","800")), 300
Example = tuple[Texts, int]


def _acceptability(dice: Dice, held_out: bool) -> Iterator[Example]:
    while True:
        acceptable = dice.below(2)
        topic = draw_topic(dice)
        clause = draw_clause(dice, topic)
        sentence = words(clause) if acceptable else spoil(clause, dice)
        if sentence is None: continue
        if acceptable and spoil(clause, dice) is None: continue
        t = text(sentence)
        if is_held_out(t) is held_out:
            yield (t,), acceptable


KIND={}; VARY=int(os.environ.get('VARY',5))
CH = tuple(Change[c] for c in os.environ.get("MIX","NOUN ADJECTIVE MODIFIER VERB ADVERB VOICE VOICE").split())
from finetune.embedded.corpus import varied, _restated
def _entailment(dice: Dice, held_out: bool) -> Iterator[Example]:
    n=0
    while True:
        label, change, broader = n%2, dice.choice(CH), dice.chance(1, 2); n+=1
        vary = dice.chance(VARY,10)
        while True:
            topic = draw_topic(dice)
            clause = draw_clause(dice, topic)
            if vary:
                if label==0: fitting=[_restated(clause,dice,topic)]
                else:
                    other=varied(clause,dice,topic)
                    if other is None: continue
                    fitting=[_restated(other,dice,topic)]
            else:
                fitting = [e.clause for e in edits(clause, change, dice, topic) if e.follows is (label == 0) and (e.broader is broader or change in (Change.VOICE,Change.OTHER_NOUN,Change.OTHER_VERB))]
            if not fitting: continue
            p, h = text(words(clause)), text(words(dice.choice(fitting)))
            if is_held_out(p) is held_out and is_held_out(h) is held_out:
                break
        KIND[p,h]="VARY" if vary else change.name; yield (p, h), label


@dataclass(frozen=True)
class Generated:
    name: str
    examples: Callable[[Dice, bool], Iterator[Example]]

    def fingerprint(self) -> str:
        h = hashlib.sha256()
        data = self.read()
        h.update(repr((data.train.texts, data.train.labels.tolist(), data.validation.texts, data.validation.labels.tolist())).encode())
        return h.hexdigest()

    def read(self) -> TaskData:
        return TaskData(self._split("train", TRAIN, False), self._split("validation", VALIDATION, True))

    def _split(self, name: str, size: int, held_out: bool) -> Split:
        drawn: dict[Texts, int] = {}
        for t, label in self.examples(Dice(self.name, name), held_out):
            drawn.setdefault(t, label)
            if len(drawn) == size: break
        return Split(tuple(drawn), np.array(list(drawn.values()), dtype=np.int64))


TASKS = {
    "acceptability": Task("acceptability", "Acceptability", "d", "classification", ("unacceptable", "acceptable"), "matthews_correlation", Generated("acceptability", _acceptability)),
    "entailment": Task("entailment", "Entailment", "d", "classification", ("entailment", "not_entailment"), "accuracy", Generated("entailment", _entailment)),
}
