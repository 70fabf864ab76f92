"""Sound sentences and faulty ones."""

from collections import Counter
from collections.abc import Callable

from finetune.embedded.acceptability import spoil
from finetune.embedded.dice import Dice
from finetune.embedded.grammar import (
    Clause,
    NounPhrase,
    Place,
    draw_clause,
    draw_topic,
    text,
    words,
)
from finetune.embedded.lexicon import DETERMINERS, NOUNS, VERBS


def test_a_spoilt_sentence_is_one_that_no_reader_accepts(
    is_well_formed: Callable[[str], bool],
) -> None:
    dice = Dice("test acceptability", "spoilt")
    for _ in range(3000):
        clause = draw_clause(dice, draw_topic(dice))
        faulty = spoil(clause, dice)
        if faulty:
            assert not is_well_formed(text(faulty)), text(faulty)


def test_a_fault_changes_one_word_or_moves_no_and_keeps_the_length() -> None:
    dice = Dice("test acceptability", "faults")
    moved = 0
    for _ in range(5000):
        clause = draw_clause(dice, draw_topic(dice))
        faulty, sound = spoil(clause, dice), words(clause)
        if not faulty:
            continue
        assert len(faulty) == len(sound)
        changed = [
            (right.text, wrong.text)
            for right, wrong in zip(sound, faulty, strict=True)
            if right.text != wrong.text
        ]
        if len(changed) == 2:
            assert changed[0] == changed[1][::-1]
            assert changed[0][0] == "no"
            moved += 1
        else:
            assert len(changed) == 1
    assert moved > 5


def test_every_place_for_a_fault_is_equally_likely() -> None:
    the, no = (next(d for d in DETERMINERS if d.word == word) for word in ("the", "no"))
    king, dog = (next(noun for noun in NOUNS if noun.one == word) for word in ("king", "dog"))
    sleep = next(verb for verb in VERBS if verb.base == "sleep")
    near = Place("near", NounPhrase(the, dog, many=False))
    clause = Clause(NounPhrase(no, king, many=False, modifier=near), sleep, ever=True)
    dice = Dice("test acceptability", "places")

    faults = Counter(text(faulty) for _ in range(2000) if (faulty := spoil(clause, dice)))

    assert set(faults) == {
        "no king near the dog ever sleep .",
        "the king near no dog ever sleeps .",
    }
    assert abs(faults.most_common()[0][1] - 1000) < 4 * 500**0.5


def test_what_has_no_place_for_a_fault_stays_unspoilt() -> None:
    the = next(d for d in DETERMINERS if d.word == "the")
    king = next(noun for noun in NOUNS if noun.one == "king")
    sleep = next(verb for verb in VERBS if verb.base == "sleep")
    plain = Clause(NounPhrase(the, king, many=False), sleep)
    unmarked = tuple(word for word in words(plain) if not word.wrong)

    assert spoil(plain, Dice("test acceptability")) is not None
    assert len(unmarked) == len(words(plain)) - 1
