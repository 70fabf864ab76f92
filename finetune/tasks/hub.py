"""A source: a data set of the Hugging Face Hub, or a folder in the Hub's form."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.errors import SeedbedError
from finetune.tasks.examples import examples_of
from finetune.tasks.faults import Faults
from finetune.tasks.fingerprint import of_files, of_reading
from finetune.tasks.labels import Classes, Labels
from finetune.tasks.tables import Row, Table
from finetune.tasks.task import Split, TaskData


@dataclass(frozen=True)
class HubSplits:
    """Which part of which repository is trained on and validated on.

    Attributes:
        repository: `owner/name` on the Hub, or the path of a folder in its form.
        config: the data set's configuration, where it has several.
        revision: branch, tag or commit; None is `main`.
        train: the split trained on.
        validation: the split validated on.
    """

    repository: str
    config: str | None = None
    revision: str | None = None
    train: str = "train"
    validation: str = "validation"

    def __str__(self) -> str:
        return f"{self.repository}" + (f" ({self.config})" if self.config else "")

    def load(self, split: str) -> Any:
        """Return one split as a `datasets.Dataset`, downloaded unless it is in the cache.

        Raises:
            SeedbedError: where the Hub, the data set, the configuration or the split is not there.
        """
        import datasets

        with _explained(self):
            return datasets.load_dataset(
                self.repository, self.config, split=split, revision=self.revision
            )


@dataclass(frozen=True)
class HubDataset:
    """A source: two splits of a data set of the Hub.

    Attributes:
        splits: which.
        text: the columns of the one or two texts.
        label: the column of the label.
        labels: what a label may be. Where the data set names its classes, the names count, unless
            they are all others than these.
    """

    splits: HubSplits
    text: tuple[str, ...]
    label: str
    labels: Labels

    def fingerprint(self) -> str:
        """Return the revision, as it was asked for, and a hash of what is read from it.

        A branch such as `main` may move; a tag or a commit says which data it was for good. The
        data of a local folder is hashed itself.

        Raises:
            SeedbedError: where a file of a local folder cannot be read.
        """
        splits = self.splits
        reading = [
            [splits.config, splits.train, splits.validation],
            [self.text, self.label, self.labels.meaning],
        ]
        folder = Path(splits.repository)
        if folder.is_dir():
            visible = (path for path in folder.iterdir() if not path.name.startswith("."))
            files = (file for path in visible for file in (path, *path.rglob("*")))
            return of_files(*sorted(file for file in files if file.is_file()), reading=reading)
        return f"{splits.repository}@{splits.revision or 'main'}:{of_reading(reading)}"

    def read(self) -> TaskData:
        """Load and check both splits.

        Raises:
            SeedbedError: where the Hub, the data set or a split is not there, or a row is wrong.
        """
        return TaskData(self._split(self.splits.train), self._split(self.splits.validation))

    def _split(self, split: str) -> Split:
        loaded = self.splits.load(split)
        faults = Faults(f"{self.splits}, split {split}", unit="row")
        table = _table(loaded, [self.label, *self.text], faults, self.labels, self.label)
        return examples_of(table, self.text, self.label, self.labels, faults)


def class_names(loaded: Any, column: str) -> tuple[str, ...] | None:
    """Return the names that a data set gives to the classes of a column, in order, if it does."""
    names = getattr(loaded.features.get(column), "names", None)
    return None if names is None else tuple(names)


def _table(loaded: Any, wanted: list[str], faults: Faults, labels: Labels, label: str) -> Table:
    """Return the wanted columns of a loaded split; classes by their names where those are known."""
    if not len(loaded):
        faults.add("holds no examples")
    columns = tuple(name for name in loaded.column_names if name in wanted)
    if len(columns) < len(wanted):
        return Table(tuple(loaded.column_names), [])
    values = {name: list(loaded[name]) for name in columns}
    names = class_names(loaded, label)
    # One name in common is enough: by number, the others would silently be other classes.
    if names and isinstance(labels, Classes) and not set(names).isdisjoint(labels.written):
        # A number that the data set has no name for, −1 where labels are withheld, stays itself.
        values[label] = [
            names[number] if number is not None and 0 <= number < len(names) else number
            for number in values[label]
        ]
    rows = zip(*(values[name] for name in columns), strict=True)
    return Table(columns, [Row(index, row) for index, row in enumerate(rows)])


@contextmanager
def _explained(splits: HubSplits) -> Iterator[None]:
    """Turn the errors of the `datasets` library into one that says what to do."""
    from datasets.exceptions import DatasetsError

    try:
        yield
    except (DatasetsError, OSError, ValueError, RuntimeError) as error:
        # Found nothing and forbidden are one answer of the Hub to those who are not logged in.
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise SeedbedError(
            f"Cannot load the data set {splits}: {lines[0].rstrip('.')}. Check its"
            " name, configuration, split and revision; set HF_TOKEN if it is private; without a"
            " network, give files instead (GLUE: --data-dir)."
        ) from error
