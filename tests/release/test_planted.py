"""A secret of each kind, planted in each place of a release, is found and keeps it in."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.schema import released_schema
from analysis.warehouse import Warehouse
from finetune.contract import TABLES
from release.bundle import build
from release.card import Figure
from release.checks import _leak_faults, check
from release.errors import CheckFailedError
from release.leaks import Identity

SECRETS = {
    "a key or token": "hf_" + "aB3" * 10,
    "a password": "postgresql://mlflow:hunter2@db/mlflow",
    "an e-mail address": "jane.doe@example.org",
    "a network address": "10.0.12.7",
    "an absolute path": "/scratch/bob/run7/model.bin",
    "an address": "http://tracking:5000",
    "a folder of this machine": "/home/alice/cache",
    "the name of this user": "alice",
    "the name of this machine": "gpubox.lab.example",
}

TRIALS = "data/trials/trials.parquet"
FIGURE = "figures/one.png"

Plant = Callable[[Path, str], str]
"""Plants a text in a release's folder, and returns the path of the file where it now stands."""


def in_text(path: str) -> Plant:
    def plant(folder: Path, text: str) -> str:
        with (folder / path).open("a", encoding="utf-8") as file:
            file.write(f"\nIt was made with {text} at hand.\n")
        return path

    return plant


def in_column(table: str, column: str) -> Plant:
    def plant(folder: Path, text: str) -> str:
        path = next((folder / "data" / table).rglob("*.parquet"))
        rows = pq.ParquetFile(path).read()
        i = rows.schema.get_field_index(column)
        values = [f"OSError: with {text} at hand", *rows[column].to_pylist()[1:]]
        pq.write_table(rows.set_column(i, rows.schema.field(i), pa.array(values)), path)
        return path.relative_to(folder).as_posix()

    return plant


def in_footer(metadata: Callable[[str], dict[str, str]]) -> Plant:
    def plant(folder: Path, text: str) -> str:
        rows = pq.ParquetFile(folder / TRIALS).read()
        pq.write_table(rows.replace_schema_metadata(metadata(text)), folder / TRIALS)
        return TRIALS

    return plant


def in_field_metadata(folder: Path, text: str) -> str:
    rows = pq.ParquetFile(folder / TRIALS).read()
    field = rows.schema.field(0).with_metadata({"made": f"with {text} at hand"})
    pq.write_table(rows.cast(rows.schema.set(0, field)), folder / TRIALS)
    return TRIALS


def between_pages_and_footer(folder: Path, text: str) -> str:
    content = (folder / TRIALS).read_bytes()
    footer = 8 + int.from_bytes(content[-8:-4], "little")
    planted = b"\0\0" + f"made with {text} at hand".encode() + b"\0"
    (folder / TRIALS).write_bytes(content[:-footer] + planted + content[-footer:])
    assert pq.ParquetFile(folder / TRIALS).read().num_rows == 8
    return TRIALS


def chunk(kind: bytes, content: bytes) -> bytes:
    crc = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc)


