"""An export after another reads only what has changed, and comes to the bytes of a full one."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric
from mlflow.exceptions import MlflowException

from analysis.export import ExportSummary, export, export_from
from analysis.last_export import FILE, LastExport
from analysis.runs import ClientReader
from analysis.warehouse import Warehouse
from finetune.contract import METRIC_TRAIN_LOSS, TAG_STATUS, Status, experiment_name
from finetune.errors import SeedbedError
from tests.logged_runs import BEGINNING, Run, contents, log

# SQLAlchemy 2.1 warns of something in MLflow's models, once, when MLflow opens its first store.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")

ROOT = Path(__file__).resolve().parents[2]


class Study:
    """A study of two tasks in a store of its own, and the warehouse that it is exported to."""

    def __init__(self, uri: str, folder: Path) -> None:
        self.uri = uri
        self.folder = folder
        self.client = MlflowClient(uri)
        self.runs: dict[tuple[str, int], str] = {}
        self.experiments = {
            task: self.client.create_experiment(experiment_name("demo", task), str(folder))
            for task in ("cola", "rte")
        }
        for task in ("cola", "rte"):
            for do_seed in (1, 2, 3):
                self.log(Run(task=task, do_seed=do_seed))

    @property
    def warehouse(self) -> Path:
        return self.folder / "warehouse"

    def log(self, run: Run) -> None:
        self.runs[run.task, run.do_seed] = log(self.client, self.experiments[run.task], run)

    def export(self, *, full: bool = False) -> ExportSummary:
        return export(self.uri, self.warehouse, full=full)

    def export_by_client(self, *, full: bool = False) -> ExportSummary:
        """Export as from a server: through MLflow's client."""
        last = None if full else LastExport.load(self.warehouse, "x")
        with closing(ClientReader(self.uri)) as reader:
            return export_from(reader, self.uri, self.warehouse, last=last, of="x")

    def full(self) -> dict[str, bytes]:
        """Return what a full export of the store comes to."""
        folder = self.folder / "full"
        export(self.uri, folder, full=True)
        return contents(folder)

    def database(self, sql: str) -> None:
        connection = sqlite3.connect(self.uri.removeprefix("sqlite:///"), isolation_level=None)
        connection.execute(sql)
        connection.close()


@pytest.fixture
def study(new_store: Callable[[Path], str], tmp_path: Path) -> Study:
    return Study(new_store(tmp_path), tmp_path)


def inodes(folder: Path) -> dict[str, int]:
    return {str(p.relative_to(folder)): p.stat().st_ino for p in sorted(folder.rglob("*.parquet"))}


# ── What changes ─────────────────────────────────────────────────────────────────────────────────
def nothing(study: Study) -> None:
    pass


def a_new_trial(study: Study) -> None:
    study.log(Run(task="rte", do_seed=0))


def a_new_task(study: Study) -> None:
    study.experiments["mrpc"] = study.client.create_experiment("demo/mrpc", str(study.folder))
    study.log(Run(task="mrpc"))


def a_step_of_a_trial_that_runs(study: Study) -> None:
    study.client.log_metric(study.runs["rte", 2], METRIC_TRAIN_LOSS, 0.3, BEGINNING + 9_999, 7)


def an_earlier_step_of_a_finished_trial(study: Study) -> None:
    study.client.log_metric(study.runs["rte", 2], METRIC_TRAIN_LOSS, 0.3, BEGINNING + 99_999, 3)


def an_earlier_step_at_an_earlier_time(study: Study) -> None:
    study.client.log_metric(study.runs["rte", 2], METRIC_TRAIN_LOSS, 0.3, BEGINNING - 1, 3)


def a_metric_without_a_column(study: Study) -> None:
    study.client.log_metric(study.runs["rte", 1], "system/gpu", 0.5, BEGINNING, 0)


def a_tag(study: Study) -> None:
    study.client.set_tag(study.runs["rte", 3], TAG_STATUS, Status.DIVERGED.value)


