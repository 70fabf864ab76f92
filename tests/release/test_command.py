"""`finetune release`, and `--from`, as a user runs them against a Hub."""

import json
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from analysis.warehouse import Warehouse
from finetune.contract import Status
from finetune.errors import SeedbedError
from release.bundle import Bundle
from release.counts import Recorded
from tests.hub import Blob, LocalHub

# huggingface_hub 2.4 sends large files in a way that its own HTTP library has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload:DeprecationWarning")

REPO = "seedlings/trials"


class Ran:
    """How a command ended, and what it wrote."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err


Run = Callable[..., Ran]


@pytest.fixture
def finetune(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Run:
    """`finetune(*arguments)`: the command, run in an empty folder."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for variable in ("MLFLOW_TRACKING_URI", "SEEDBED_WAREHOUSE"):
        monkeypatch.delenv(variable, raising=False)

    def run(*arguments: object) -> Ran:
        from finetune.cli import main

        monkeypatch.setattr(sys, "argv", ["finetune", *map(str, arguments)])
        with pytest.raises((SystemExit, SeedbedError)) as ended:
            main()
        written = capsys.readouterr()
        if isinstance(ended.value, SeedbedError):  # --debug shows the traceback
            return Ran(1, written.out, "".join(traceback.format_exception(ended.value)))
        assert isinstance(ended.value, SystemExit)
        code = ended.value.code
        return Ran(code if isinstance(code, int) else 0, written.out, written.err)

    return run


