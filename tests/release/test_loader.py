"""A release is read back as what it was made from, whole or in part, from the Hub or a folder."""

import json
import shutil
from pathlib import Path
from urllib.parse import unquote

import pyarrow.compute as pc
import pytest

from analysis.schema import arrow_schema, released_schema
from analysis.warehouse import Warehouse
from finetune.contract import TABLES
from finetune.errors import SeedbedError
from release.bundle import Bundle
from release.errors import CheckFailedError, UnreachableError
from release.hub import Hub
from release.loader import Release, load, open_warehouse
from tests.hub import LocalHub

# huggingface_hub 2.4 sends large files in a way that its own HTTP library has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload:DeprecationWarning")

STEPS_OF_RTE = "data/train_steps/task=rte/train_steps.parquet"


@pytest.fixture(params=["folder", "Hub"])
def release(request: pytest.FixtureRequest, bundle: Bundle) -> Release:
    """The same release, in a folder and on the Hub."""
    if request.param == "folder":
        return load(bundle.folder)
    request.getfixturevalue("published")
    return load("seedlings/trials")


def fetched(local_hub: LocalHub) -> set[str]:
    """Return the paths of the files that were fetched."""
    return {
        unquote(request.path.split("/", 6)[6])
        for request in local_hub.requests
        if "/resolve/" in request.path
    }


# ── What is read ─────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("table", TABLES)
def test_a_table_is_read_back_as_it_stood_in_the_warehouse(
    release: Release, warehouse: Warehouse, table: str
) -> None:
    read = release.arrow(table)
    assert read.schema.equals(released_schema(table))
    wanted = warehouse.table(table).select(read.column_names)
    assert str(read.to_pylist()) == str(wanted.to_pylist())  # as text, for NaN is unlike itself


def test_only_the_tasks_and_columns_asked_for_are_read(release: Release) -> None:
    read = release.arrow("evaluations", tasks=["rte"], columns=["score", "step"])
    assert read.column_names == ["score", "step"]
    assert len(read) == release.arrow("evaluations").filter(pc.field("task") == "rte").num_rows


def test_all_three_are_joined_by_trial_and_step(release: Release, warehouse: Warehouse) -> None:
    joined = release.arrow("joined", tasks=["cola"])
    # By hand: of each trial steps 1 to 4 were trained, and 0, 2 and 4 evaluated.
    rows = {
        (row["trial_id"], row["step"]): (row["train_loss"], row["score"])
        for row in joined.to_pylist()
    }
    assert len(rows) == len(joined) == 4 * 5
    for trial, best in (("cola11", 61), ("cola12", 62), ("cola21", 71), ("cola22", 72)):
        assert [rows[trial, step] for step in range(5)] == [
            (None, (best - 20) / 100), (1.0, None), (0.5, (best - 10) / 100), (1 / 3, None),
            (0.25, best / 100),
        ]  # fmt: skip
    assert set(released_schema("trials").names) < set(joined.column_names)
    assert joined["wi_seed"].to_pylist() == [int(x[4]) for x in joined["trial_id"].to_pylist()]


def test_pandas_and_duckdb_see_the_same(release: Release) -> None:
    frame = release.pandas("trials", columns=["trial_id", "best_score"])
    with release.duckdb() as connection:
        rows = connection.sql("select trial_id, best_score from trials order by task, trial_id")
        assert list(frame.itertuples(index=False, name=None)) == rows.fetchall()
        assert {"trials", "evaluations", "train_steps", "joined"} == {
            name for (name,) in connection.sql("show tables").fetchall()
        }


# ── Which is read ────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    "name",
    [
        "seedlings/trials", "hf:seedlings/trials", "hf:seedlings/trials@v1.2.3",
        "seedlings/trials@1.2.3", "hf://datasets/seedlings/trials@v1.2.3",
    ],
)  # fmt: skip
def test_a_published_release_is_called_by_its_name(published: LocalHub, name: str) -> None:
    assert load(name).tag == "v1.2.3"


def test_without_a_version_the_latest_is_pinned_and_never_the_branch(
    published: LocalHub, hub: Hub
) -> None:
    repository = published.repositories["seedlings/trials"]
    repository.commit("by somebody", {}, delete=("manifest.json",))
    repository.tags |= {"v1.2.2": repository.head, "v2.0": repository.head, "w": repository.head}
    assert load("seedlings/trials").tag == "v1.2.3"
    repository.tags |= {"v1.10.0": repository.tags["v1.2.3"], "v1.9.0": repository.head}
    assert hub.latest_version() == "v1.10.0"
    with pytest.raises(CheckFailedError, match=r"calls v1\.10\.0 is v1\.2\.3 by its own manifest"):
        load("seedlings/trials")