def a_param_without_a_column(study: Study) -> None:
    study.client.log_param(study.runs["rte", 3], "colour", "blue")


def a_name(study: Study) -> None:
    study.client.update_run(study.runs["rte", 3], name="another")


def a_trial_that_broke(study: Study) -> None:
    study.client.log_metric(study.runs["rte", 3], "eval/score", 0.9, BEGINNING, 1)


def a_deleted_trial(study: Study) -> None:
    study.client.delete_run(study.runs["rte", 2])


def a_trial_run_again(study: Study) -> None:
    study.log(Run(task="rte", do_seed=2, scores=(0.1, 0.2), started_at=BEGINNING + 5))


def one_run_removed_and_another_in_its_rows(study: Study) -> None:
    # As `mlflow gc` does; SQLite gives the numbers of the last rows anew.
    run = study.runs.pop(("rte", 3))
    for table in ("metrics", "latest_metrics", "params", "tags", "runs"):
        study.database(f"delete from {table} where run_uuid = '{run}'")
    an_earlier_step_of_a_finished_trial(study)


CHANGES: dict[Callable[[Study], None], set[str]] = {
    nothing: set(),
    a_new_trial: {"rte"},
    a_new_task: {"mrpc"},
    a_step_of_a_trial_that_runs: {"rte"},
    an_earlier_step_of_a_finished_trial: {"rte"},
    an_earlier_step_at_an_earlier_time: {"rte"},
    a_metric_without_a_column: {"rte"},
    a_tag: {"rte"},
    a_param_without_a_column: {"rte"},
    a_name: {"rte"},
    a_trial_that_broke: {"rte"},
    a_deleted_trial: {"rte"},
    a_trial_run_again: {"rte"},
    one_run_removed_and_another_in_its_rows: {"rte"},
}
"""Changes, and the tasks whose files are written anew for them."""


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_an_export_after_another_comes_to_the_bytes_of_a_full_one(
    change: Callable[[Study], None], study: Study
) -> None:
    study.export()
    before = inodes(study.warehouse)

    change(study)
    summary = study.export()

    assert contents(study.warehouse) == study.full()
    rewritten = {
        path.split("/")[1].removeprefix("task=")
        for path, inode in inodes(study.warehouse).items()
        if "/" in path and before.get(path) != inode
    }
    assert rewritten == CHANGES[change]
    assert summary.read <= len(CHANGES[change])
    # And once more, with nothing new.
    assert study.export().read == 0
    assert contents(study.warehouse) == study.full()


def test_with_nothing_new_nothing_is_read_and_no_table_written(study: Study) -> None:
    first = study.export()
    before = inodes(study.warehouse)

    second = study.export()

    assert (first.read, second.read) == (6, 0)
    assert replace(second, read=6) == first
    assert inodes(study.warehouse) == before


def test_a_trial_that_is_running_is_exported_as_it_grows(study: Study) -> None:
    for steps in range(4):
        run = Run(task="rte", do_seed=9, status=Status.RUNNING, scores=(0.5,), losses=())
        if steps == 0:
            study.log(run)
        else:
            study.client.log_batch(
                study.runs["rte", 9], [Metric(METRIC_TRAIN_LOSS, 1.0, BEGINNING + steps, steps)]
            )
        summary = study.export()
        assert summary.statuses[Status.RUNNING] == 1
        [row] = (
            Warehouse(study.warehouse)
            .query("select steps from trials where status = 'running'")
            .to_pylist()
        )
        assert row == {"steps": steps}
    study.client.set_tag(study.runs["rte", 9], TAG_STATUS, Status.FINISHED.value)
    study.client.set_terminated(study.runs["rte", 9])
    study.export()
    assert contents(study.warehouse) == study.full()


def test_a_run_that_stays_broken_costs_nothing_but_its_mention(study: Study) -> None:
    a_trial_that_broke(study)
    first = study.export()

    second = study.export()

    assert second.read == 0
    assert second.left_out == first.left_out
    assert len(second.left_out) == 1