@pytest.fixture
def release(finetune: Run, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`release(*arguments)`: `finetune release` of `warehouse`, without figures: they take long."""
    monkeypatch.setattr("finetune.cli.publishing.card_figures", lambda warehouse: [])

    def run(*arguments: object) -> Ran:
        return finetune("release", "--warehouse", warehouse.folder, "--without-store", *arguments)

    return run


@pytest.fixture
def login(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", LocalHub.WRITE)


# ── Dry runs ─────────────────────────────────────────────────────────────────────────────────────
def test_a_dry_run_shows_what_it_would_add_and_writes_nothing_to_the_hub(
    release: Run, local_hub: LocalHub
) -> None:
    ran = release("--repo", REPO, "--dry-run")
    assert ran.status == 0, ran.err
    assert "+ add  data/trials/trials.parquet" in ran.out
    assert "11 to add, 0 to change, 0 to delete, 0 the same" in ran.out
    assert "which will be made, private, as v1.0.0" in ran.out
    assert ran.out.endswith("Staged in bundle. Nothing was published.\n")
    assert {request.method for request in local_hub.requests} <= {"GET", "HEAD"}


def test_a_dry_run_without_a_repository_asks_nobody(release: Run, local_hub: LocalHub) -> None:
    ran = release("--dry-run")
    assert ran.status == 0
    assert "a data set of the Hub (name it with --repo)" in ran.out
    assert local_hub.requests == []


def test_a_dry_run_shows_changes_and_deletes(
    release: Run, local_hub: LocalHub, login: None
) -> None:
    assert release("--repo", REPO).status == 0
    local_hub.repositories[REPO].commit("by somebody", {"x.txt": Blob(b"x", is_large=False)})
    ran = release("--repo", REPO, "--version", "1.0.1", "--dry-run")
    assert "~ change  README.md" in ran.out
    assert "− delete  x.txt" in ran.out
    assert "= same    data/trials/trials.parquet" in ran.out
    assert "which is private" in ran.out


# ── Releases ─────────────────────────────────────────────────────────────────────────────────────
def test_a_release_is_published_and_then_known(
    release: Run, local_hub: LocalHub, login: None
) -> None:
    first = release("--repo", REPO, "--public")
    assert first.status == 0, first.err
    assert f"Released: {local_hub.url}/datasets/{REPO}/tree/v1.0.0" in first.out
    assert not local_hub.repositories[REPO].is_private
    written = list(local_hub.written)
    second = release("--repo", REPO, "--public")
    assert second.status == 0
    assert second.out.endswith(
        "seedlings/trials v1.0.0 is already released; nothing was written.\n"
    )
    assert local_hub.written == written


def test_a_repository_is_private_unless_asked(
    release: Run, local_hub: LocalHub, login: None
) -> None:
    ran = release("--repo", REPO)
    assert "The repository is private: only its owners see it." in ran.out
    assert local_hub.repositories[REPO].is_private


def test_the_changelog_grows_by_what_is_said(
    release: Run, local_hub: LocalHub, login: None
) -> None:
    release("--repo", REPO)
    release("--repo", REPO, "--version", "1.1.0", "--changes", "A better card.")
    commit = local_hub.repositories[REPO].find("v1.1.0")
    assert commit is not None
    text = commit.files["CHANGELOG.md"].content.decode()
    assert text.index("## 1.1.0\n\n- A better card.\n") < text.index("## 1.0.0\n")
    again = release("--repo", REPO, "--version", "1.0.0")
    assert "v1.0.0 is already released" in again.out


def test_what_was_staged_and_looked_at_is_published_as_it_is(
    release: Run, finetune: Run, local_hub: LocalHub, login: None
) -> None:
    release("--repo", REPO, "--dry-run", "--title", "Looked at")
    ran = finetune("release", "--from", "bundle", "--public")
    assert ran.status == 0, ran.err
    commit = local_hub.repositories[REPO].find("v1.0.0")
    assert commit is not None
    assert b"# Looked at\n" in commit.files["README.md"].content


# ── Nothing by accident ──────────────────────────────────────────────────────────────────────────
def test_a_published_release_is_not_published_again(
    finetune: Run, published: LocalHub, login: None
) -> None:
    ran = finetune("release", "--from", "hf:seedlings/trials@v1.2.3")
    assert ran.status == 0, ran.err
    assert ran.out == "seedlings/trials v1.2.3 is already released; nothing was written.\n"
    assert published.written == []


@pytest.mark.parametrize("where", ["hf:seedlings/trials@v1.2.3", "folder"])
def test_a_release_is_not_published_elsewhere(
    finetune: Run, published: LocalHub, bundle: Bundle, login: None, where: str
) -> None:
    source = bundle.folder if where == "folder" else where
    ran = finetune("release", "--from", source, "--repo", "seedlings/mine")
    assert ran.status == 2
    assert "was staged for seedlings/trials and is not published to seedlings/mine" in ran.err
    assert published.written == []


def test_the_trials_of_a_release_are_not_released_as_ones_own(
    finetune: Run, bundle: Bundle, local_hub: LocalHub, login: None
) -> None:
    ran = finetune("release", "-w", bundle.folder, "--without-store", "--repo", REPO)
    assert ran.status == 2
    assert "are a release already" in ran.err
    assert local_hub.written == []


def test_what_is_published_as_it_is_cannot_be_changed_on_the_way(finetune: Run) -> None:
    ran = finetune("release", "--from", "bundle", "--title", "Another", "--version", "2.0.0")
    assert ran.status == 2
    assert "--version, --title: what --from bundle names is published as it is" in ran.err


# ── The tracking store ───────────────────────────────────────────────────────────────────────────
def test_without_the_tracking_store_nothing_is_staged_unless_said(
    finetune: Run, warehouse: Warehouse
) -> None:
    ran = finetune("release", "-w", warehouse.folder, "--dry-run")
    assert ran.status == 2
    assert "no tracking store at sqlite:///mlflow.db to count the trials in" in ran.err
    assert not list(Path().iterdir())


def test_trials_that_the_store_has_and_the_warehouse_has_not_are_told(
    finetune: Run, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = warehouse.query("select trial_id, status from trials").to_pylist()
    runs = {row["trial_id"]: ("run", Status(row["status"])) for row in rows}
    runs |= {"new1": ("r1", Status.FINISHED), "new2": ("r2", Status.RUNNING)}
    monkeypatch.setattr(
        "finetune.cli.publishing._recorded", lambda *_: [Recorded("demo", runs, {})]
    )
    monkeypatch.setattr("finetune.cli.publishing.card_figures", lambda warehouse: [])
    ran = finetune("release", "-w", warehouse.folder, "--dry-run")
    assert ran.status == 3
    assert "demo: the store has 2 trials that the warehouse does not have, such as new1" in ran.err
    assert not list(Path().iterdir())


# ── Exit statuses ────────────────────────────────────────────────────────────────────────────────
def test_each_reason_has_its_exit_status(
    release: Run, local_hub: LocalHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert release("--repo", REPO).status == 5  # nobody is logged in

    monkeypatch.setenv("HF_TOKEN", LocalHub.READ)
    assert release("--repo", REPO).status == 5

    monkeypatch.setenv("HF_TOKEN", LocalHub.WRITE)
    assert release("--repo", REPO, "--title", "For jane@example.org").status == 3
    local_hub.fail("POST", "/commit/", status=503, times=99)
    assert release("--repo", REPO).status == 6
    local_hub._faults.clear()
    assert release("--repo", REPO).status == 0
    assert release("--repo", REPO, "--title", "Another").status == 4
    assert release("--repo", "trials").status == 2


def test_a_token_is_never_an_option_and_never_printed(
    release: Run, local_hub: LocalHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert release("--token", LocalHub.WRITE).status == 2
    for token in (LocalHub.WRITE, LocalHub.READ, "hf_" + "wrong" * 8):
        monkeypatch.setenv("HF_TOKEN", token)
        for arguments in ((), ("--debug",)):
            ran = release("--repo", REPO, "--title", token[:4], *arguments)
            assert ran.status in (0, 1, 4, 5)
            assert token not in ran.out + ran.err


# ── Round trip ───────────────────────────────────────────────────────────────────────────────────
COUNTS = "select count(*) as trials, round(avg(best_score), 6) as mean from trials"


@pytest.mark.parametrize("where", ["hf:seedlings/trials@v1.2.3", "hf:seedlings/trials", "folder"])
def test_a_query_is_put_to_a_release(
    finetune: Run, published: LocalHub, bundle: Bundle, warehouse: Warehouse, where: str
) -> None:
    source = bundle.folder if where == "folder" else where
    own = finetune("query", COUNTS, "-f", "json", "-w", warehouse.folder)
    theirs = finetune("query", COUNTS, "-f", "json", "--from", source)
    assert theirs.status == 0, theirs.err
    assert json.loads(theirs.out) == json.loads(own.out) == [{"trials": 8, "mean": 0.665}]


def test_a_table_of_a_release_is_that_of_the_trials_it_was_made_of(
    finetune: Run, published: LocalHub, warehouse: Warehouse
) -> None:
    own = finetune("show", "table2", "-f", "csv", "-w", warehouse.folder)
    theirs = finetune("show", "table2", "-f", "csv", "--from", "hf:seedlings/trials@v1.2.3")
    assert theirs.status == 0, theirs.err
    assert theirs.out == own.out
    assert "rte" in own.out
