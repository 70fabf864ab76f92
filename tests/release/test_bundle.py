"""A warehouse becomes a folder that others load in one line, the same from the same."""

import functools
import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml

from analysis.schema import SORT_KEYS, arrow_schema, released_schema
from analysis.warehouse import Warehouse
from finetune.contract import TABLES
from finetune.errors import SeedbedError
from release.bundle import Bundle, build
from release.leaks import Identity
from release.manifest import read_manifest

MakeWarehouse = Callable[[dict[str, pa.Table]], Warehouse]
MakeTrials = Callable[..., dict[str, pa.Table]]

PARQUET = [
    "data/evaluations/task=cola/evaluations.parquet",
    "data/evaluations/task=rte/evaluations.parquet",
    "data/train_steps/task=cola/train_steps.parquet",
    "data/train_steps/task=rte/train_steps.parquet",
    "data/trials/trials.parquet",
]
TEXTS = ["CHANGELOG.md", "CITATION.cff", "LICENSE", "README.md", "SHA256SUMS", "manifest.json"]


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def card(bundle: Bundle) -> tuple[dict[str, Any], str]:
    """Return the card's YAML and its prose."""
    _, front_matter, prose = (bundle.folder / "README.md").read_text().split("---\n", 2)
    return yaml.safe_load(front_matter), prose


# ── What is in it ────────────────────────────────────────────────────────────────────────────────
def test_the_plan_is_the_folder_as_it_stands(bundle: Bundle) -> None:
    there = contents(bundle.folder)
    assert [file.path for file in bundle.plan()] == [*TEXTS, *PARQUET]
    for file in bundle.plan():
        assert file.bytes == len(there[file.path])
        assert file.sha256 == hashlib.sha256(there[file.path]).hexdigest()
        if file.table:
            assert file.rows == pq.read_metadata(bundle.folder / file.path).num_rows
    assert bundle.bytes == sum(map(len, there.values()))


def test_every_row_of_the_warehouse_is_there(bundle: Bundle, warehouse: Warehouse) -> None:
    assert bundle.rows == {name: warehouse.table(name).num_rows for name in TABLES}
    for name in TABLES:
        parts = [
            pq.ParquetFile(bundle.folder / file.path).read()
            for file in bundle.plan()
            if file.table == name
        ]
        wanted = warehouse.table(name).select(released_schema(name).names)
        wanted = wanted.sort_by([(key, "ascending") for key in SORT_KEYS[name]])
        # As text, for NaN is unlike itself.
        assert str(pa.concat_tables(parts).to_pylist()) == str(wanted.to_pylist())


def test_duckdb_finds_the_losses_that_are_no_numbers(bundle: Bundle, warehouse: Warehouse) -> None:
    (wanted,) = warehouse.query("select count(*) n from train_steps where isnan(loss)")["n"]
    assert wanted.as_py() > 0
    files = f"{bundle.folder}/data/train_steps/*/*.parquet"
    found = duckdb.read_parquet(files).filter("isnan(loss)").count("*").fetchall()
    assert found == [(wanted.as_py(),)]


def test_what_is_not_released_is_nowhere_in_it(bundle: Bundle, warehouse: Warehouse) -> None:
    assert "run-of-mlflow" in warehouse.table("trials")["run_id"].to_pylist()
    columns = set(pq.read_schema(bundle.folder / PARQUET[-1]).names)
    assert columns == {column.name for column in TABLES["trials"] if column.released}
    for content in contents(bundle.folder).values():
        assert b"run-of-mlflow" not in content
        assert b"cache is full" not in content
        assert b"alice" not in content


@pytest.mark.parametrize("path", PARQUET)
def test_parquet_is_laid_out_for_readers_of_a_part(bundle: Bundle, path: str) -> None:
    metadata = pq.read_metadata(bundle.folder / path)
    group = metadata.row_group(0)
    for i in range(metadata.num_columns):
        assert group.column(i).compression == "ZSTD"
        assert group.column(i).has_offset_index
        # Of floats there is none: DuckDB would take its bounds for a promise that no value is NaN.
        assert group.column(i).has_column_index == (group.column(i).physical_type != "DOUBLE")
    names = [group.column(key.column_index).path_in_schema for key in group.sorting_columns]
    assert tuple(names) == SORT_KEYS[Path(path).stem]


