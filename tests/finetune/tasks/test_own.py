"""Tasks of the user's own data."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from finetune.contract import TASK_METRICS
from finetune.errors import SeedbedError
from finetune.tasks.own import own_hub_task, own_task
from finetune.tasks.task import Task

WriteFiles = Callable[[Path, dict[str, str]], Path]

CSV = "id,review,stars\n1,fine,positive\n2,slow,negative\n3,fun,positive\n"


@pytest.fixture
def folder(tmp_path: Path, write_files: WriteFiles) -> Path:
    jsonl = '{"stars": "negative", "review": "dull"}\n{"stars": 1, "review": "great"}\n'
    return write_files(tmp_path / "my data", {"train.csv": CSV, "dev.jsonl": jsonl})


def reviews(folder: Path, **changed: Any) -> Task:
    definition: dict[str, Any] = {
        "train": folder / "train.csv",
        "validation": folder / "dev.jsonl",
        "text": ["review"],
        "label": "stars",
        "metric": "accuracy",
    }
    name = changed.pop("name", "reviews")
    return own_task(name, **(definition | changed))


def error_of(make: Callable[[], object]) -> str:
    with pytest.raises(SeedbedError) as raised:
        make()
    return str(raised.value)


def test_classes_are_the_sorted_labels_of_the_training_file(folder: Path) -> None:
    task = reviews(folder)
    assert (task.name, task.title, task.kind) == ("reviews", "reviews", "classification")
    assert (task.labels, task.outputs) == (("negative", "positive"), 2)
    data = task.source.read()
    assert data.train.texts == (("fine",), ("slow",), ("fun",))
    assert data.train.labels.tolist() == [1, 0, 1]
    assert data.validation.labels.tolist() == [0, 1]


def test_given_labels_are_the_classes_in_their_order_and_no_file_is_read(folder: Path) -> None:
    labels = ["positive", "negative"]
    task = reviews(folder, labels=labels)
    assert task.labels == ("positive", "negative")
    assert task.source.read().train.labels.tolist() == [0, 1, 0]
    elsewhere = reviews(folder / "not there", labels=labels)
    message = error_of(elsewhere.source.read)
    assert message == (
        f"There is no file {folder / 'not there' / 'train.csv'}; check its name and folder."
    )
    assert "Cannot read" in error_of(elsewhere.source.fingerprint)


def test_a_correlation_as_metric_makes_a_regression(folder: Path, write_files: WriteFiles) -> None:
    tsv = "a\tb\tscore\nx\ty\t0.5\nx\tz\t-3\n"
    write_files(folder, {"train.tsv": tsv, "dev.tsv": tsv})
    task = own_task(
        "likeness",
        title="Likeness",
        train=folder / "train.tsv",
        validation=folder / "dev.tsv",
        text=["a", "b"],
        label="score",
        metric="spearman",
    )
    assert (task.title, task.kind, task.labels, task.outputs) == ("Likeness", "regression", (), 1)
    train = task.source.read().train
    assert train.texts == (("x", "y"), ("x", "z"))
    np.testing.assert_array_equal(train.labels, np.array([0.5, -3.0]), strict=True)


def test_a_validation_label_that_training_does_not_know_is_refused(
    folder: Path, write_files: WriteFiles
) -> None:
    write_files(folder, {"dev.csv": "review,stars\nodd,neutral\n"})
    task = reviews(folder, validation=folder / "dev.csv")
    assert error_of(task.source.read) == (
        f"{folder / 'dev.csv'}: line 2: 'stars' is 'neutral';"
        " allowed are 'negative', 'positive', or 0 to 1."
    )


def test_texts_must_be_text(folder: Path, write_files: WriteFiles) -> None:
    lines = ['{"stars": 1, "review": 5}', '{"stars": 1}', '{"stars": 1, "review": null}']
    write_files(folder, {"dev.jsonl": "\n".join([*lines, '{"stars": 1, "review": " "}'])})
    assert error_of(reviews(folder).source.read) == (
        f"{folder / 'dev.jsonl'} has 4 faults:\n"
        "  line 1: 'review' is not text but 5\n"
        "  line 2: no 'review'\n"
        "  line 3: no 'review'\n"
        "  line 4: 'review' without text"
    )


def test_a_missing_column_is_told_with_those_there_are(folder: Path) -> None:
    path = folder / "train.csv"
    there = "the columns are 'id', 'review', 'stars'"
    assert error_of(lambda: reviews(folder, label="rating")) == (
        f"{path}: there is no column 'rating'; {there}."
    )
    task = reviews(folder, text=["body", "title"])
    assert error_of(task.source.read) == (
        f"{path} has 2 faults:\n  there is no column 'body'; {there}\n"
        f"  there is no column 'title'; {there}"
    )


def test_all_faults_of_a_definition_are_told_at_once(folder: Path) -> None:
    message = error_of(
        lambda: reviews(
            folder,
            name="My Reviews",
            train=folder / "train.xlsx",
            text=["a", "b", "c"],
            labels=["x", "x"],
            metric="acc",
        )
    )
    assert message == (
        "Task My Reviews has 4 faults:\n"
        "  the name 'My Reviews' may hold only a-z, 0-9 and _\n"
        "  text is ['a', 'b', 'c']; it needs a list of one column or two\n"
        f"  the metric 'acc' is unknown; there are {', '.join(TASK_METRICS)}\n"
        f"  {folder / 'train.xlsx'} is none of .csv, .tsv, .jsonl"
    )


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"name": "rte"}, "the name 'rte' is that of a task that is there already"),
        ({"text": "review"}, "text is 'review'; it needs a list of one column or two"),
        ({"text": ["stars"]}, "text and label must be columns of their own"),
        ({"labels": ["one"]}, "labels has 1; a classification needs at least two"),
        ({"labels": ["a", 1, "1", 1.0]}, "labels has '1' more than once"),
        (
            {"labels": ["a", "b", "c"], "metric": "f1"},
            "f1 needs two classes, and labels has 3",
        ),
        (
            {"labels": ["a", "b"], "metric": "pearson"},
            "pearson is of regression, which has no labels; leave them out",
        ),
    ],
)
def test_what_no_task_can_be_made_of_is_refused(
    folder: Path, changed: dict[str, Any], fault: str
) -> None:
    name = changed.get("name", "reviews")
    assert error_of(lambda: reviews(folder, **changed)) == f"Task {name}: {fault}."


def test_labels_that_can_hardly_be_classes_are_refused(
    folder: Path, write_files: WriteFiles
) -> None:
    def train(*stars: object) -> Callable[[], object]:
        rows = [f"{i},r,{star}" for i, star in enumerate(stars)]
        write_files(folder, {"train.csv": "\n".join(["id,review,stars", *rows, ""])})
        return lambda: reviews(folder)

    assert "column 'stars' holds only 'good'; a classification needs" in error_of(train("good"))
    assert "column 'stars' holds nothing" in error_of(train(""))
    assert "column 'stars' holds 21 distinct labels in 41 rows" in error_of(
        train(*range(21), *[0] * 20)
    )
    assert "f1 needs two classes, and labels has 3" in error_of(
        lambda: (train("a", "b", "c"), reviews(folder, metric="f1"))
    )
    train(*range(21), *range(21))
    assert reviews(folder).labels == tuple(str(i) for i in range(21))
    train(*range(20))
    assert reviews(folder).outputs == 20


def test_the_fingerprint_changes_with_files_columns_and_labels(
    folder: Path, write_files: WriteFiles
) -> None:
    first = reviews(folder).source.fingerprint()
    assert len(first) == 16
    assert reviews(folder, title="Reviews", metric="f1").source.fingerprint() == first
    others = {
        reviews(folder, text=["id"]).source.fingerprint(),
        reviews(folder, labels=["positive", "negative"]).source.fingerprint(),
        reviews(folder, validation=folder / "train.csv").source.fingerprint(),
    }
    write_files(folder, {"train.csv": CSV + "4,long,negative\n"})
    others.add(reviews(folder).source.fingerprint())
    assert len(others | {first}) == 5


def test_a_data_set_of_the_hub_gives_its_own_class_names_or_its_distinct_labels(
    hub: Path, write_files: WriteFiles
) -> None:
    import datasets

    features = datasets.Features(
        {"premise": datasets.Value("string"), "hypothesis": datasets.Value("string")}
        | {"label": datasets.ClassLabel(names=["yes", "no", "maybe"])}
    )
    rows = {"premise": ["a", "b"], "hypothesis": ["c", "d"], "label": [2, 0]}
    for split in ("train", "test"):
        dataset = datasets.Dataset.from_dict(rows, features=features)
        dataset.to_parquet(hub / "someone" / "pairs" / f"{split}.parquet")
    named = own_hub_task(
        "pairs",
        repo="someone/pairs",
        validation_split="test",
        text=["premise", "hypothesis"],
        label="label",
        metric="matthews_correlation",
    )
    assert named.labels == ("yes", "no", "maybe")
    data = named.source.read()
    assert data.validation.texts == (("a", "c"), ("b", "d"))
    assert data.validation.labels.tolist() == [2, 0]

    write_files(hub / "someone" / "reviews", {"train.csv": CSV, "validation.csv": CSV})
    plain = own_hub_task(
        "reviews", repo="someone/reviews", text=["review"], label="stars", metric="accuracy_and_f1"
    )
    assert plain.labels == ("negative", "positive")
    assert plain.source.read().train.labels.tolist() == [1, 0, 1]
    message = error_of(
        lambda: own_hub_task(
            "reviews", repo="someone/reviews", text=["review"], label="rating", metric="accuracy"
        )
    )
    assert message == (
        "someone/reviews has no column 'rating'; the columns are 'id', 'review', 'stars'."
    )


def test_given_labels_or_a_correlation_need_no_hub(hub: Path) -> None:
    classes = own_hub_task(
        "far", repo="not/there", text=["t"], label="l", labels=["a", "b"], metric="f1"
    )
    regression = own_hub_task("far", repo="not/there", text=["t"], label="l", metric="pearson")
    assert (classes.outputs, regression.outputs) == (2, 1)
    with pytest.raises(SeedbedError, match="Cannot load the data set not/there"):
        own_hub_task("far", repo="not/there", text=["t"], label="l", metric="f1")
