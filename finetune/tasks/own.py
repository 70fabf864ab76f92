"""Tasks of the user's own data: two files, or two splits of a data set of the Hub."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from finetune.contract import TASK_METRICS
from finetune.errors import SeedbedError
from finetune.tasks.examples import examples_of, is_missing
from finetune.tasks.faults import Faults, listed
from finetune.tasks.fingerprint import of_files
from finetune.tasks.hub import HubDataset, HubSplits, class_names
from finetune.tasks.labels import Classes, Labels, Values, in_order, label_name
from finetune.tasks.metrics import BINARY, is_regression
from finetune.tasks.registry import task_names
from finetune.tasks.tables import SUFFIXES, read_table
from finetune.tasks.task import Split, Task, TaskData

FEW_CLASSES = 20
"""Up to so many classes are taken as they are; of more, each should have two examples."""


@dataclass(frozen=True)
class OwnFiles:
    """A source: a CSV, TSV or JSONL file to train on and one to validate on.

    Attributes:
        train: the file trained on.
        validation: the file validated on.
        text: the columns of the one or two texts.
        label: the column of the label.
        labels: what a label may be.
    """

    train: Path
    validation: Path
    text: tuple[str, ...]
    label: str
    labels: Labels

    def fingerprint(self) -> str:
        """Return a hash of the two files, the columns and the labels.

        Raises:
            SeedbedError: where a file is not there.
        """
        reading = [self.text, self.label, self.labels.meaning]
        return of_files(self.train, self.validation, reading=reading)

    def read(self) -> TaskData:
        """Read and check the two files.

        Raises:
            SeedbedError: where one is not there, or with all that is wrong in it.
        """
        return TaskData(self._split(self.train), self._split(self.validation))

    def _split(self, path: Path) -> Split:
        faults = Faults(str(path))
        return examples_of(read_table(path, faults), self.text, self.label, self.labels, faults)


def own_task(
    name: str,
    *,
    title: str | None = None,
    train: str | Path,
    validation: str | Path,
    text: Sequence[str],
    label: str,
    labels: Sequence[object] | None = None,
    metric: str,
) -> Task:
    """Return a task of two of the user's own files.

    Args:
        name: of the task, `[a-z0-9_]+`, not that of a task that is there already.
        title: for tables and figures; the name where there is none.
        train: the file trained on: .csv, .tsv or .jsonl.
        validation: the file validated on; it may have another form.
        text: the columns of the one or two texts.
        label: the column of the label.
        labels: the names of the classes in the order of their numbers. Without them the training
            file is read here and now: they are its distinct labels, sorted as numbers where all
            are, else as text. A correlation as metric has none.
        metric: one of `finetune.contract.TASK_METRICS`; a correlation makes it a regression.

    Raises:
        SeedbedError: with all that is wrong in the definition, or in the training file if read.
    """
    files = Path(train), Path(validation)
    faults = _faults_of_definition(name, text, label, labels, metric)
    for file in files:
        if file.suffix.lower() not in SUFFIXES:
            faults.add(f"{file} is none of {', '.join(SUFFIXES)}")
    faults.check()
    if labels is None and not is_regression(metric):
        labels = _labels_in_file(files[0], label)
    allowed = _allowed(name, labels, metric)
    source = OwnFiles(*files, tuple(text), label, allowed)
    description = f"Own data: {files[0].name}, validated on {files[1].name}."
    return _task(name, title, description, metric, source)


def own_hub_task(
    name: str,
    *,
    title: str | None = None,
    repo: str,
    config: str | None = None,
    revision: str | None = None,
    train_split: str = "train",
    validation_split: str = "validation",
    text: Sequence[str],
    label: str,
    labels: Sequence[object] | None = None,
    metric: str,
) -> Task:
    """Return a task of a data set of the Hub, or of a local folder in its form.

    Args:
        name: as in `own_task`.
        title: as in `own_task`.
        repo: `owner/name`, or the path of a folder.
        config: the configuration, where the data set has several.
        revision: branch, tag or commit; a commit pins the data.
        train_split: the split trained on.
        validation_split: the split validated on.
        text: the columns of the one or two texts.
        label: the column of the label.
        labels: as in `own_task`. Without them the training split is loaded here and now, and the
            classes are those that the data set names, else the distinct labels.
        metric: as in `own_task`.

    Raises:
        SeedbedError: with all that is wrong in the definition, or where the data set must be
            loaded and cannot be.
    """
    faults = _faults_of_definition(name, text, label, labels, metric)
    faults.check()
    splits = HubSplits(repo, config, revision, train_split, validation_split)
    if labels is None and not is_regression(metric):
        labels = _labels_on_hub(splits, label)
    source = HubDataset(splits, tuple(text), label, _allowed(name, labels, metric))
    return _task(name, title, f"Own data: {splits}, split {validation_split}.", metric, source)


def _task(
    name: str, title: str | None, description: str, metric: str, source: OwnFiles | HubDataset
) -> Task:
    return Task(
        name=name,
        title=title or name,
        description=description,
        kind="regression" if is_regression(metric) else "classification",
        labels=source.labels.written if isinstance(source.labels, Classes) else (),
        metric=metric,
        source=source,
    )


def _faults_of_definition(
    name: str, text: Sequence[str], label: str, labels: Sequence[object] | None, metric: str
) -> Faults:
    """Note what can be seen to be wrong without reading any data."""
    faults = Faults(f"Task {name}")
    if not re.fullmatch(r"[a-z0-9_]+", name):
        faults.add(f"the name '{name}' may hold only a-z, 0-9 and _")
    elif name in task_names():
        faults.add(f"the name '{name}' is that of a task that is there already")
    if isinstance(text, str) or len(text) not in (1, 2):
        faults.add(f"text is {text!r}; it needs a list of one column or two")
    elif label in text or len(set(text)) < len(text):
        faults.add("text and label must be columns of their own")
    if metric not in TASK_METRICS:
        faults.add(f"the metric '{metric}' is unknown; there are {', '.join(TASK_METRICS)}")
    elif labels is not None:
        _check_labels(labels, metric, faults)
    return faults


def _check_labels(labels: Sequence[object], metric: str, faults: Faults) -> None:
    names = [label_name(label) for label in labels]
    twice = tuple(dict.fromkeys(name for name in names if names.count(name) > 1))
    if is_regression(metric):
        faults.add(f"{metric} is of regression, which has no labels; leave them out")
    elif len(names) < 2:
        faults.add(f"labels has {len(names)}; a classification needs at least two")
    elif metric in BINARY and len(names) > 2:
        faults.add(f"{metric} needs two classes, and labels has {len(names)}")
    if twice:
        faults.add(f"labels has {listed(twice)} more than once")


def _allowed(name: str, labels: Sequence[object] | None, metric: str) -> Labels:
    """Return what the labels of a task may be, once they are known."""
    if labels is None:
        return Values()
    faults = Faults(f"Task {name}")
    _check_labels(labels, metric, faults)
    faults.check()
    return Classes.named(labels)


def _labels_in_file(path: Path, column: str) -> tuple[str, ...]:
    faults = Faults(str(path))
    cells = [cell for _, (cell,) in read_table(path, faults).select([column], faults)]
    faults.check()
    return _distinct(cells, path, column)


def _labels_on_hub(splits: HubSplits, column: str) -> tuple[str, ...]:
    loaded = splits.load(splits.train)
    if column not in loaded.column_names:
        there = listed(loaded.column_names)
        raise SeedbedError(f"{splits} has no column '{column}'; the columns are {there}.")
    return class_names(loaded, column) or _distinct(loaded[column], splits, column)


def _distinct(cells: Iterable[object], where: object, column: str) -> tuple[str, ...]:
    """Return the distinct labels in the order of their classes.

    Raises:
        SeedbedError: where they can hardly be classes: an identifier, or a value to be regressed.
    """
    written = [label_name(cell) for cell in cells if not is_missing(cell)]
    names = in_order(written)
    if len(names) < 2:
        found = f"only {listed(names)}" if names else "nothing"
        raise SeedbedError(
            f"{where}: column '{column}' holds {found}; a classification needs at least two labels."
        )
    if len(names) > FEW_CLASSES and 2 * len(names) > len(written):
        raise SeedbedError(
            f"{where}: column '{column}' holds {len(names):,} distinct labels in {len(written):,}"
            " rows. Name the column of the classes, list the classes as labels, or take a"
            " correlation as the metric if they are values."
        )
    return names
