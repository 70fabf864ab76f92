"""Which tasks there are, and finding one by its name."""

import difflib
from pathlib import Path

from finetune.errors import SeedbedError
from finetune.tasks.glue import GLUE, HUB_REPOSITORY, GlueFolder, squeezed
from finetune.tasks.hub import HubDataset, HubSplits
from finetune.tasks.metrics import is_regression
from finetune.tasks.task import Source, Task

OTHER_NAMES = {"sst": "sst2", "mnlimatched": "mnli", "mnlim": "mnli"}
"""What the literature calls a task besides its title here."""


def task_names() -> tuple[str, ...]:
    """Return the names of all tasks that need no definition: GLUE's and the embedded ones."""
    return (*GLUE, *_embedded())


def find_task(name: str, *, data_dir: Path | None = None, revision: str | None = None) -> Task:
    """Return the task of that name, written in any of the usual ways (`SST-2`, `mnli-mm`).

    Nothing is read or downloaded yet.

    Args:
        name: of one of GLUE's tasks or an embedded one.
        data_dir: the folder of GLUE's distributed files; without it GLUE comes from the Hub. The
            embedded tasks need neither.
        revision: branch, tag or commit of GLUE on the Hub.

    Raises:
        SeedbedError: where there is no such task; it names the closest and all.
    """
    wanted = squeezed(name)
    for task, glue in GLUE.items():
        if wanted in (squeezed(task), squeezed(glue.title)) or OTHER_NAMES.get(wanted) == task:
            return _glue_task(task, data_dir, revision)
    for task, embedded in _embedded().items():
        if wanted == squeezed(task):
            return embedded
    names = task_names()
    close = difflib.get_close_matches(wanted, names, n=1)
    meant = f" Did you mean '{close[0]}'?" if close else ""
    raise SeedbedError(
        f"There is no task '{name}'.{meant} The tasks are {', '.join(names)};"
        " data of your own needs a definition in a study file."
    )


def _glue_task(name: str, data_dir: Path | None, revision: str | None) -> Task:
    glue = GLUE[name]
    source: Source
    if data_dir is not None:
        source = GlueFolder(data_dir, name)
    else:
        splits = HubSplits(HUB_REPOSITORY, glue.config, revision, validation=glue.hub_validation)
        source = HubDataset(splits, glue.hub_text, "label", glue.hub_labels)
    return Task(
        name=name,
        title=glue.title,
        description=glue.description,
        kind="regression" if is_regression(glue.metric) else "classification",
        labels=glue.labels,
        metric=glue.metric,
        source=source,
    )


def _embedded() -> dict[str, Task]:
    # Imported when asked for: the embedded tasks are made of this package's types.
    from finetune.embedded.tasks import TASKS

    return TASKS