def test_through_a_client_too_only_what_changed_is_read(study: Study) -> None:
    assert study.export_by_client().read == 6
    assert study.export_by_client().read == 0
    a_step_of_a_trial_that_runs(study)
    assert study.export_by_client().read == 1
    assert contents(study.warehouse) == study.full()


def test_through_a_client_a_later_value_of_an_earlier_step_waits_for_a_full_export(
    study: Study,
) -> None:
    """As docs/warehouse.md says: a client is told the last value of each metric, and no count."""
    study.export_by_client()
    an_earlier_step_of_a_finished_trial(study)

    assert study.export_by_client().read == 0
    assert study.export_by_client(full=True).read == 6
    assert contents(study.warehouse) == study.full()


def test_through_a_client_a_run_touched_within_the_hour_is_read_again(study: Study) -> None:
    now = time.time_ns() // 1_000_000
    study.log(Run(task="rte", do_seed=4, started_at=now - 30 * 60_000))
    study.log(Run(task="rte", do_seed=5, started_at=now - 90 * 60_000))
    assert study.export_by_client().read == 8

    # Of which neither its last value nor how it stands tells.
    study.client.log_metric(study.runs["rte", 4], METRIC_TRAIN_LOSS, 0.3, now, 3)

    assert study.export_by_client().read == 1
    assert contents(study.warehouse) == study.full()


