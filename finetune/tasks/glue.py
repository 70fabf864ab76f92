"""The tasks of GLUE (Wang et al., 2019), and its files as they are distributed.

Class numbers follow the Hub's `nyu-mll/glue`, so that a task is the same from either source. In
the files some tasks write classes by name and some by number; the columns are found by their
header, save for CoLA, which has none.
"""

from dataclasses import dataclass
from pathlib import Path

from finetune.errors import SeedbedError
from finetune.tasks.examples import examples_of
from finetune.tasks.faults import Faults, listed
from finetune.tasks.fingerprint import of_files
from finetune.tasks.labels import Classes, Labels, Values
from finetune.tasks.tables import read_tsv
from finetune.tasks.task import Split, TaskData

HUB_REPOSITORY = "nyu-mll/glue"
"""Where the Hub keeps GLUE."""

_ENTAILMENT = ("entailment", "not_entailment")


@dataclass(frozen=True)
class GlueTask:
    """A task of GLUE: what it asks, and how the Hub and the distributed files lay it out.

    Attributes:
        title: as the literature calls it.
        description: one sentence.
        metric: GLUE's own.
        labels: the names of the classes in the order of their numbers; empty for regression.
        hub_text: the columns of its texts on the Hub; that of the label is `label`.
        config: its configuration on the Hub.
        folder: its folder among the distributed files.
        file_text: the columns of its texts there.
        file_label: the column of the label there.
        by_name: whether the files write a class by its name, or by its number.
        columns: the names of the columns where the files have no header.
        short_lines: how many lines of a file may lack columns, and are left out.
        hub_validation: the split of the Hub that is validated on.
        file_validation: the file that is validated on.
    """

    title: str
    description: str
    metric: str
    labels: tuple[str, ...]
    hub_text: tuple[str, ...]
    config: str
    folder: str
    file_text: tuple[str, ...]
    file_label: str
    by_name: bool = False
    columns: tuple[str, ...] | None = None
    short_lines: int = 0
    hub_validation: str = "validation"
    file_validation: str = "dev.tsv"

    @property
    def hub_labels(self) -> Labels:
        """What the Hub writes as labels."""
        return Classes.named(self.labels) if self.labels else self._values

    @property
    def file_labels(self) -> Labels:
        """What the distributed files write as labels."""
        if not self.labels:
            return self._values
        numbers = tuple(str(number) for number in range(len(self.labels)))
        return Classes(self.labels if self.by_name else numbers)

    @property
    def _values(self) -> Values:
        return Values(0, 5)  # GLUE's one regression: similarity from 0 to 5, STS-B.


def _mnli(title: str, text: str, which: str) -> GlueTask:
    return GlueTask(
        title,
        f"Does the premise entail the hypothesis, contradict it, or neither? Validated on {text}.",
        "accuracy",
        ("entailment", "neutral", "contradiction"),
        ("premise", "hypothesis"),
        config="mnli",
        folder="MNLI",
        file_text=("sentence1", "sentence2"),
        file_label="gold_label",
        by_name=True,
        hub_validation=f"validation_{which}",
        file_validation=f"dev_{which}.tsv",
    )