def test_row_groups_are_of_50_to_100_thousand_rows(
    tmp_path: Path,
    tables: dict[str, pa.Table],
    make_trials: MakeTrials,
    make_warehouse: MakeWarehouse,
    identity: Identity,
) -> None:
    one = make_trials({"study": "demo", "task": "cola", "status": "finished", "steps": 150_000})
    first = tables["train_steps"].slice(0, 1)
    many = pa.concat_tables([first] * 150_000)
    for i, values in ((0, pa.repeat("t0", 150_000)), (3, pa.array(range(1, 150_001)))):
        many = many.set_column(i, first.schema.field(i), values)
    warehouse = make_warehouse(one | {"train_steps": many})
    bundle = build(warehouse, tmp_path / "bundle", version="1.0.0", identity=identity)
    metadata = pq.read_metadata(bundle.folder / PARQUET[2])
    groups = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
    assert sum(groups) == 150_000
    assert all(50_000 <= rows <= 100_000 for rows in groups[:-1])


def test_the_same_trials_give_the_same_bytes_whatever_their_order(
    bundle: Bundle,
    tmp_path: Path,
    tables: dict[str, pa.Table],
    make_warehouse: MakeWarehouse,
    identity: Identity,
) -> None:
    warehouse = make_warehouse(tables)
    for path in warehouse.folder.rglob("*.parquet"):
        table = pq.ParquetFile(path).read()
        pq.write_table(table.take(pa.array(range(len(table) - 1, -1, -1))), path)
    again = build(
        Warehouse(warehouse.folder),
        tmp_path / "again",
        version="1.2.3",
        repo="seedlings/trials",
        authors=("Doe, Jane", "The Seedlings"),
        identity=identity,
    )
    assert contents(again.folder) == contents(bundle.folder)


def test_a_task_whose_trials_have_no_rows_yet_has_empty_files(
    tmp_path: Path, make_trials: MakeTrials, make_warehouse: MakeWarehouse, identity: Identity
) -> None:
    warehouse = make_warehouse(make_trials({"task": "cola", "status": "failed"}))
    bundle = build(warehouse, tmp_path / "bundle", version="0.1.0", identity=identity)
    assert bundle.rows == {"trials": 1, "evaluations": 0, "train_steps": 0}
    schema = pq.read_schema(bundle.folder / PARQUET[0])
    assert schema.equals(released_schema("evaluations"))


# ── Loading it ───────────────────────────────────────────────────────────────────────────────────
LOAD = """
import datasets, json, sys
loaded = {}
for config in (None, "trials", "evaluations", "train_steps"):
    data = datasets.load_dataset(sys.argv[1], *filter(None, [config]), split="train")
    types = {name: str(feature.dtype) for name, feature in data.features.items()}
    loaded[config or "default"] = data.num_rows, types
print(json.dumps(loaded))
"""


def test_datasets_loads_every_table_whole_with_its_types(bundle: Bundle, tmp_path: Path) -> None:
    # A process, home and cache of its own: `datasets` reads its settings when it is imported, and
    # a warm cache would hide a fault.
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGING"))
    }
    environment |= {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(bundle.folder)],
        env=environment, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    loaded = json.loads(done.stdout.splitlines()[-1])
    for table in TABLES:
        rows, types = loaded[table]
        assert rows == bundle.rows[table]
        assert types == {
            field.name: "timestamp[ms, tz=UTC]" if pa.types.is_timestamp(field.type)
            else {"double": "float64"}.get(str(field.type), str(field.type))
            for field in released_schema(table)
        }  # fmt: skip
    assert loaded["default"] == loaded["trials"]


def test_the_task_in_the_path_is_the_task_in_the_file(bundle: Bundle) -> None:
    for path in PARQUET[:4]:
        table = pq.ParquetFile(bundle.folder / path).read()
        assert f"task={table['task'][0]}/" in path
        assert pc.all(pc.equal(table["task"], table["task"][0])).as_py()


# ── Its card ─────────────────────────────────────────────────────────────────────────────────────
def test_the_card_has_a_configuration_per_table_and_trials_is_the_default(bundle: Bundle) -> None:
    front_matter, _ = card(bundle)
    configs = {config["config_name"]: config for config in front_matter["configs"]}
    assert set(configs) == set(TABLES)
    assert [name for name, config in configs.items() if config.get("default")] == ["trials"]
    matched = []
    for config in configs.values():
        [entry] = config["data_files"]
        assert entry["split"] == "train"
        matched += [p.relative_to(bundle.folder) for p in bundle.folder.glob(entry["path"])]
    assert sorted(map(Path.as_posix, matched)) == PARQUET


def test_the_card_describes_each_released_column_and_no_other(bundle: Bundle) -> None:
    _, prose = card(bundle)
    for table, columns in TABLES.items():
        [section] = re.findall(rf"### `{table}`\n(.*?)(?=\n##)", prose, re.DOTALL)
        described = re.findall(r"^\| `(\w+)` \| (\w+)", section, re.MULTILINE)
        assert described == [(c.name, c.type) for c in columns if c.released]
        for column in columns:
            assert (column.meaning in section) == column.released
            assert f"| {column.unit} |" in section or not column.released


