"""An exhibit: a table or figure of some trials, with all that is needed to read and to trust it.

An *artefact* is a table or figure as such: Table 3. Put to a *subject*, a study of a warehouse, it
gives an *exhibit*: Table 3 of these data; or, where the data do not carry it, a *gap* that says so.

To add one, write a function that puts a question to the subject, has the answer computed by the
module of that question, and returns a `Finding`; name it with `of_study`, `of_task` or
`of_two_studies`; and place it in the story, `analysis.exhibits.story`:

    @of_task("fig2", paper="Fig. 2", title="Every pair of seeds", question="Which seeds are good?")
    def seed_grid(subject: Subject, task: str) -> Finding:
        scores = subject.scores(task)
        ...
        return Finding(says=…, n=…, over=…, source=subject.sql("trial_scores", task=task), data=…)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from analysis import task_summary
from analysis.figures import svg
from analysis.scores import Regime, TrialScores, require_study, require_task, trial_scores
from analysis.warehouse import ready_made
from finetune.errors import SeedbedError

if TYPE_CHECKING:
    import pyarrow as pa
    from matplotlib.figure import Figure

    from analysis.warehouse import Warehouse

Scope = Literal["study", "task", "two studies"]
"""What one exhibit of an artefact is of: a study, one of its tasks, or a task of two studies."""

NO_UNCERTAINTY = "none; these are counts and scores as observed"
"""`Finding.over` of what has no uncertainty."""


class CannotSay(Exception):  # noqa: N818 — it is no error: the page says it in so many words
    """The data do not carry an artefact. The message is a sentence that says why."""


@dataclass(frozen=True)
class Subject:
    """What artefacts are put to: a study of a warehouse.

    Attributes:
        warehouse: holds the trials.
        study: name of the study.
        score: which of a trial's evaluations are its score.
        seed: of whatever is drawn at random; each artefact starts afresh from it.

    Raises:
        SeedbedError: where the warehouse has no such study.
    """

    warehouse: Warehouse
    study: str
    score: Regime = "best"
    seed: int = 0

    def __post_init__(self) -> None:
        require_study(self.warehouse, self.study)

    @cached_property
    def tasks(self) -> tuple[str, ...]:
        """The names of its tasks, sorted."""
        return tuple(self.warehouse.tasks(self.study))

    def scores(self, task: str, *, score: Regime | None = None) -> TrialScores:
        """Return the scores of a task, by the subject's own regime unless another is given.

        Raises:
            SeedbedError: where the study has no such task.
            CannotSay: where no trial of it has a score.
        """
        scores = trial_scores(self.warehouse, self.study, task, score=score or self.score)
        if not len(scores):
            why = ", ".join(
                f"{count:,} {reason}" for reason, count in scores.left_out_counts.items()
            )
            raise CannotSay(f"No trial of {task} has a score to compare ({why}).")
        return scores

    def scored_tasks(self) -> dict[str, TrialScores]:
        """Return the scores of each task that has any.

        Raises:
            CannotSay: where none has.
        """
        scores = {}
        for task in self.tasks:
            own = trial_scores(self.warehouse, self.study, task, score=self.score)
            if len(own):
                scores[task] = own
        if not scores:
            raise CannotSay("No trial has a score to compare.")
        return scores

    def baseline(self, task: str) -> float | None:
        """Return the task's majority baseline; None for regression, or where its data changed."""
        baselines = {
            summary.majority_baseline
            for summary in task_summary.compute(self.warehouse, self.study)
            if summary.task == task
        }
        return baselines.pop() if len(baselines) == 1 else None

    def rng(self) -> np.random.Generator:
        """Return a generator in its first state."""
        return np.random.default_rng(self.seed)

    def sql(self, query: str, **values: str) -> str:
        """Return a ready-made query with its parameters written in, to be put as it stands.

        Args:
            query: its name in `analysis/queries`.
            values: of its parameters, besides `study`.
        """
        values = {"study": self.study, **values}
        return re.sub(
            r"\$(\w+)", lambda name: _literal(values[name[1]]), ready_made()[query].strip()
        )

    def sql_beside(self, other: Subject, query: str, **values: str) -> str:
        """Return one statement for both studies, whose first column says which.

        Args:
            other: the second study, of the same warehouse.
            query: as for `sql`.
            values: as for `sql`.
        """
        return "\nunion all\n".join(
            f"select {_literal(each.study)} as study, * from (\n{each.sql(query, **values)}\n)"  # noqa: S608 — quoted
            for each in (self, other)
        )


