"""The two tasks: pinned, balanced, and not to be solved without reading the order of the words."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from finetune.embedded.corpus import is_held_out
from finetune.embedded.tasks import TASKS, Generated
from finetune.tasks.task import Split, TaskData

NAMES = ("acceptability", "entailment")


@pytest.fixture(scope="module")
def large() -> dict[str, TaskData]:
    """The tasks, large enough to see small leaks: a share of 2,000 deviates by 1.1 %."""
    return {name: source(name, train=2000, validation=2000).read() for name in NAMES}


def source(name: str, *, train: int, validation: int) -> Generated:
    generated = TASKS[name].source
    assert isinstance(generated, Generated)
    return replace(generated, train_size=train, validation_size=validation)


def test_there_are_two_tasks_with_the_labels_of_cola_and_rte() -> None:
    assert tuple(TASKS) == NAMES
    assert TASKS["acceptability"].labels == ("unacceptable", "acceptable")
    assert TASKS["acceptability"].metric == "matthews_correlation"
    assert TASKS["entailment"].labels == ("entailment", "not_entailment")
    assert TASKS["entailment"].metric == "accuracy"


@pytest.mark.parametrize(
    ("name", "fingerprint"),
    [
        ("acceptability", "7d278e42d5ffd5b2"),
        ("entailment", "c1f64ef29c167ef9"),
    ],
)
def test_the_text_is_pinned(name: str, fingerprint: str) -> None:
    assert TASKS[name].source.fingerprint() == fingerprint


def test_the_fingerprint_tells_data_apart() -> None:
    fingerprints = {
        source(name, train=train, validation=20).fingerprint()
        for name in NAMES
        for train in (20, 40)
    }

    assert len(fingerprints) == 4


@pytest.mark.parametrize("name", NAMES)
def test_labels_are_balanced_and_mixed(name: str) -> None:
    data = TASKS[name].source.read()
    for split, size in ((data.train, 640), (data.validation, 256)):
        assert len(split) == len(split.labels) == size
        assert split.labels.dtype == np.int64
        assert split.labels.sum() == size // 2
        assert 0.4 < split.labels[: size // 2].mean() < 0.6


@pytest.mark.parametrize("name", NAMES)
def test_no_sentence_of_validation_is_trained_on(name: str) -> None:
    data = TASKS[name].source.read()

    assert not any(is_held_out(sentence) for texts in data.train.texts for sentence in texts)
    assert all(is_held_out(sentence) for texts in data.validation.texts for sentence in texts)
    for split in (data.train, data.validation):
        assert len(set(split.texts)) == len(split)


def test_sentences_are_acceptable_as_labelled(is_well_formed: Callable[[str], bool]) -> None:
    acceptability = TASKS["acceptability"].source.read().validation
    for (sentence,), label in zip(acceptability.texts, acceptability.labels, strict=True):
        assert is_well_formed(sentence) is bool(label == 1), sentence
    for texts in TASKS["entailment"].source.read().validation.texts:
        assert all(is_well_formed(sentence) for sentence in texts)


def test_a_hypothesis_is_seldom_the_premise_itself(large: dict[str, TaskData]) -> None:
    assert np.mean([first == second for first, second in large["entailment"].train.texts]) < 0.02


# ── Leaks ────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("name", NAMES)
def test_no_single_word_tells_the_label(large: dict[str, TaskData], name: str) -> None:
    train, validation = bags_of_words(large[name])
    right = np.equal(train > 0, large[name].train.labels[:, None] > 0).mean(axis=0)
    best = int(np.abs(right - 0.5).argmax())
    predicted = (validation[:, best] > 0) == (right[best] > 0.5)

    assert np.mean(predicted == (large[name].validation.labels > 0)) < 0.56


@pytest.mark.parametrize("name", NAMES)
def test_the_words_without_their_order_do_not_tell_the_label(
    large: dict[str, TaskData], name: str
) -> None:
    train, validation = bags_of_words(large[name])
    classifier = LogisticRegression(C=0.1, max_iter=1000).fit(train, large[name].train.labels)

    assert classifier.score(validation, large[name].validation.labels) < 0.56


@pytest.mark.parametrize("name", NAMES)
def test_the_lengths_do_not_tell_the_label(large: dict[str, TaskData], name: str) -> None:
    data = large[name]
    tree = DecisionTreeClassifier(min_samples_leaf=50).fit(lengths(data.train), data.train.labels)

    assert tree.score(lengths(data.validation), data.validation.labels) < 0.58


def bags_of_words(data: TaskData) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Counts of words, those of a second sentence apart from those of a first."""
    vectorizer = CountVectorizer(token_pattern=r"\S+")
    marked = [
        [
            " ".join(f"{word}/{place}" for place, it in enumerate(texts) for word in it.split())
            for texts in split.texts
        ]
        for split in (data.train, data.validation)
    ]
    train = vectorizer.fit_transform(marked[0]).toarray()
    return train, vectorizer.transform(marked[1]).toarray()


def lengths(split: Split) -> NDArray[np.int64]:
    return np.array([[len(it.split()) for it in texts] for texts in split.texts])


def test_the_tasks_are_read_without_torch() -> None:
    code = (
        "import sys; from finetune.embedded.tasks import TASKS; "
        "[task.source.read() for task in TASKS.values()]; "
        "sys.exit(bool({'torch', 'transformers', 'datasets', 'mlflow'} & set(sys.modules)))"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