def test_the_card_tells_what_is_missing(bundle: Bundle) -> None:
    _, prose = card(bundle)
    assert bundle.missing == (
        "demo, rte: of the 4 pairs of WI and DO seed, 1 has no trial that is done: (2, 2).",
        "demo, rte: 1 trial failed; curves end there.",
    )
    for sentence in bundle.missing:
        assert f"- {sentence}\n" in prose


def test_the_card_gives_the_spread_over_the_trials_trained_to_their_end(bundle: Bundle) -> None:
    _, prose = card(bundle)
    # rte: 0.61, 0.62 and 0.71; the failed 0.72 does not count. s.d. = √(0.00607 / 3).
    assert "| demo | rte | accuracy | 2 × 2 | 4 | 3 | 0.647 | 0.045 | 0.610 | 0.710 |" in prose


def test_what_no_trial_knows_is_left_out_of_the_card(
    tmp_path: Path, make_trials: MakeTrials, make_warehouse: MakeWarehouse, identity: Identity
) -> None:
    unstarted = make_trials({"study": "s", "task": "cola", "status": "failed"})
    bundle = build(make_warehouse(unstarted), tmp_path / "b", version="0.1.0", identity=identity)
    _, prose = card(bundle)
    assert "| s | cola |  | 1 × 1 | 1 | 0 |  |  |  |  |" in prose
    assert "on: unknown." in prose
    assert "None" not in prose


def test_a_title_cannot_break_the_card(
    tmp_path: Path, warehouse: Warehouse, identity: Identity
) -> None:
    title = 'Trials: "a | b" # c\n- d'
    bundle = build(warehouse, tmp_path / "b", version="1.0.0", title=title, identity=identity)
    front_matter, _ = card(bundle)
    assert front_matter["pretty_name"] == title
    assert set(front_matter) >= {"configs", "license", "size_categories"}


def test_the_citation_names_people_groups_and_the_paper(bundle: Bundle) -> None:
    citation = yaml.safe_load((bundle.folder / "CITATION.cff").read_text())
    assert citation["authors"] == [
        {"family-names": "Doe", "given-names": "Jane"},
        {"name": "The Seedlings"},
    ]
    assert citation["version"] == "1.2.3"
    assert citation["license"] == "CC-BY-4.0"
    assert citation["url"] == "https://huggingface.co/datasets/seedlings/trials"
    assert citation["references"][0]["year"] == 2020


@pytest.mark.parametrize(
    ("licence", "spdx"),
    [("cc-by-4.0", "CC-BY-4.0"), ("odc-by", "ODC-By-1.0"), ("cc0-1.0", "CC0-1.0")],
)
def test_card_citation_and_notice_agree_on_the_licence(
    tmp_path: Path, warehouse: Warehouse, identity: Identity, licence: str, spdx: str
) -> None:
    bundle = build(warehouse, tmp_path / "b", version="1.0.0", licence=licence, identity=identity)
    assert card(bundle)[0]["license"] == licence
    assert yaml.safe_load((bundle.folder / "CITATION.cff").read_text())["license"] == spdx
    assert f"({spdx})" in (bundle.folder / "LICENSE").read_text()


def test_the_manifest_says_what_the_bundle_says(bundle: Bundle) -> None:
    facts, files = read_manifest(bundle.folder)
    assert facts["release"]["version"] == "1.2.3"
    assert facts["release"]["repo"] == "seedlings/trials"
    assert facts["rows"] == bundle.rows
    listed = {file.path for file in files}
    assert listed == {file.path for file in bundle.files} - {"manifest.json", "SHA256SUMS"}
    assert set(files) < set(bundle.files)


def test_the_checksums_are_as_sha256sum_writes_them(bundle: Bundle) -> None:
    lines = (bundle.folder / "SHA256SUMS").read_text().splitlines()
    there = contents(bundle.folder)
    del there["SHA256SUMS"]
    assert lines == [
        f"{hashlib.sha256(content).hexdigest()}  {path}" for path, content in sorted(there.items())
    ]


# ── Refusals ─────────────────────────────────────────────────────────────────────────────────────
def test_all_wrong_arguments_are_told_at_once(tmp_path: Path, warehouse: Warehouse) -> None:
    with pytest.raises(SeedbedError) as raised:
        build(warehouse, tmp_path / "b", version="v1", repo="trials", licence="mine")
    message = str(raised.value)
    assert "the version 'v1' is not of the form 1.0.0" in message
    assert "the repository 'trials' is not of the form owner/name" in message
    assert "the licence 'mine' is none of cc-by-4.0, odc-by, cc0-1.0" in message
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    "repo",
    ["a/b/c", "a/", "/b", "a/b..c", "a/b--c", "a/-b", "a/b.", "a/b.git", "a b/c", "a/" + "b" * 95],
)
def test_a_name_that_the_hub_would_refuse_is_refused(
    tmp_path: Path, warehouse: Warehouse, repo: str
) -> None:
    with pytest.raises(SeedbedError, match="is not of the form owner/name"):
        build(warehouse, tmp_path / "b", version="1.0.0", repo=repo)