@dataclass(frozen=True, eq=False)
class Finding:
    """What an artefact shows of a subject.

    Attributes:
        says: what it shows in these data, in a sentence or two with the numbers in them.
        n: what was counted: `625 trials, 25 WI × 25 DO seeds`.
        over: what its uncertainty is over: `draws of n from 625 trials, with replacement`;
            `NO_UNCERTAINTY` where it has none.
        source: the SQL that reads what it was computed from; or the call, where there is no SQL.
        data: its numbers in full precision.
        how: how it is computed and to be read, where the title does not say it.
        rows: of a table, the text of its rows by column.
        draw: of a figure, what draws it.
        marks: of a figure, by the gid of an artist what it is, for a reader who points at it; or
            what each of the marks is that it draws, in their order, such as the cells of a mesh. A
            mark of which there is nothing to say has an empty text.
    """

    says: str
    n: str
    over: str
    source: str
    data: pa.Table
    how: str = ""
    rows: Sequence[Mapping[str, str]] = ()
    draw: Callable[[], Figure] | None = None
    marks: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Artefact:
    """A table or figure as such; call `of` to put it to a subject.

    Attributes:
        name: as the command line calls it: `table3`.
        paper: as the paper calls it: `Table 3`; empty if it is not in the paper.
        title: a few words.
        question: what it answers.
        scope: what one exhibit of it is of.
        find: what answers.
    """

    name: str
    paper: str
    title: str
    question: str
    scope: Scope
    find: Callable[..., Finding]

    def of(
        self, subject: Subject, task: str | None = None, other: Subject | None = None
    ) -> Exhibit | Gap:
        """Return its exhibit, or the gap in its place.

        Args:
            subject: what it is put to.
            task: which of the subject's tasks; as the scope says.
            other: the second of two studies; as the scope says.

        Raises:
            SeedbedError: where the subject has no such task.
            TypeError: where the arguments are not those of the scope.
        """
        wanted = (self.scope != "study", self.scope == "two studies")
        if wanted != (task is not None, other is not None):
            raise TypeError(f"{self.name} is of a {self.scope}")
        if task is not None:
            require_task(subject.warehouse, subject.study, task)
        arguments = [each for each in (subject, other, task) if each is not None]
        try:
            finding = self.find(*arguments)
        except CannotSay as reason:
            return Gap(self, task, str(reason))
        return Exhibit(self, subject, task, finding, other)

    def of_each(
        self, subjects: Sequence[Subject], tasks: Sequence[str] | None = None
    ) -> list[Exhibit | Gap]:
        """Return its exhibits of several subjects.

        Of each of them, or of each of their tasks; of two studies, the first beside each other one.

        Args:
            subjects: what it is put to.
            tasks: only these of their tasks; all if not given.

        Raises:
            SeedbedError: where no subject has one of the tasks, the artefact is not of tasks, or it
                is of two studies and there are not two.
        """
        if self.scope == "study":
            if tasks:
                raise SeedbedError(f"{self.name} is of a whole study: leave --task out.")
            return [self.of(subject) for subject in subjects]
        there = {task for subject in subjects for task in subject.tasks}
        if missing := [task for task in tasks or () if task not in there]:
            raise SeedbedError(
                f"There is no task {missing[0]!r} in {_listing(each.study for each in subjects)}; "
                f"there is {_listing(sorted(there))}."
            )
        if self.scope == "task":
            return [
                self.of(subject, task)
                for subject in subjects
                for task in subject.tasks
                if not tasks or task in tasks
            ]
        if len(subjects) < 2:
            raise SeedbedError(
                f"{self.name} compares two studies, and there is {len(subjects)}: name both with "
                "--study."
            )
        first, *others = subjects
        return [
            self.of(first, task, second)
            for second in others
            for task in first.tasks
            if task in second.tasks and (not tasks or task in tasks)
        ]


@dataclass(frozen=True)
class Gap:
    """An artefact that the data do not carry, and why."""

    artefact: Artefact
    task: str | None
    reason: str


@dataclass(frozen=True, eq=False)
class Exhibit:
    """An artefact of a subject."""

    artefact: Artefact
    subject: Subject
    task: str | None
    finding: Finding
    other: Subject | None = None

    @property
    def name(self) -> str:
        """What its files are called, without suffix."""
        parts = [self.artefact.name, self.task, self.other and f"vs-{self.other.study}"]
        return "-".join(part for part in parts if part)

    @cached_property
    def figure(self) -> Figure | None:
        """The figure, drawn when first asked for; None for a table."""
        return None if self.finding.draw is None else self.finding.draw()

    @cached_property
    def svg(self) -> str:
        """The figure as SVG, for a page and for its file; empty for a table."""
        return "" if self.figure is None else svg(self.figure)


def of_study(
    name: str, *, title: str, question: str, paper: str = ""
) -> Callable[[Callable[[Subject], Finding]], Artefact]:
    """Make an artefact, one exhibit of which is of a whole study, of the function below."""
    return lambda find: Artefact(name, paper, title, question, "study", find)


def of_task(
    name: str, *, title: str, question: str, paper: str = ""
) -> Callable[[Callable[[Subject, str], Finding]], Artefact]:
    """Make an artefact, one exhibit of which is of a task of a study, of the function below."""
    return lambda find: Artefact(name, paper, title, question, "task", find)


def of_two_studies(
    name: str, *, title: str, question: str, paper: str = ""
) -> Callable[[Callable[[Subject, Subject, str], Finding]], Artefact]:
    """Make an artefact, one exhibit of which is of a task of two studies, of the function below."""
    return lambda find: Artefact(name, paper, title, question, "two studies", find)


def _listing(names: Iterable[str]) -> str:
    return ", ".join(names)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