def picture(*more: bytes) -> bytes:
    """Return a PNG of one pixel, with chunks put in."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    pixel = chunk(b"IDAT", zlib.compress(b"\0\0"))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(more) + pixel + chunk(b"IEND", b"")


def in_picture(folder: Path, text: str) -> str:
    (folder / "figures").mkdir(exist_ok=True)
    words = f"Comment\0made with {text} at hand".encode()
    (folder / FIGURE).write_bytes(picture(chunk(b"tEXt", words)))
    return FIGURE


def in_name_of_folder(folder: Path, text: str) -> str:
    path = f"data/evaluations/task={text.replace('/', '_')}/evaluations.parquet"
    (folder / path).parent.mkdir(parents=True)
    (folder / path).write_bytes((folder / TRIALS).read_bytes())
    return path


PLACES: dict[str, Plant] = {
    **{name: in_text(name) for name in
       ("README.md", "LICENSE", "CITATION.cff", "CHANGELOG.md", "manifest.json", "SHA256SUMS")},
    **{f"{table}.{field.name}": in_column(table, field.name)
       for table in TABLES for field in released_schema(table) if pa.types.is_string(field.type)},
    "value of a footer": in_footer(lambda text: {"pandas": f"with {text} at hand"}),
    "key of a footer": in_footer(lambda text: {f"with {text} at hand": ""}),
    "metadata of a column": in_field_metadata,
    "between pages and footer": between_pages_and_footer,
    "a picture": in_picture,
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_a_secret_of_each_kind_is_found_where_it_is_planted(
    staged: Path, identity: Identity, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setattr("release.checks._LEAKS_SHOWN", len(SECRETS))
    path = PLACES[place](staged, ", ".join(SECRETS.values()))
    [*faults] = _leak_faults(staged, [path], identity, ("seedlings/trials", "Jane"))
    said = " ".join(faults)
    assert not [kind for kind in SECRETS if kind not in said]
    assert all(fault.startswith(path) for fault in faults)
    for kind in ("a key or token", "a password"):
        assert SECRETS[kind] not in said


@pytest.mark.parametrize("kind", ["a key or token", "the name of this user", "an e-mail address"])
def test_the_name_of_a_folder_is_searched(staged: Path, identity: Identity, kind: str) -> None:
    path = in_name_of_folder(staged, SECRETS[kind])
    assert any(kind in fault for fault in _leak_faults(staged, [path], identity, ()))


@pytest.mark.parametrize("place", ["README.md", "trials.device", "value of a footer", "a picture"])
def test_a_release_with_a_secret_does_not_go_out(
    staged: Path, identity: Identity, place: str
) -> None:
    PLACES[place](staged, SECRETS["a key or token"])
    with pytest.raises(CheckFailedError, match="a key or token"):
        check(staged, identity, ("seedlings/trials",))


def test_errors_and_ids_of_runs_do_not_go_in_at_all(
    tables: dict[str, pa.Table],
    make_warehouse: Callable[[dict[str, pa.Table]], Warehouse],
    tmp_path: Path,
    identity: Identity,
) -> None:
    trials, everything = tables["trials"], " ".join(SECRETS.values())
    for column in ("error", "run_id"):
        i = trials.schema.get_field_index(column)
        planted = pa.repeat(f"OSError: {everything}", len(trials))
        trials = trials.set_column(i, trials.schema.field(i), planted)
    bundle = build(
        make_warehouse(tables | {"trials": trials}),
        tmp_path / "bundle",
        version="1.0.0",
        identity=identity,
    )
    for path in bundle.folder.rglob("*"):
        if path.is_file():
            assert not [s for s in SECRETS.values() if s.encode() in path.read_bytes()], path


# ── Figures ──────────────────────────────────────────────────────────────────────────────────────
def test_a_picture_that_is_only_one_goes_out(
    warehouse: Warehouse, tmp_path: Path, identity: Identity
) -> None:
    figure = Figure("one", picture(), "One [dot]", "It is a dot.")
    bundle = build(
        warehouse, tmp_path / "b", version="1.0.0", draw=lambda _: [figure], identity=identity
    )
    card = (bundle.folder / "README.md").read_text()
    assert "![One \\[dot\\]](figures/one.png)\n\n*One [dot].* It is a dot.\n" in card
    assert (bundle.folder / "figures" / "one.png").read_bytes() == picture()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"GIF89a", "it is no PNG"),
        (picture(chunk(b"tIME", b"\0" * 7)), "tIME"),
        (picture(chunk(b"zTXt", b"Comment\0\0")), "zTXt"),
        (picture() + b"more", "bytes that are no chunk"),
        (picture()[:-5], "bytes that are no chunk"),
    ],
)
def test_a_picture_that_is_more_is_refused(
    warehouse: Warehouse, tmp_path: Path, identity: Identity, content: bytes, says: str
) -> None:
    figure = Figure("one", content, "One", "It is a dot.")
    with pytest.raises(CheckFailedError, match=rf"one\.png holds more than a picture: .*{says}"):
        build(warehouse, tmp_path / "b", version="1.0.0", draw=lambda _: [figure],
              identity=identity)  # fmt: skip
