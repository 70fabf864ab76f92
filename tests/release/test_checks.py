"""A release that is not fit is refused, and told all that is wrong with it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from analysis.schema import released_schema
from finetune.contract import TABLES
from finetune.errors import SeedbedError
from release.checks import check, faults
from release.leaks import Identity
from release.manifest import read_manifest, write_manifest

TRIALS = "data/trials/trials.parquet"
EVALUATIONS = "data/evaluations/task=rte/evaluations.parquet"
STEPS = "data/train_steps/task=cola/train_steps.parquet"

TEXT_COLUMNS = [
    (path, field.name)
    for table, path in (("trials", TRIALS), ("evaluations", EVALUATIONS), ("train_steps", STEPS))
    for field in released_schema(table)
    if pa.types.is_string(field.type)
]


def seal(folder: Path) -> None:
    """Write manifest and checksums anew, so that only the fault planted is one."""
    facts, _ = read_manifest(folder)
    for name in ("manifest.json", "SHA256SUMS"):
        (folder / name).unlink()
    write_manifest(folder, facts)


def spoil(path: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    """Rewrite a Parquet file changed."""
    pq.write_table(change(pq.ParquetFile(path).read()), path)


def twice_the_first(table: pa.Table) -> pa.Table:
    return pa.concat_tables([table, table.slice(0, 1)])


def with_first(column: str, value: object) -> Callable[[pa.Table], pa.Table]:
    """Return what sets the first row's value of a column."""

    def change(table: pa.Table) -> pa.Table:
        i = table.schema.get_field_index(column)
        values = table[column].to_pylist()
        new = pa.array([value, *values[1:]], type=table.schema.field(i).type)
        return table.set_column(i, table.schema.field(i), new)

    return change


def test_a_release_as_it_is_staged_has_no_fault(staged: Path, identity: Identity) -> None:
    assert faults(staged, identity, ("seedlings/trials",)) == []


def test_a_folder_whose_name_looks_like_a_pattern_is_read_itself(
    staged: Path, identity: Identity
) -> None:
    # As a pattern, [spoilt] stands for one letter of it.
    another = staged.with_name(staged.name.replace("[spoilt]", "s"))
    shutil.copytree(staged, another)
    spoil(staged / TRIALS, twice_the_first)
    seal(staged)
    assert faults(staged, identity) == ["trials: more than one row has the trial_id cola11."]
    assert faults(another, identity) == []


# ── Files ────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    "path", ["trials.py", ".env", "data/trials/more.parquet", "data/notes.md", "dataset_infos.json"]
)
def test_a_file_that_has_no_place_is_named(staged: Path, identity: Identity, path: str) -> None:
    (staged / path).write_text("", encoding="utf-8")
    seal(staged)
    assert f"{path} has no place in a release; take it out." in faults(staged, identity)


def test_a_link_is_refused_and_where_it_leads_is_searched(staged: Path, identity: Identity) -> None:
    (staged / TRIALS).unlink()
    (staged / TRIALS).symlink_to("/home/alice/trials.parquet")
    found = faults(staged, identity)
    assert f"{TRIALS} is a link; a release holds plain files." in found
    assert any("a folder of this machine" in fault for fault in found)


@pytest.mark.parametrize("path", ["README.md", "LICENSE", "CITATION.cff", "SHA256SUMS"])
def test_a_text_that_is_missing_is_named(staged: Path, identity: Identity, path: str) -> None:
    (staged / path).unlink()
    assert f"{path} is missing." in faults(staged, identity)


@pytest.mark.parametrize("table", TABLES)
def test_a_table_that_is_missing_is_named(staged: Path, identity: Identity, table: str) -> None:
    shutil.rmtree(staged / "data" / table)
    assert f"There is no file of the table {table}." in faults(staged, identity)


@pytest.mark.parametrize("path", ["README.md", TRIALS])
def test_a_file_changed_after_the_manifest_is_named_against_both_lists(
    staged: Path, identity: Identity, path: str
) -> None:
    with (staged / path).open("r+b") as file:
        content = file.read().replace(b"demo", b"d3mo", 1)
        file.seek(0)
        file.write(content)
    assert set(faults(staged, identity)) >= {
        f"{path} is not the file that manifest.json describes.",
        f"{path} does not have the checksum that SHA256SUMS says.",
    }


