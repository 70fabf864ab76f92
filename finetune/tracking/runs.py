"""Runs: entries turned into calls of MLflow."""

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, Protocol, TypeVar

from finetune import contract
from finetune.contract import Status
from finetune.tracking.entries import Closing, DroppedModel, Entry, KeptModel, Opening, Values
from finetune.tracking.store import Store

if TYPE_CHECKING:
    from mlflow.entities import Metric, Run

BATCH = 1000
"""Metrics that MLflow takes in one call."""

MODEL = "model"
"""Where among the artefacts of a run its model lies."""

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


class Caller(Protocol):
    """Calls a function, again and again while that may help."""

    def __call__(
        self,
        function: Callable[_Parameters, _Result],
        *args: _Parameters.args,
        **kwargs: _Parameters.kwargs,
    ) -> _Result:
        """Return what the function returns in the end."""
        ...


class Runs:
    """The runs of the trials that a journal tells of.

    Attributes:
        notes: what could not be written and never will be, in sentences.
    """

    def __init__(self, store: Store, call: Caller, *, is_rest: bool = False) -> None:
        """Begin with no run known.

        Args:
            store: where they are.
            call: makes each call.
            is_rest: whether entries are left over from a process that may have written some.
        """
        self.notes: list[str] = []
        self._store = store
        self._call = call
        self._is_rest = is_rest
        self._ids: dict[str, str] = {}
        self._tried: set[tuple[str, int]] = set()
        self._gone: set[str] = set()

    def write(self, entries: Iterable[Entry]) -> None:
        """Write entries, in order; metrics of a run go together.

        Raises:
            Exception: of MLflow's, where a run cannot be created.
        """
        metrics: dict[str, list[Metric]] = {}
        for entry in entries:
            match entry:
                case Values():
                    metrics.setdefault(entry.trial_id, []).extend(_metrics(entry))
                case Opening():
                    self._log(entry.trial_id, metrics.pop(entry.trial_id, []))
                    self._open(entry)
                case _:
                    self._log(entry.trial_id, metrics.pop(entry.trial_id, []))
                    self._unless_gone(entry.trial_id, self._finish, entry)
        for trial_id, waiting in metrics.items():
            self._log(trial_id, waiting)

    # ── Opening ──────────────────────────────────────────────────────────────────────────────────
    def _open(self, entry: Opening) -> None:
        from mlflow.entities import Param, RunTag

        self._gone.discard(entry.trial_id)
        found = self._unfinished(entry.trial_id) if entry.taken_up else None
        if found is None:
            run_id = self._call(self._create, entry)
            params = entry.params
        else:
            run_id, params = found.info.run_id, entry.params
            params = {key: v for key, v in params.items() if key not in found.data.params}
            tags = [RunTag(key, value) for key, value in entry.tags.items()]
            self._call(self._store.client.log_batch, run_id, tags=tags)
            if contract.TAG_ERROR in found.data.tags:
                self._call(self._store.client.delete_tag, run_id, contract.TAG_ERROR)
            self._call(self._store.client.update_run, run_id, status="RUNNING")
        self._ids[entry.trial_id] = run_id
        written = [Param(key, value) for key, value in params.items()]
        self._call(self._store.client.log_batch, run_id, params=written)

    def _create(self, entry: Opening) -> str:
        """Create a run, unless an attempt whose answer was lost has done so; return its id."""
        key = (entry.trial_id, entry.milliseconds)
        if self._is_rest or key in self._tried:
            for run in self._find(entry.trial_id):
                if run.info.start_time == entry.milliseconds:
                    return str(run.info.run_id)
        self._tried.add(key)
        created = self._store.client.create_run(
            entry.experiment_id,
            start_time=entry.milliseconds,
            tags=dict(entry.tags),
            run_name=entry.name,
        )
        return str(created.info.run_id)

    def _find(self, trial_id: str) -> "list[Run]":
        """Return the runs of a trial, the latest first."""
        client = self._store.client
        experiments = [e.experiment_id for e in client.search_experiments()]
        wanted = f"tags.`{contract.TAG_TRIAL_ID}` = '{trial_id}'"
        return list(client.search_runs(experiments, wanted, order_by=["start_time DESC"]))

    def _unfinished(self, trial_id: str) -> "Run | None":
        """Return the run in which a trial stands that is not done; None where there is none."""
        for run in self._call(self._find, trial_id):
            status = Status(run.data.tags.get(contract.TAG_STATUS, Status.RUNNING))
            if not status.is_done:
                return run
        return None

    # ── Going on and ending ──────────────────────────────────────────────────────────────────────
    def _id(self, trial_id: str) -> str:
        """Return the id of a trial's run, which another process may have created."""
        if trial_id not in self._ids:
            found = self._call(self._find, trial_id)
            if not found:
                raise LookupError(f"trial {trial_id}: has no run any more")
            self._ids[trial_id] = found[0].info.run_id
        return self._ids[trial_id]

    def _log(self, trial_id: str, metrics: "list[Metric]") -> None:
        for start in range(0, len(metrics), BATCH):
            self._unless_gone(trial_id, self._log_batch, metrics[start : start + BATCH])

    def _log_batch(self, run_id: str, metrics: "list[Metric]") -> None:
        self._call(self._store.client.log_batch, run_id, metrics=metrics)

    def _finish(self, run_id: str, entry: KeptModel | DroppedModel | Closing) -> None:
        from mlflow.entities import RunTag

        client = self._store.client
        match entry:
            case KeptModel(_, folder, step):
                # Where the folder is gone, it had been written before the process died.
                if Path(folder).is_dir():
                    self._call(client.log_artifacts, run_id, folder, MODEL)
                    self._call(client.set_tag, run_id, contract.TAG_MODEL_STEP, str(step))
                    shutil.rmtree(folder, ignore_errors=True)
            case DroppedModel():
                self._call(self._drop_model, run_id)
            case Closing():
                tags = [RunTag(key, value) for key, value in entry.tags.items()]
                self._call(client.log_batch, run_id, tags=tags)
                self._call(client.set_terminated, run_id, entry.status, entry.milliseconds)

    def _drop_model(self, run_id: str) -> None:
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        client = self._store.client
        run = client.get_run(run_id)
        if contract.TAG_MODEL_STEP in run.data.tags:
            # The tag first: what it names is there, whenever this is cut off.
            with self._unless_others_did():
                client.delete_tag(run_id, contract.TAG_MODEL_STEP)
        repository = get_artifact_repository(run.info.artifact_uri, self._store.uri)
        repository.delete_artifacts(MODEL)  # type: ignore[no-untyped-call]

    @contextmanager
    def _unless_others_did(self) -> Iterator[None]:
        """Pass over a refusal: the driver of another shard has just done the same."""
        from mlflow.exceptions import MlflowException

        try:
            yield
        except MlflowException as error:
            if self._store.may_pass(error):
                raise

    def _unless_gone(
        self, trial_id: str, do: Callable[[str, _Result], None], what: _Result
    ) -> None:
        """Do something with a trial's run; nothing, but a note, where somebody has deleted it."""
        from mlflow.exceptions import MlflowException

        if trial_id in self._gone:
            return
        try:
            do(self._id(trial_id), what)
        except (MlflowException, LookupError) as error:
            if isinstance(error, MlflowException) and self._store.may_pass(error):
                raise
            self._gone.add(trial_id)
            self.notes.append(
                f"the run of trial {trial_id} cannot be written any more "
                f"({self._store.reason(error)}); what happened in it since is not kept."
            )


def _metrics(values: Values) -> "Iterable[Metric]":
    from mlflow.entities import Metric

    for key, value in values.metrics.items():
        yield Metric(key, value, values.milliseconds, values.step)
