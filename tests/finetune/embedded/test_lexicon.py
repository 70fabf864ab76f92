"""The words of the language."""

from finetune.embedded.lexicon import (
    ADJECTIVES,
    DETERMINERS,
    NARROWER_NOUNS,
    NARROWER_VERBS,
    NOUNS,
    VERBS,
    VOCABULARY,
)


def test_no_word_has_two_roles() -> None:
    assert len(set(VOCABULARY)) == len(VOCABULARY)


def test_nothing_that_can_follow_a_opens_with_a_vowel() -> None:
    following = (*ADJECTIVES, *(noun.one for noun in NOUNS))

    assert not [word for word in following if word[0] in "aeiou"]


def test_partners_of_determiners_take_the_other_number_only() -> None:
    named = {determiner.word: determiner for determiner in DETERMINERS}
    for determiner in DETERMINERS:
        if determiner.one and determiner.many:
            assert not determiner.partner
            continue
        partner = named[determiner.partner]
        assert (partner.one, partner.many) == (determiner.many, determiner.one)
        assert partner.partner == determiner.word
        assert (partner.restrictor, partner.scope) == (determiner.restrictor, determiner.scope)


def test_what_is_of_a_kind_names_and_takes_what_its_kind_does() -> None:
    for kind, nouns in NARROWER_NOUNS.items():
        assert nouns
        assert {noun.names for noun in nouns} == {kind.names}
    for broader, verbs in NARROWER_VERBS.items():
        assert verbs
        assert {verb.objects for verb in verbs} == {broader.objects}


def test_just_what_can_be_done_to_the_living_has_a_participle() -> None:
    assert all(bool(verb.participle) == verb.takes_the_living for verb in VERBS)