def test_a_file_that_the_lists_do_not_know_is_named(staged: Path, identity: Identity) -> None:
    folder = staged / "data" / "evaluations"
    shutil.move(folder / "task=rte", folder / "task=mrpc")
    path = "data/evaluations/task=mrpc/evaluations.parquet"
    assert set(faults(staged, identity)) >= {
        f"manifest.json does not name {path}.",
        f"SHA256SUMS does not name {path}.",
        f"manifest.json names {EVALUATIONS}.",
    }


def test_a_manifest_that_is_none_is_a_fault(staged: Path, identity: Identity) -> None:
    (staged / "manifest.json").write_text("[]", encoding="utf-8")
    assert "manifest.json cannot be read as a release's." in faults(staged, identity)


# ── Columns ──────────────────────────────────────────────────────────────────────────────────────
def test_a_column_that_is_not_released_is_named(staged: Path, identity: Identity) -> None:
    spoil(staged / TRIALS, lambda t: t.append_column("run_id", pa.array(["x"] * len(t))))
    seal(staged)
    [fault] = faults(staged, identity)
    assert fault == (
        f"{TRIALS}: its columns are not those declared: it has pyarrow.Field<run_id: string>."
    )


def test_a_column_of_another_type_in_one_task_only_is_named(
    staged: Path, identity: Identity
) -> None:
    spoil(staged / EVALUATIONS, lambda t: t.set_column(3, "step", t["step"].cast(pa.float64())))
    seal(staged)
    [fault] = faults(staged, identity)
    assert fault.startswith(EVALUATIONS)
    assert "step: double" in fault
    assert "step: int64" in fault