GLUE = {
    "cola": GlueTask(
        "CoLA",
        "Is the sentence acceptable English?",
        "matthews_correlation",
        ("unacceptable", "acceptable"),
        ("sentence",),
        config="cola",
        folder="CoLA",
        file_text=("sentence",),
        file_label="label",
        columns=("source", "label", "mark", "sentence"),
    ),
    "sst2": GlueTask(
        "SST-2",
        "Is the sentence of a film review positive or negative?",
        "accuracy",
        ("negative", "positive"),
        ("sentence",),
        config="sst2",
        folder="SST-2",
        file_text=("sentence",),
        file_label="label",
    ),
    "mrpc": GlueTask(
        "MRPC",
        "Do two sentences from the news say the same?",
        "accuracy_and_f1",
        ("not_equivalent", "equivalent"),
        ("sentence1", "sentence2"),
        config="mrpc",
        folder="MRPC",
        file_text=("#1 String", "#2 String"),
        file_label="Quality",
    ),
    "stsb": GlueTask(
        "STS-B",
        "How similar in meaning are two sentences, from 0 to 5?",
        "pearson_and_spearman",
        (),
        ("sentence1", "sentence2"),
        config="stsb",
        folder="STS-B",
        file_text=("sentence1", "sentence2"),
        file_label="score",
    ),
    "qqp": GlueTask(
        "QQP",
        "Do two questions from Quora ask the same?",
        "accuracy_and_f1",
        ("not_duplicate", "duplicate"),
        ("question1", "question2"),
        config="qqp",
        folder="QQP",
        file_text=("question1", "question2"),
        file_label="is_duplicate",
        # A few questions of the distributed file hold a line break, which makes two short lines of
        # one. The Hub's copy leaves them out, as the readers of jiant and transformers did, so they
        # are left out here. A file with more of them than this is not the one that those read.
        short_lines=20,
    ),
    "mnli": _mnli("MNLI", "text of the genres trained on", "matched"),
    "mnli_mismatched": _mnli("MNLI-mm", "text of other genres", "mismatched"),
    "qnli": GlueTask(
        "QNLI",
        "Does the sentence hold the answer to the question?",
        "accuracy",
        _ENTAILMENT,
        ("question", "sentence"),
        config="qnli",
        folder="QNLI",
        file_text=("question", "sentence"),
        file_label="label",
        by_name=True,
    ),
    "rte": GlueTask(
        "RTE",
        "Does the premise entail the hypothesis?",
        "accuracy",
        _ENTAILMENT,
        ("sentence1", "sentence2"),
        config="rte",
        folder="RTE",
        file_text=("sentence1", "sentence2"),
        file_label="label",
        by_name=True,
    ),
    "wnli": GlueTask(
        "WNLI",
        "Does the sentence still follow once its pronoun is replaced?",
        "accuracy",
        ("not_entailment", "entailment"),
        ("sentence1", "sentence2"),
        config="wnli",
        folder="WNLI",
        file_text=("sentence1", "sentence2"),
        file_label="label",
    ),
}
"""The nine tasks of GLUE by name; MNLI twice, since it has two validation sets."""


def squeezed(name: str) -> str:
    """Return a name without what people write differently: `SST-2`, `sst_2` and `sst2` are one."""
    return "".join(character for character in name.lower() if character.isalnum())


@dataclass(frozen=True)
class GlueFolder:
    """A source: GLUE's distributed files of one task.

    Attributes:
        root: the folder that holds `MRPC/`, `RTE/`, …, in any case; or the task's own folder.
        task: one of `GLUE`.
    """

    root: Path
    task: str

    def fingerprint(self) -> str:
        """Return a hash of the two files.

        Raises:
            SeedbedError: where they are not there.
        """
        return of_files(*self._files())

    def read(self) -> TaskData:
        """Read and check the two files.

        Raises:
            SeedbedError: where they are not there, or one of them is not as distributed.
        """
        train, validation = self._files()
        return TaskData(self._split(train), self._split(validation))

    def _split(self, path: Path) -> Split:
        glue = GLUE[self.task]
        faults = Faults(str(path))
        table = read_tsv(path, faults, columns=glue.columns, short_lines=glue.short_lines)
        return examples_of(table, glue.file_text, glue.file_label, glue.file_labels, faults)

    def _files(self) -> tuple[Path, Path]:
        folder = self._folder()
        files = (folder / "train.tsv", folder / GLUE[self.task].file_validation)
        missing = [file.name for file in files if not file.is_file()]
        if missing:
            raise SeedbedError(
                f"{folder} lacks {' and '.join(missing)}; {GLUE[self.task].title} needs"
                f" {files[0].name} and {files[1].name} as GLUE distributes them."
            )
        return files

    def _folder(self) -> Path:
        wanted = GLUE[self.task].folder
        if not self.root.is_dir():
            raise SeedbedError(
                f"There is no folder {self.root}; give the one that holds {wanted}/train.tsv."
            )
        folders = sorted(path for path in self.root.iterdir() if path.is_dir())
        alike = [path for path in folders if squeezed(path.name) == squeezed(wanted)]
        if alike:
            return next((path for path in alike if path.name == wanted), alike[0])
        # The folder itself will do, unless it is by its name the folder of another task: WNLI's
        # files, say, have the same columns as RTE's.
        name = squeezed(self.root.resolve().name)
        others = {squeezed(glue.folder) for glue in GLUE.values()} - {squeezed(wanted)}
        if (self.root / "train.tsv").is_file() and name not in others:
            return self.root
        there = f"there are {listed([path.name for path in folders])}" if folders else "it has none"
        raise SeedbedError(f"{self.root} has no folder {wanted}; {there}.")
