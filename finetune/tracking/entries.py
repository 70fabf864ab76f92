"""Entries: what is to be done in the store, one after another, in a form that stands in a file.

Each may be written twice and then is there once: so that what a cut-off attempt may have written
already can simply be written again.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Opening:
    """A trial has begun: it needs a run.

    Attributes:
        trial_id: the trial.
        experiment_id: where its run belongs.
        name: the run's name.
        milliseconds: when it began, since the epoch, as in all entries.
        params: of the run.
        tags: of the run.
        taken_up: whether the trial goes on from where it stood, and so in the run it had.
    """

    trial_id: str
    experiment_id: str
    name: str
    milliseconds: int
    params: Mapping[str, str]
    tags: Mapping[str, str]
    taken_up: bool = False


@dataclass(frozen=True)
class Values:
    """Metrics were produced.

    Attributes:
        trial_id: the trial.
        step: after how many optimiser steps.
        milliseconds: when.
        metrics: by their names in MLflow.
    """

    trial_id: str
    step: int
    milliseconds: int
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class KeptModel:
    """The model of a trial is to be kept, as the run's artefacts.

    Attributes:
        trial_id: the trial.
        folder: where its files are until then; removed when they have been written.
        step: after how many optimiser steps it stood so.
    """

    trial_id: str
    folder: str
    step: int


@dataclass(frozen=True)
class DroppedModel:
    """The model of a trial is to be kept no longer."""

    trial_id: str


@dataclass(frozen=True)
class Closing:
    """A trial is over.

    Attributes:
        trial_id: the trial.
        milliseconds: since when.
        status: MLflow's own.
        tags: those that say how it ended.
    """

    trial_id: str
    milliseconds: int
    status: str
    tags: Mapping[str, str]


Entry = Opening | Values | KeptModel | DroppedModel | Closing

_KINDS: dict[str, type[Entry]] = {
    kind.__name__: kind for kind in (Opening, Values, KeptModel, DroppedModel, Closing)
}


def to_line(entry: Entry) -> bytes:
    """Write an entry as a line of JSON; a loss that is no number stays what it is."""
    content = {"kind": type(entry).__name__, **asdict(entry)}
    return json.dumps(content, separators=(",", ":")).encode() + b"\n"


def from_line(line: bytes) -> Entry:
    """Read what `to_line` wrote."""
    content = json.loads(line)
    return _KINDS[content.pop("kind")](**content)