def test_through_a_client_a_run_is_read_once_more_after_it_has_settled(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time_ns() // 1_000_000
    study.log(Run(task="rte", do_seed=4, started_at=now))
    study.export_by_client()
    study.client.log_metric(study.runs["rte", 4], METRIC_TRAIN_LOSS, 0.3, now, 3)

    monkeypatch.setattr("analysis.runs._SECONDS_TO_SETTLE", -3_600.0)  # as if it were later

    assert study.export_by_client().read == 1
    assert study.export_by_client().read == 0
    assert contents(study.warehouse) == study.full()


# ── What cannot be read ──────────────────────────────────────────────────────────────────────────
def test_a_run_that_a_store_does_not_give_is_named_and_tried_again(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    study.export_by_client()
    for do_seed in (2, 3):
        study.client.log_metric(study.runs["rte", do_seed], METRIC_TRAIN_LOSS, 0.3, BEGINNING, 7)
    refused = study.runs["rte", 2]
    read = MlflowClient.get_metric_history

    def refuse(client: MlflowClient, run_id: str, key: str) -> list[Metric]:
        if (run_id, key) == (refused, METRIC_TRAIN_LOSS):
            raise MlflowException(
                "API request to x failed with exception HTTPConnectionPool(host='x', port=80): "
                "Max retries exceeded (Caused by ResponseError('too many 503 error responses'))"
            )
        return read(client, run_id, key)

    with monkeypatch.context() as broken:
        broken.setattr(MlflowClient, "get_metric_history", refuse)
        for _ in range(2):
            summary = study.export_by_client()

            reason = "its train/loss could not be read (too many 503 error responses)"
            assert [(run.run_id, run.reason) for run in summary.left_out] == [(refused, reason)]
            assert summary.trials == 5
            warehouse = Warehouse(study.warehouse)
            assert [run["reason"] for run in warehouse.manifest["source"]["left_out"]] == [reason]
            there = warehouse.query("select do_seed from trials where task = 'rte' order by 1")
            assert there["do_seed"].to_pylist() == [1, 3]

    summary = study.export_by_client()
    assert (summary.read, summary.left_out) == (1, ())
    assert contents(study.warehouse) == study.full()


def test_a_store_that_goes_away_ends_the_export_and_leaves_the_last_one(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    study.export_by_client()
    before = contents(study.warehouse)
    for run in study.runs.values():
        study.client.log_metric(run, METRIC_TRAIN_LOSS, 0.3, BEGINNING, 7)
    file = Path(study.uri.removeprefix("sqlite:///"))
    asked = []

    def go_away(client: MlflowClient, run_id: str, key: str) -> list[Metric]:
        asked.append(run_id)
        if file.exists():
            file.rename(file.with_suffix(".away"))
        raise MlflowException("unable to open database file")

    monkeypatch.setattr(MlflowClient, "get_metric_history", go_away)
    with pytest.raises(SeedbedError, match="There is no tracking store at"):
        study.export_by_client()

    assert contents(study.warehouse) == before
    assert not list(study.folder.glob(".*")), "nothing is left beside it"
    assert len(asked) <= 8, "what was not asked for yet is not asked for any more"


# ── When all is read anew ────────────────────────────────────────────────────────────────────────
def no_note(warehouse: Path) -> None:
    (warehouse / FILE).unlink()


def half_a_note(warehouse: Path) -> None:
    (warehouse / FILE).write_text((warehouse / FILE).read_text()[:100])


def a_note_of_another_kind(warehouse: Path) -> None:
    (warehouse / FILE).write_text("[]")


def a_file_cut_off(warehouse: Path) -> None:
    path = warehouse / "train_steps" / "task=rte" / "train_steps.parquet"
    path.write_bytes(path.read_bytes()[:-1])


def a_file_lost(warehouse: Path) -> None:
    (warehouse / "evaluations" / "task=rte" / "evaluations.parquet").unlink()


def other_versions(warehouse: Path) -> None:
    note = json.loads((warehouse / FILE).read_text())
    (warehouse / FILE).write_text(json.dumps(note | {"scope": "of another version"}))


@pytest.mark.parametrize(
    "spoil",
    [no_note, half_a_note, a_note_of_another_kind, a_file_cut_off, a_file_lost, other_versions],
    ids=lambda spoil: spoil.__name__,
)
def test_all_is_read_anew_after(spoil: Callable[[Path], None], study: Study) -> None:
    study.export()
    spoil(study.warehouse)

    assert study.export().read == 6
    assert contents(study.warehouse) == study.full()


def test_all_is_read_anew_when_asked_for(study: Study) -> None:
    study.export()

    assert study.export(full=True).read == 6


def test_other_studies_are_another_export(study: Study) -> None:
    study.export()

    assert export(study.uri, study.warehouse, studies=["demo"]).read == 6


# ── Killed ───────────────────────────────────────────────────────────────────────────────────────
EXPORT = (
    "import sys; from pathlib import Path; from analysis.export import export;"
    "print('ready', flush=True); sys.stdin.readline();"
    "export(sys.argv[1], Path(sys.argv[2])); print('done', flush=True)"
)


@pytest.mark.slow
def test_an_export_killed_anywhere_leaves_a_whole_warehouse_and_the_next_one_is_right(
    study: Study,
) -> None:
    """Killed at random moments, over and over, while trials are added and one runs on."""
    moments = random.Random(seed := time.time_ns())
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    for do_seed in range(4, 30):
        study.log(Run(task="cola", do_seed=do_seed, losses=(0.5,) * 2_000))
    began = time.monotonic()
    study.export()
    seconds = time.monotonic() - began
    whole = contents(study.warehouse)
    killed = 0
    for attempt in range(25):
        a_step = Metric(METRIC_TRAIN_LOSS, 0.1, BEGINNING + attempt, 7 + attempt)
        study.client.log_batch(study.runs["cola", 1 + attempt % 25], [a_step])
        expected = study.full()
        process = subprocess.Popen(
            [sys.executable, "-c", EXPORT, study.uri, str(study.warehouse)],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        process.stdin.write(b"\n")
        process.stdin.flush()
        time.sleep(moments.uniform(0, 1.2 * seconds))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        killed += process.returncode == -signal.SIGKILL

        found = contents(study.warehouse)
        assert found in (whole, expected)
        Warehouse(study.warehouse).query("from train_steps")
        if moments.random() < 0.5:
            study.export()
            found = contents(study.warehouse)
            assert found == expected
            assert not list(study.folder.glob(".*")), "what was left beside it is gone"
        whole = found
    assert killed