def test_a_parquet_file_cut_short_is_named(staged: Path, identity: Identity) -> None:
    content = (staged / STEPS).read_bytes()
    (staged / STEPS).write_bytes(content[: len(content) // 2])
    assert any(
        fault.startswith(f"{STEPS} cannot be read as Parquet") for fault in faults(staged, identity)
    )


# ── Rows ─────────────────────────────────────────────────────────────────────────────────────────
def test_a_trial_that_is_there_twice_is_named(staged: Path, identity: Identity) -> None:
    spoil(staged / TRIALS, twice_the_first)
    seal(staged)
    [fault] = faults(staged, identity)
    assert fault == "trials: more than one row has the trial_id cola11."


@pytest.mark.parametrize(
    ("path", "says"),
    [
        (EVALUATIONS, "evaluations: more than one row is of trial rte11 at step 0."),
        (STEPS, "train_steps: more than one row is of trial cola11 at step 1."),
    ],
)
def test_a_step_that_is_there_twice_is_named(
    staged: Path, identity: Identity, path: str, says: str
) -> None:
    spoil(staged / path, twice_the_first)
    seal(staged)
    assert faults(staged, identity) == [says]


@pytest.mark.parametrize(("path", "table"), [(EVALUATIONS, "evaluations"), (STEPS, "train_steps")])
@pytest.mark.parametrize(
    ("column", "value"), [("trial_id", "nobody"), ("study", "another")], ids=["trial", "study"]
)
def test_a_row_of_no_trial_is_named(
    staged: Path, identity: Identity, path: str, table: str, column: str, value: str
) -> None:
    spoil(staged / path, with_first(column, value))
    seal(staged)
    fault, *_ = faults(staged, identity)
    assert fault.startswith(f"{table}: trials does not have, of that study and task, the trial ")
    assert value in fault


def test_a_row_in_the_file_of_another_task_is_named(staged: Path, identity: Identity) -> None:
    cola = staged / "data/evaluations/task=cola/evaluations.parquet"
    stray = pq.ParquetFile(cola).read().slice(0, 1)
    spoil(cola, lambda t: t.slice(1))
    spoil(staged / EVALUATIONS, lambda t: pa.concat_tables([t, stray]))
    seal(staged)
    assert faults(staged, identity) == [
        "evaluations: a file holds rows of another task than its path says: cola in task=rte."
    ]


def test_many_breaches_are_counted_and_the_first_is_named(staged: Path, identity: Identity) -> None:
    spoil(staged / STEPS, lambda t: pa.concat_tables([t, t]))
    seal(staged)
    assert faults(staged, identity) == [
        "train_steps: more than one row is of trial cola11 at step 1, and 15 more."
    ]


# ── Leaks ────────────────────────────────────────────────────────────────────────────────────────
def test_a_leak_in_any_column_of_text_is_found(staged: Path, identity: Identity) -> None:
    for path, column in TEXT_COLUMNS:
        spoil(staged / path, with_first(column, f"on gpubox: /scratch/{column}/y"))
    seal(staged)
    found = faults(staged, identity)
    for path, column in TEXT_COLUMNS:
        says = (
            f"{path}, column {column}: an absolute path, “/scratch/{column}/y”, "
            "the name of this machine, “gpubox”."
        )
        assert says in found


@pytest.mark.parametrize(
    "metadata",
    [{"pandas": '{"user": "alice"}'}, {"alice": ""}],
    ids=["value", "key"],
)
def test_a_leak_in_the_footer_of_a_table_is_found(
    staged: Path, identity: Identity, metadata: dict[str, str]
) -> None:
    spoil(staged / TRIALS, lambda t: t.replace_schema_metadata(metadata))
    seal(staged)
    [fault] = faults(staged, identity)
    assert fault == f"{TRIALS}, its footer: the name of this user, “alice”."


def test_a_leak_in_the_metadata_of_a_column_is_found(staged: Path, identity: Identity) -> None:
    def change(table: pa.Table) -> pa.Table:
        field = table.schema.field(0).with_metadata({"made": "by alice"})
        return table.cast(table.schema.set(0, field))

    spoil(staged / TRIALS, change)
    seal(staged)
    assert any("its footer: the name of this user" in fault for fault in faults(staged, identity))


@pytest.mark.parametrize("path", ["README.md", "LICENSE", "CITATION.cff"])
def test_a_leak_in_a_text_is_found(staged: Path, identity: Identity, path: str) -> None:
    with (staged / path).open("a", encoding="utf-8") as file:
        file.write("\nhf_" + "aB3" * 10 + " alice@example.org\n")
    seal(staged)
    [fault] = faults(staged, identity, ("seedlings/trials",))
    assert fault == (f"{path}: a key or token, “hf_a…”, an e-mail address, “alice@example.org”.")


def test_a_leak_in_the_manifest_is_found(staged: Path, identity: Identity) -> None:
    facts, _ = read_manifest(staged)
    (staged / "manifest.json").unlink()
    (staged / "SHA256SUMS").unlink()
    write_manifest(staged, facts | {"source": "sqlite:////scratch/mlflow.db"})
    [fault] = faults(staged, identity)
    assert fault == "manifest.json: an address, “sqlite:////scratch/mlflow.db”."


def test_a_leak_in_the_name_of_a_folder_is_found(staged: Path, identity: Identity) -> None:
    for table in ("evaluations", "train_steps"):
        shutil.move(staged / "data" / table / "task=rte", staged / "data" / table / "task=alice")
    seal(staged)
    found = faults(staged, identity)
    assert any(
        fault.startswith("data/evaluations/task=alice/") and "the name of this user" in fault
        for fault in found
    )


def test_a_column_of_leaks_is_shown_in_part_and_counted(staged: Path, identity: Identity) -> None:
    def change(table: pa.Table) -> pa.Table:
        paths = pc.binary_join_element_wise("/scratch/run", table["trial_id"], "/")
        return table.set_column(
            table.schema.get_field_index("device"), table.schema.field("device"), paths
        )

    spoil(staged / TRIALS, change)
    seal(staged)
    [fault] = faults(staged, identity)
    assert fault.count("an absolute path") == 5
    assert fault.endswith(", and 3 more.")


# ── All together ─────────────────────────────────────────────────────────────────────────────────
def test_all_faults_are_told_at_once(staged: Path, identity: Identity) -> None:
    spoil(staged / TRIALS, twice_the_first)
    spoil(staged / STEPS, with_first("study", "alice"))
    with pytest.raises(SeedbedError) as raised:
        check(staged, identity)
    message = str(raised.value)
    assert message.startswith("The release is not fit to be published, for ")
    for part in (
        f"{TRIALS} is not the file that manifest.json describes.",
        "trials: more than one row has the trial_id cola11.",
        "train_steps: trials does not have",
        f"{STEPS}, column study: the name of this user, “alice”.",
    ):
        assert f"\n  - {part}" in message
