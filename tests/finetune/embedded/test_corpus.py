"""The documents that the encoder is pretrained on."""

from collections.abc import Callable
from itertools import islice

from finetune.embedded.corpus import TEXTS_OF_A_DOCUMENT, draw_documents, is_held_out
from finetune.embedded.dice import Dice


def test_every_sentence_is_one_of_the_language(is_well_formed: Callable[[str], bool]) -> None:
    for document in islice(draw_documents(Dice("test corpus")), 300):
        assert len(document) == TEXTS_OF_A_DOCUMENT
        for text in document:
            assert all(is_well_formed(sentence) for sentence in text)


def test_a_corpus_holds_the_sentences_asked_for_and_no_other() -> None:
    for held_out in (False, True):
        for document in islice(draw_documents(Dice("test corpus"), held_out=held_out), 200):
            assert {is_held_out(sentence) for text in document for sentence in text} == {held_out}


def test_half_the_language_is_held_out() -> None:
    kept = sum(is_held_out(f"sentence {number}") for number in range(10_000))

    assert abs(kept - 5000) < 4 * 50


def test_a_document_keeps_to_few_words() -> None:
    """One noun of each kind and its broader word, so that texts differ in what is said of them."""
    documents = list(islice(draw_documents(Dice("test corpus", "words")), 200))
    of_one = sum(len(words_of(document)) for document in documents) / 200
    of_four = (
        sum(
            len(words_of((documents[at][0], *(documents[(at + k) % 200][0] for k in (1, 2, 3)))))
            for at in range(200)
        )
        / 200
    )

    assert of_one < 0.75 * of_four


def words_of(document: tuple[tuple[str, str], ...]) -> set[str]:
    return {word for text in document for sentence in text for word in sentence.split()}