@pytest.mark.parametrize("version", ["1", "1.0", "v1.0.0", "1.0.0rc1", "01.0.0", "1.0.0\n", ""])
def test_a_version_that_is_none_is_refused(
    tmp_path: Path, warehouse: Warehouse, version: str
) -> None:
    with pytest.raises(SeedbedError, match=r"is not of the form 1\.0\.0"):
        build(warehouse, tmp_path / "b", version=version)


def test_a_warehouse_without_trials_is_refused(
    tmp_path: Path, make_trials: MakeTrials, make_warehouse: MakeWarehouse
) -> None:
    folder = make_warehouse(make_trials({"task": "cola"})).folder
    pq.write_table(arrow_schema("trials").empty_table(), folder / "trials.parquet")
    with pytest.raises(SeedbedError, match="has no trials to release"):
        build(Warehouse(folder), tmp_path / "b", version="1.0.0")


def test_a_task_that_cannot_be_a_folder_is_refused(
    tmp_path: Path, make_trials: MakeTrials, make_warehouse: MakeWarehouse
) -> None:
    warehouse = make_warehouse(make_trials({"task": "../x"}, {"task": "fine"}))
    with pytest.raises(SeedbedError, match=r"The tasks '\.\./x' cannot be released"):
        build(warehouse, tmp_path / "b", version="1.0.0")


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path, warehouse: Warehouse) -> None:
    (tmp_path / "thesis.tex").write_text("years of work", encoding="utf-8")
    for folder in (tmp_path, tmp_path / "thesis.tex", warehouse.folder):
        before = contents(tmp_path)
        with pytest.raises(SeedbedError, match="is there already and is not a staged release"):
            build(warehouse, folder, version="1.0.0")
        assert contents(tmp_path) == before


def test_a_release_that_fails_its_checks_leaves_the_earlier_one(
    tmp_path: Path,
    tables: dict[str, pa.Table],
    warehouse: Warehouse,
    make_warehouse: MakeWarehouse,
    identity: Identity,
) -> None:
    build(warehouse, tmp_path / "b", version="1.0.0", identity=identity)
    before = contents(tmp_path)
    i = arrow_schema("trials").get_field_index("device")
    leaky = tables["trials"].set_column(
        i, tables["trials"].schema.field(i), pa.array(["gpubox:0"] * len(tables["trials"]))
    )
    with pytest.raises(SeedbedError, match="column device: the name of this machine"):
        build(
            make_warehouse(tables | {"trials": leaky}),
            tmp_path / "b",
            version="1.0.1",
            identity=identity,
        )
    assert contents(tmp_path) == before


def test_what_was_reviewed_goes_out(
    tmp_path: Path, warehouse: Warehouse, identity: Identity
) -> None:
    stage = functools.partial(
        build, warehouse, tmp_path / "b", version="1.0.0", title="On gpubox", identity=identity
    )
    with pytest.raises(SeedbedError, match="“gpubox”"):
        stage()
    stage(reviewed=("On gpubox",))


def test_rows_of_a_task_without_trials_are_not_lost_but_told(
    tmp_path: Path, tables: dict[str, pa.Table], make_warehouse: MakeWarehouse, identity: Identity
) -> None:
    cola = tables["trials"].filter(pc.field("task") == "cola")
    with pytest.raises(SeedbedError, match="trials does not have, of that study and task"):
        build(
            make_warehouse(tables | {"trials": cola}),
            tmp_path / "b",
            version="1.0.0",
            identity=identity,
        )


def test_the_trials_of_a_release_are_not_released_again(tmp_path: Path, bundle: Bundle) -> None:
    with pytest.raises(SeedbedError, match="are a release already, 'Fine-tuning trials: demo'"):
        build(Warehouse(bundle.folder), tmp_path / "b", version="1.0.0")


def test_an_earlier_release_is_replaced_whole(
    tmp_path: Path, warehouse: Warehouse, bundle: Bundle, identity: Identity
) -> None:
    folder = tmp_path / "b"
    build(warehouse, folder, version="1.0.0", identity=identity)
    (folder / "left over.txt").write_text("", encoding="utf-8")
    again = build(warehouse, folder, version="1.0.1", identity=identity)
    assert set(contents(folder)) == {file.path for file in again.files}
