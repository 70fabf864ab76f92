"""The real `datasets` library, on repositories in local folders."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from finetune.errors import SeedbedError
from finetune.tasks.hub import HubDataset, HubSplits
from finetune.tasks.labels import Classes, Values
from finetune.tasks.registry import find_task
from finetune.tasks.task import TaskData

WriteFiles = Callable[[Path, dict[str, str]], Path]

REVIEWS = HubDataset(
    HubSplits("someone/reviews"), ("review",), "stars", Classes.named(["bad", "good"])
)


def error_of(source: HubDataset) -> str:
    with pytest.raises(SeedbedError) as raised:
        source.read()
    return str(raised.value)


def test_a_task_of_glue_is_the_same_from_the_hub_as_from_its_files(
    task_name: str, expected: TaskData, glue_on_hub: Path
) -> None:
    found = find_task(task_name).source.read()
    for split, wanted in [(found.train, expected.train), (found.validation, expected.validation)]:
        assert split.texts == wanted.texts
        assert split.labels.dtype == wanted.labels.dtype
        # The Hub keeps the values of STS-B in single precision.
        np.testing.assert_allclose(split.labels, wanted.labels, rtol=2**-24)


def test_classes_go_by_their_names_whatever_their_numbers_in_the_data_set(hub: Path) -> None:
    import datasets

    def write(split: str, stars: list[int], *names: str) -> None:
        stars_of = datasets.ClassLabel(names=list(names or ("good", "bad")))
        features = datasets.Features({"review": datasets.Value("string"), "stars": stars_of})
        rows = datasets.Dataset.from_dict({"review": ["a", "b"], "stars": stars}, features=features)
        rows.to_parquet(hub / "someone" / "reviews" / f"{split}.parquet")

    write("train", [0, 1])
    write("validation", [1, 1])
    data = REVIEWS.read()
    assert (data.train.labels.tolist(), data.validation.labels.tolist()) == ([1, 0], [0, 0])
    write("validation", [1, -1])  # A label that is withheld.
    assert "row 1: 'stars' is '-1'; allowed are 'bad', 'good'" in error_of(REVIEWS)
    for split in ("train", "validation"):
        write(split, [0, 2], "good", "bad", "mixed")
    assert "row 1: 'stars' is 'mixed'; allowed are 'bad', 'good'" in error_of(REVIEWS)
    for split in ("train", "validation"):
        write(split, [0, 1], "awful", "lovely")
    assert REVIEWS.read().train.labels.tolist() == [0, 1]


def test_all_faults_of_a_split_are_told_at_once_with_their_rows(
    hub: Path, write_files: WriteFiles
) -> None:
    folder = hub / "someone" / "reviews"
    train = 'review,stars\n"fine, thanks",good\n,bad\nslow,-1\nwhat?,\n'
    write_files(folder, {"train.csv": train, "validation.csv": "review,stars\nx,bad\n"})
    allowed = "allowed are 'bad', 'good', or 0 to 1"
    assert error_of(REVIEWS) == (
        "someone/reviews, split train has 3 faults:\n"
        "  row 1: no 'review'\n"
        f"  row 2: 'stars' is '-1'; {allowed}\n"
        f"  row 3: no 'stars'; {allowed}"
    )


def test_missing_columns_splits_and_configurations_are_named_with_those_there_are(
    hub: Path, write_files: WriteFiles
) -> None:
    csv = "review,rating\nfine,good\n"
    write_files(hub / "someone" / "reviews", {"train.csv": csv, "test.csv": csv})
    assert error_of(REVIEWS) == (
        "someone/reviews, split train:"
        " there is no column 'stars'; the columns are 'review', 'rating'."
    )
    rated = HubDataset(REVIEWS.splits, ("review",), "rating", REVIEWS.labels)
    assert """Unknown split "validation". Should be one of ['train', 'test']""" in error_of(rated)
    other = HubDataset(HubSplits("someone/reviews", "other"), ("review",), "rating", Values())
    message = error_of(other)
    assert "Cannot load the data set someone/reviews (other)" in message
    assert "'other' not found. Available: ['default']" in message


def test_an_unreachable_hub_is_an_error_that_says_what_to_do(hub: Path) -> None:
    assert error_of(REVIEWS) == (
        "Cannot load the data set someone/reviews: Couldn't reach 'someone/reviews' on"
        " the Hub (OfflineModeIsEnabled). Check its name, configuration, split and revision; set"
        " HF_TOKEN if it is private; without a network, give files instead (GLUE: --data-dir)."
    )


def test_the_fingerprint_is_the_revision_and_what_is_read_of_it(hub: Path) -> None:
    def fingerprint(
        splits: HubSplits = REVIEWS.splits,
        text: tuple[str, ...] = REVIEWS.text,
        labels: Classes | Values = REVIEWS.labels,  # type: ignore[assignment]
    ) -> str:
        return HubDataset(splits, text, "stars", labels).fingerprint()

    name, _, reading = fingerprint().partition(":")
    assert name == "someone/reviews@main"
    assert fingerprint() == fingerprint(HubSplits("someone/reviews", revision="main"))
    pinned = fingerprint(HubSplits("someone/reviews", revision="v1"))
    assert pinned == f"someone/reviews@v1:{reading}"
    others = {
        fingerprint(HubSplits("someone/reviews", "large")),
        fingerprint(HubSplits("someone/reviews", validation="test")),
        fingerprint(text=("review", "title")),
        fingerprint(labels=Classes.named(["good", "bad"])),
    }
    assert len(others | {fingerprint()}) == 5


def test_the_fingerprint_of_a_local_repository_follows_its_files(
    hub: Path, write_files: WriteFiles
) -> None:
    write_files(hub / "someone" / "reviews", {"train.csv": "review,stars\nfine,good\n"})
    first = REVIEWS.fingerprint()
    write_files(hub / "someone" / "reviews" / ".git", {"index": "of no account"})
    assert REVIEWS.fingerprint() == first
    write_files(hub / "someone" / "reviews" / "data", {"test.csv": "review,stars\nfine,bad\n"})
    second = REVIEWS.fingerprint()
    write_files(hub / "someone" / "reviews", {"train.csv": "review,stars\nfine,bad\n"})
    assert len({first, second, REVIEWS.fingerprint()}) == 3
