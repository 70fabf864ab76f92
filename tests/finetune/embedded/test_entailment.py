"""What follows from what, checked against the truth of sentences in small random worlds.

The verdict on an edit comes from the monotonicity of words; here it is put to the definition: one
sentence follows from another where no world makes the first true and the second false.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from finetune.embedded.dice import Dice
from finetune.embedded.entailment import Change, edits, restate
from finetune.embedded.grammar import (
    Clause,
    Gap,
    NounPhrase,
    Place,
    Relative,
    Topic,
    draw_clause,
    draw_topic,
    draw_variation,
    is_sentence,
    text,
    words,
)
from finetune.embedded.lexicon import (
    ADVERBS,
    DETERMINERS,
    NARROWER_NOUNS,
    NARROWER_VERBS,
    NOUNS,
    PREPOSITIONS,
    VERBS,
    Noun,
    Verb,
)

WORLDS = 250
"""Worlds in which what follows must be true; what does not is looked for in ten times as many."""
SIZE = 6
NOTHING = -1
LONGEST = 9


@dataclass(frozen=True)
class World:
    """What there is, what it is like, and what happens.

    Attributes:
        nouns: the noun of each thing, most often a narrow one.
        adjectives: the adjectives true of each thing.
        happens: what is done by one to one (or to `NOTHING`): the verb, and its adverbs.
        places: which thing is where to which.
        meant: the things that a definite of a kind and number points at.
    """

    nouns: list[Noun]
    adjectives: list[set[str]]
    happens: dict[tuple[int, int], list[tuple[Verb, set[str]]]]
    places: set[tuple[str, int, int]]
    meant: dict[tuple[Noun, bool], tuple[int, ...]]


def draw_world(dice: Dice, clauses: tuple[Clause, ...]) -> World:
    """Draw a world of a few things, most of them such as the clauses speak of."""
    phrases = [phrase for clause in clauses for phrase in phrases_of(clause)]
    mentioned = list(dict.fromkeys(phrase.noun for phrase in phrases))
    done = list(dict.fromkeys(verb for clause in clauses for verb in verbs_of(clause)))
    described = [phrase.adjective for phrase in phrases if phrase.adjective]

    def noun() -> Noun:
        chosen = dice.choice(mentioned)
        unlike = (chosen.kind, *NARROWER_NOUNS[chosen.kind])
        return dice.choice(unlike) if dice.chance(1, 4) else chosen

    def verb() -> Verb:
        chosen = dice.choice(done)
        unlike = (chosen.kind, *NARROWER_VERBS[chosen.kind])
        return dice.choice(unlike) if dice.chance(1, 4) else chosen

    often = 1 + dice.below(12)
    nouns = [noun() for _ in range(SIZE)]
    order = dice.permutation(SIZE)
    return World(
        nouns=nouns,
        adjectives=[{it for it in described if dice.chance(3, 4)} for _ in range(SIZE)],
        happens={
            (doer, to): [
                (verb(), {adverb for adverb in ADVERBS if dice.chance(2, 3)})
                for _ in range(3)
                if dice.chance(often, 12)
            ]
            for doer in range(SIZE)
            for to in range(NOTHING, SIZE)
        },
        places={
            (preposition, one, other)
            for preposition in PREPOSITIONS
            for one in range(SIZE)
            for other in range(SIZE)
            if dice.chance(often, 12)
        },
        meant={
            (kind, many): tuple(
                [thing for thing in order if nouns[thing].kind == kind][: 2 if many else 1]
            )
            for kind in {noun.kind for noun in mentioned}
            for many in (False, True)
        },
    )


def phrases_of(clause: Clause) -> list[NounPhrase]:
    outer = [phrase for phrase in (clause.subject, clause.other) if phrase]
    return outer + [phrase.modifier.noun_phrase for phrase in outer if phrase.modifier]


def verbs_of(clause: Clause) -> list[Verb]:
    outer = [phrase for phrase in (clause.subject, clause.other) if phrase]
    inner = [it.modifier.verb for it in outer if isinstance(it.modifier, Relative)]
    return [clause.verb, *inner]


def is_true(clause: Clause, world: World) -> bool:
    """Whether a sentence is true; a definite takes scope over all else, then subject over *not*."""
    other = clause.other

    def done(subject: int, to: int) -> bool:
        known = world.happens[(to, subject) if clause.passive else (subject, to)]
        return any(
            clause.verb in (verb, verb.broader) and (clause.adverb is None or clause.adverb in how)
            for verb, how in known
        )

    def said_of_subject(holds: Callable[[int], bool]) -> bool:
        return quantified(clause.subject, world, lambda it: holds(it) is not clause.negated)

    if other is None:
        return said_of_subject(lambda it: done(it, it if clause.reflexive else NOTHING))
    if other.determiner.definite:
        return quantified(other, world, lambda to: said_of_subject(lambda it: done(it, to)))
    return said_of_subject(lambda it: quantified(other, world, lambda to: done(it, to)))


def quantified(phrase: NounPhrase, world: World, holds: Callable[[int], bool]) -> bool:
    """Whether a predicate holds of as many as a noun phrase says."""
    if phrase.determiner.definite:
        meant = world.meant[phrase.noun.kind, phrase.many]
        return len(meant) == (2 if phrase.many else 1) and all(
            describes(phrase, thing, world) and holds(thing) for thing in meant
        )
    such = [thing for thing in range(SIZE) if describes(phrase, thing, world)]
    match phrase.determiner.word:
        case "every" | "all":
            return all(holds(thing) for thing in such)
        case "no":
            return not any(holds(thing) for thing in such)
        case _:
            return sum(holds(thing) for thing in such) >= (2 if phrase.many else 1)


def describes(phrase: NounPhrase, thing: int, world: World) -> bool:
    """Whether a thing is what noun, adjective and modifier say."""
    if phrase.noun not in (world.nouns[thing], world.nouns[thing].broader):
        return False
    if phrase.adjective and phrase.adjective not in world.adjectives[thing]:
        return False
    match phrase.modifier:
        case Place(preposition, inner):
            return quantified(inner, world, lambda it: (preposition, thing, it) in world.places)
        case Relative(verb, gap, inner):
            return quantified(
                inner,
                world,
                lambda it: any(
                    verb in (known, known.broader)
                    for known, _ in world.happens[
                        (thing, it) if gap is Gap.SUBJECT else (it, thing)
                    ]
                ),
            )
    return True


def refuted(first: Clause, second: Clause, dice: Dice, worlds: int) -> bool:
    """Whether one of so many random worlds makes the first true and the second false."""
    drawn = (draw_world(dice, (first, second)) for _ in range(worlds))
    return any(is_true(first, world) and not is_true(second, world) for world in drawn)


def draw(dice: Dice) -> tuple[Topic, Clause]:
    """Draw a sentence of which a small world can be the counterexample: one of few words."""
    while True:
        topic = draw_topic(dice)
        clause = draw_clause(dice, topic)
        if len(words(clause)) <= LONGEST:
            return topic, clause


def wording(first: Clause, second: Clause) -> str:
    return f"{text(words(first))} | {text(words(second))}"


@pytest.mark.parametrize("change", Change)
def test_an_edit_follows_just_where_no_world_refutes_it(change: Change) -> None:
    dice = Dice("test entailment", change.name)
    seen: Counter[tuple[bool, bool]] = Counter()
    wanted = [(True, True), (False, False)]
    if change is not Change.VOICE:
        wanted += [(True, False), (False, True)]
    while any(seen[cell] < 6 for cell in wanted):
        topic, clause = draw(dice)
        for edit in edits(clause, change, topic, dice):
            cell = edit.broader, edit.follows
            if seen[cell] >= 6:
                continue
            seen[cell] += 1
            worlds = WORLDS if edit.follows else 10 * WORLDS
            assert refuted(clause, edit.clause, dice, worlds) is not edit.follows, wording(
                clause, edit.clause
            )
    assert set(seen) == set(wanted)


def test_the_voice_is_not_changed_where_that_changes_what_takes_scope() -> None:
    """*Two kings feed a dog*, each his own; *a dog is fed by two kings*, the same one."""
    a, two = (next(d for d in DETERMINERS if d.word == word) for word in ("a", "two"))
    king, dog = (next(noun for noun in NOUNS if noun.one == word) for word in ("king", "dog"))
    feed = next(verb for verb in VERBS if verb.base == "feed")
    kings, one_dog = NounPhrase(two, king, many=True), NounPhrase(a, dog, many=False)
    dice = Dice("test entailment", "scope")

    active, passive = Clause(kings, feed, one_dog), Clause(one_dog, feed, kings, passive=True)

    assert refuted(active, passive, dice, 10 * WORLDS)
    for clause in (active, passive):
        assert edits(clause, Change.VOICE, draw_topic(dice), dice) == []


def test_an_edit_of_a_sentence_is_another_sentence() -> None:
    dice = Dice("test entailment", "sentences")
    for _ in range(300):
        topic, clause = draw(dice)
        for change in Change:
            for edit in edits(clause, change, topic, dice):
                assert is_sentence(edit.clause)
                assert edit.clause != clause


def test_a_restatement_follows() -> None:
    dice = Dice("test entailment", "restatements")
    for _ in range(15):
        topic, clause = draw(dice)
        restated = restate(clause, topic, dice)
        assert is_sentence(restated)
        assert not refuted(clause, restated, dice, WORLDS), wording(clause, restated)


def test_a_variation_and_its_restatement_do_not_follow() -> None:
    dice = Dice("test entailment", "variations")
    judged = 0
    while judged < 30:
        topic, clause = draw(dice)
        varied = draw_variation(dice, topic, clause)
        restated = restate(varied, topic, dice)
        for second in (varied, restated):
            if len(words(second)) <= LONGEST:
                judged += 1
                assert refuted(clause, second, dice, 10 * WORLDS), wording(clause, second)
