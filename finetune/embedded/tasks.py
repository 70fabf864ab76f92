"""The two tasks of the language, made anew whenever they are read, always the same.

`acceptability` asks of a sentence whether it is one, as CoLA does; `entailment` of two whether the
second follows from the first, as RTE does. In both the labels are balanced within each split, and
cannot be told from the length or from the words without their order.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from finetune.embedded.acceptability import spoil
from finetune.embedded.corpus import is_held_out
from finetune.embedded.dice import Dice
from finetune.embedded.entailment import Change, edits, restate
from finetune.embedded.grammar import draw_clause, draw_topic, draw_variation, text, words
from finetune.tasks.task import Split, Task, TaskData, Texts

UNACCEPTABLE, ACCEPTABLE = 0, 1
ENTAILMENT, NOT_ENTAILMENT = 0, 1


def draw_acceptability(dice: Dice, label: int) -> Texts | None:
    """Draw an example, of one sentence.

    Args:
        dice: draws it.
        label: `UNACCEPTABLE` or `ACCEPTABLE`.

    Returns:
        None where the sentence drawn has no place for a fault: neither label may have such.
    """
    clause = draw_clause(dice, draw_topic(dice))
    faulty = spoil(clause, dice)
    if faulty is None:
        return None
    return (text(words(clause) if label == ACCEPTABLE else faulty),)


def draw_entailment(dice: Dice, label: int) -> Texts | None:
    """Draw an example, of two sentences.

    Three of four are coarse: the second sentence restates the first, or else one that differs from
    it in subject, verb or object. One of four is fine: the second is the first after one edit, as
    often to the broader as to the narrower, whichever the label.

    Args:
        dice: draws it.
        label: `ENTAILMENT` or `NOT_ENTAILMENT`.

    Returns:
        None where what was drawn cannot have the label.
    """
    topic = draw_topic(dice)
    premise = draw_clause(dice, topic)
    if dice.chance(3, 4):
        said = premise if label == ENTAILMENT else draw_variation(dice, topic, premise)
        return text(words(premise)), text(words(restate(said, topic, dice)))
    change, broader = dice.choice(tuple(Change)), dice.chance(1, 2)
    fitting = [
        edit.clause
        for edit in edits(premise, change, topic, dice)
        if edit.follows is (label == ENTAILMENT)
        and (edit.broader is broader or change is Change.VOICE)
    ]
    return (text(words(premise)), text(words(dice.choice(fitting)))) if fitting else None


@dataclass(frozen=True)
class Generated:
    """A source that draws its examples.

    Attributes:
        name: names the random stream, so that tasks and splits are drawn independently.
        draw: draws an example of a given label (0 or 1), or nothing.
        train_size: examples to train on, an even number.
        validation_size: examples to validate on, an even number.
    """

    name: str
    draw: Callable[[Dice, int], Texts | None]
    train_size: int = 640
    validation_size: int = 256

    def fingerprint(self) -> str:
        """Return a hash of every text and label."""
        data = self.read()
        content = [(split.texts, split.labels.tolist()) for split in (data.train, data.validation)]
        return hashlib.sha256(repr(content).encode()).hexdigest()[:16]

    def read(self) -> TaskData:
        """Draw the examples, in a fraction of a second."""
        return TaskData(
            self._split("train", self.train_size, held_out=False),
            self._split("validation", self.validation_size, held_out=True),
        )

    def _split(self, name: str, size: int, *, held_out: bool) -> Split:
        dice = Dice(self.name, name)
        drawn: dict[Texts, int] = {}
        left = Counter({0: size // 2, 1: size // 2})
        for texts, label in self._examples(dice, held_out):
            if left[label] and texts not in drawn:
                drawn[texts] = label
                left[label] -= 1
            if not left.total():
                break
        labels = np.array(list(drawn.values()), dtype=np.int64)
        return Split(tuple(drawn), labels)

    def _examples(self, dice: Dice, held_out: bool) -> Iterator[tuple[Texts, int]]:
        while True:
            label = dice.below(2)
            texts = self.draw(dice, label)
            if texts and all(is_held_out(sentence) is held_out for sentence in texts):
                yield texts, label


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task(
            name="acceptability",
            title="Acceptability",
            description="Whether a sentence of the built-in language is well formed, as CoLA asks.",
            kind="classification",
            labels=("unacceptable", "acceptable"),
            metric="matthews_correlation",
            source=Generated("acceptability", draw_acceptability),
        ),
        Task(
            name="entailment",
            title="Entailment",
            description="Whether a sentence of the built-in language follows from another, as RTE.",
            kind="classification",
            labels=("entailment", "not_entailment"),
            metric="accuracy",
            source=Generated("entailment", draw_entailment),
        ),
    )
}
"""The tasks by name; the order of the labels is CoLA's and RTE's."""