def test_a_version_may_be_named_beside(published: LocalHub) -> None:
    assert load("seedlings/trials", "1.2.3").tag == load("seedlings/trials", "v1.2.3").tag
    with pytest.raises(SeedbedError, match=r"seedlings/trials has no v9\.9\.9"):
        load("seedlings/trials", "9.9.9")


def test_only_the_files_asked_for_are_fetched_and_once(published: LocalHub) -> None:
    release = load("seedlings/trials")
    release.arrow("train_steps", tasks=["rte"])
    assert fetched(published) == {"manifest.json", STEPS_OF_RTE}
    before = len(published.requests)
    release.arrow("train_steps", tasks=["rte"])
    assert len(published.requests) == before


def test_what_is_in_the_cache_is_read_while_the_hub_is_away(
    published: LocalHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = load("seedlings/trials", "1.2.3").arrow()
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    assert load("seedlings/trials", "1.2.3").arrow().equals(wanted)


# ── What is refused ──────────────────────────────────────────────────────────────────────────────
def test_what_is_not_there_is_named_with_what_is(release: Release) -> None:
    with pytest.raises(SeedbedError, match="no task mrpc; it has cola, rte"):
        release.arrow(tasks=["mrpc"])
    with pytest.raises(SeedbedError, match="evaluations has no column f2; it has trial_id, "):
        release.arrow("evaluations", columns=["f2"])
    with pytest.raises(SeedbedError, match="no table 'runs'; it has trials, evaluations"):
        release.arrow("runs")


def test_a_data_set_that_is_not_there_is_named(local_hub: LocalHub) -> None:
    with pytest.raises(SeedbedError, match="There is no data set seedlings/nothing on the Hub"):
        load("seedlings/nothing")


def test_a_data_set_without_a_release_is_named(published: LocalHub) -> None:
    published.repositories["seedlings/trials"].tags.clear()
    with pytest.raises(SeedbedError, match="seedlings/trials has no release"):
        load("seedlings/trials")


@pytest.mark.parametrize("name", ["", "trials", "a/b/c", "hf:a/b@main", "a/b@", "../bundle"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(SeedbedError, match="is no release on the Hub"):
        load(name)


def test_no_hub_and_nothing_in_the_cache_is_told(hub: Hub) -> None:
    away = Hub("seedlings/trials", endpoint="http://127.0.0.1:9", patience=hub.patience)
    for version in (None, "1.2.3"):
        with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:9 did not answer"):
            load("seedlings/trials", version, hub=away)


def test_a_file_that_was_changed_is_refused(staged: Path) -> None:
    with (staged / STEPS_OF_RTE).open("ab") as file:
        file.write(b"x")
    release = load(staged)
    assert len(release.arrow("train_steps", tasks=["cola"])) == 16
    with pytest.raises(CheckFailedError, match="is not the file that its manifest"):
        release.arrow("train_steps")


def test_a_file_that_is_gone_is_named(staged: Path) -> None:
    (staged / STEPS_OF_RTE).unlink()
    with pytest.raises(SeedbedError, match=f"{STEPS_OF_RTE} cannot be read"):
        load(staged).arrow("train_steps")


def test_another_schema_version_is_refused(staged: Path) -> None:
    manifest = json.loads((staged / "manifest.json").read_text())
    manifest["release"]["schema_version"] = 99
    (staged / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(SeedbedError, match="has schema version 99, and this Seedbed reads"):
        load(staged)


# ── As a warehouse ───────────────────────────────────────────────────────────────────────────────
def test_a_release_is_asked_as_ones_own_warehouse(release: Release, warehouse: Warehouse) -> None:
    opened = release.warehouse()
    assert opened.studies() == warehouse.studies()
    for table in TABLES:
        read, own = opened.table(table), warehouse.table(table)
        assert read.schema.names == arrow_schema(table).names
        kept = [column.name for column in TABLES[table] if column.released]
        assert str(read.select(kept).to_pylist()) == str(own.select(kept).to_pylist())
    assert set(opened.table("trials")["run_id"].to_pylist()) == {None}
    assert opened.ask("overview").equals(warehouse.ask("overview"))


def test_what_from_names_is_opened(
    published: LocalHub, bundle: Bundle, warehouse: Warehouse, tmp_path: Path
) -> None:
    counts = "select count(*) as n, avg(best_score) as mean from trials"
    for where in ("hf:seedlings/trials@v1.2.3", bundle.folder, str(bundle.folder),
                  warehouse.folder):  # fmt: skip
        assert open_warehouse(where).query(counts).equals(warehouse.query(counts))
    with pytest.raises(SeedbedError, match="There is no warehouse at"):
        open_warehouse(tmp_path)


def test_a_folder_with_a_name_like_a_pattern_is_read_itself(staged: Path) -> None:
    shutil.copytree(staged, staged.with_name("it's s"))
    assert len(load(staged).arrow("joined")) == 40
