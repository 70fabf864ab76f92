"""Whether a staged release is fit to be published; it is not until every check has passed.

All faults are found before any is reported. What the checks read is the folder itself, not what it
was made from: they hold for what would go out.
"""

import base64
import glob
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from analysis.schema import released_schema
from analysis.warehouse import Warehouse
from finetune.contract import TABLES
from finetune.errors import SeedbedError
from release.counts import Recorded, unlike_the_export, unlike_the_store
from release.coverage import TRIALS_OF_GRIDS, coverage_of
from release.errors import CheckFailedError
from release.laws import broken
from release.layout import CARD, CHECKSUMS, FIGURE, MANIFEST, TEXTS, table_of
from release.leaks import Identity, Leak, leaks, leaks_in_bytes
from release.manifest import ReleasedFile, read_checksums, read_manifest


def check(folder: Path, identity: Identity, reviewed: Sequence[str] = ()) -> None:
    """Do nothing where a staged release is fit to be published.

    Args:
        folder: the staged release.
        identity: the user and machine that must not be named in it.
        reviewed: strings that a person has looked at and that may stand in it, whatever they are.

    Raises:
        CheckFailedError: naming every fault that was found.
    """
    _refuse(faults(folder, identity, reviewed))


def _refuse(found: Sequence[str]) -> None:
    if found:
        many = "a fault" if len(found) == 1 else f"{len(found)} faults"
        lines = "".join(f"\n  - {fault}" for fault in found)
        raise CheckFailedError(f"The release is not fit to be published, for {many}:{lines}")


def check_counts(
    warehouse: Warehouse, rows: Mapping[str, int], recorded: Sequence[Recorded]
) -> None:
    """Do nothing where a release holds as much as was exported, and that is what the store has.

    Args:
        warehouse: that it is made of.
        rows: of each of its tables.
        recorded: what the tracking store has, where that is known.

    Raises:
        CheckFailedError: naming every number that is wrong.
    """
    _refuse([*unlike_the_export(warehouse, rows), *unlike_the_store(warehouse, recorded)])


def faults(folder: Path, identity: Identity, reviewed: Sequence[str] = ()) -> list[str]:
    """Return, a sentence each, why a staged release must not be published."""
    paths = sorted(path.relative_to(folder).as_posix() for path in _files(folder))
    found = [*_foreign_files(folder, paths), *_schema_faults(folder, paths)]
    if not found:
        # Only of files that are what they should be can the rest be asked.
        found += [*_manifest_faults(folder, paths), *_row_faults(folder, paths)]
    found += _figure_faults(folder, paths)
    return [*found, *_leak_faults(folder, paths, identity, reviewed)]


# ── Files ────────────────────────────────────────────────────────────────────────────────────────
def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())


def _foreign_files(folder: Path, paths: Sequence[str]) -> Iterator[str]:
    """Yield a fault per file that has no place in a release, or is missing from it."""
    for path in paths:
        if (folder / path).is_symlink():
            yield f"{path} is a link; a release holds plain files."
        elif path not in TEXTS and table_of(path) is None and not FIGURE.fullmatch(path):
            yield f"{path} has no place in a release; take it out."
    for path in TEXTS:
        if path not in paths:
            yield f"{path} is missing."
    for table in TABLES:
        if not any(table_of(path) == table for path in paths):
            yield f"There is no file of the table {table}."


def _schema_faults(folder: Path, paths: Sequence[str]) -> Iterator[str]:
    """Yield a fault per Parquet file that cannot be read or has other columns than it should."""
    for path in paths:
        table = table_of(path)
        if table is None or (folder / path).is_symlink():
            continue
        try:
            schema = pq.read_schema(folder / path)
        except (pa.ArrowException, OSError) as error:
            yield f"{path} cannot be read as Parquet: {str(error).splitlines()[0]}"
            continue
        declared = released_schema(table)
        if schema.equals(declared, check_metadata=False):
            continue
        fields, wanted = list(schema), list(declared)
        unlike = [f"has {field}" for field in fields if field not in wanted]
        lacking = [f"lacks {field}" for field in wanted if field not in fields]
        said = ", ".join([*unlike, *lacking]) or "has them in another order"
        yield f"{path}: its columns are not those declared: it {said}."


def _figure_faults(folder: Path, paths: Sequence[str]) -> Iterator[str]:
    """Yield a fault per figure that is no PNG, or holds more than a picture."""
    for path in paths:
        if FIGURE.fullmatch(path) and not (folder / path).is_symlink():
            more = sorted(_chunks((folder / path).read_bytes()) - _OF_A_PICTURE)
            if more:
                yield f"{path} holds more than a picture: {', '.join(more)}."


_OF_A_PICTURE = {"IHDR", "PLTE", "tRNS", "sRGB", "gAMA", "pHYs", "IDAT", "IEND"}
"""Chunks of a PNG that say how it looks; others hold texts, times, profiles, cameras."""


def _chunks(content: bytes) -> set[str]:
    """Return the kinds of chunk of a PNG, and whatever else is in the file."""
    if not content.startswith(_PNG):
        return {"it is no PNG"}
    kinds, at = set(), len(_PNG)
    while "IEND" not in kinds and at + 12 <= len(content):
        kinds.add(content[at + 4 : at + 8].decode("ascii", errors="replace"))
        at += 12 + int.from_bytes(content[at : at + 4])
    if at != len(content) or "IEND" not in kinds:
        kinds.add("bytes that are no chunk")
    return kinds


_PNG = b"\x89PNG\r\n\x1a\n"


def _manifest_faults(folder: Path, paths: Sequence[str]) -> Iterator[str]:
    """Yield a fault per file that is not what the manifest and the checksums say."""
    try:
        _, files = read_manifest(folder)
    except SeedbedError:
        yield f"{MANIFEST} cannot be read as a release's."
        return
    listed = {file.path: file for file in files}
    checksums = read_checksums(folder)
    for name, named, expected in (
        (MANIFEST, set(listed), set(paths) - {MANIFEST, CHECKSUMS}),
        (CHECKSUMS, set(checksums), set(paths) - {CHECKSUMS}),
    ):
        for path in sorted(named ^ expected):
            yield f"{name} {'names' if path in named else 'does not name'} {path}."
    for path in paths:
        file = ReleasedFile.at(folder, path)
        if path in listed and listed[path] != file:
            yield f"{path} is not the file that {MANIFEST} describes."
        if path in checksums and checksums[path] != file.sha256:
            yield f"{path} does not have the checksum that {CHECKSUMS} says."


# ── Rows ─────────────────────────────────────────────────────────────────────────────────────────
def _row_faults(folder: Path, paths: Sequence[str]) -> Iterator[str]:
    """Yield a fault per law of the rows that is broken, and per hole that the manifest hides."""
    with duckdb.connect(config={"autoinstall_known_extensions": False}) as connection:
        for table in TABLES:
            # A name with a bracket in it would be taken for a pattern.
            files = [glob.escape(str(folder / path)) for path in paths if table_of(path) == table]
            # The task is to be read from the rows, not from the path, so that they can differ.
            rows = connection.read_parquet(files, hive_partitioning=False, filename=True)
            rows.create_view(table)
        found = list(broken(connection))
        # Only of rows that are what they should be can holes be told.
        yield from found or _hidden_holes(folder, connection)


def _hidden_holes(folder: Path, connection: duckdb.DuckDBPyConnection) -> Iterator[str]:
    """Yield a fault per grid of which manifest or card do not say what is missing."""
    answer: pa.Table = connection.sql(TRIALS_OF_GRIDS).to_arrow_table()
    try:
        facts, _ = read_manifest(folder)
    except SeedbedError:  # a fault of its own
        return
    said = {(grid["study"], grid["task"]): grid for grid in facts.get("grids", ())}
    card = " ".join((folder / CARD).read_text(encoding="utf-8").split())
    for found in coverage_of(answer.to_pylist()):
        grid = said.get((found.study, found.task), {})
        holes = {tuple(pair) for pair in grid.get("holes", ())}
        if grid.get("statuses") != found.statuses or not set(found.holes) <= holes:
            yield f"{MANIFEST} does not say which trials of {found.title} are there."
        lacking = [sentence for sentence in found.shortfalls() if sentence not in card]
        if lacking and holes == set(found.holes):
            yield f"{CARD} does not say what is missing: {lacking[0]}"


# ── Leaks ────────────────────────────────────────────────────────────────────────────────────────
def _leak_faults(
    folder: Path, paths: Sequence[str], identity: Identity, reviewed: Sequence[str]
) -> Iterator[str]:
    """Yield a fault per place that says what must not be published."""
    for path in paths:
        told: set[Leak] = set()
        for place, found in _leaks_of(folder / path, identity, reviewed):
            # The path is searched too: a folder may be called after a person.
            here = dict.fromkeys((*leaks(path, identity, reviewed), *found))
            # The bytes of a file say again what its columns say, and may cut it elsewhere.
            new = [leak for leak in here if place != _BYTES or not _is_among(leak, told)]
            told.update(new)
            if new:
                shown = ", ".join(map(str, new[:_LEAKS_SHOWN]))
                more = len(new) - _LEAKS_SHOWN
                yield f"{path}{place}: {shown}{f', and {more} more' if more > 0 else ''}."


_BYTES = ", its bytes"


def _is_among(leak: Leak, told: Iterable[Leak]) -> bool:
    return any(leak.text in other.text or other.text in leak.text for other in told)


_LEAKS_SHOWN = 5
"""Of one column or file; a column of paths has a fault in every row."""


def _leaks_of(
    path: Path, identity: Identity, reviewed: Sequence[str]
) -> Iterator[tuple[str, list[Leak]]]:
    """Yield each place within a file, and the leaks there."""

    def among(texts: Iterable[str]) -> list[Leak]:
        return list(
            dict.fromkeys(leak for text in texts for leak in leaks(text, identity, reviewed))
        )

    if path.is_symlink():
        yield "", among([str(path.readlink())])
        return
    content = path.read_bytes()
    if path.suffix == ".parquet" and (parquet := _opened(path)) is not None:
        pairs = dict(parquet.metadata.metadata or {})
        # Arrow's own copy of the schema stands in base64, in which nothing can be read.
        schema = pairs.get(b"ARROW:schema", b"")
        pairs[b"ARROW:schema"] = base64.b64decode(schema)
        yield ", its footer", among(_footer(parquet, pairs))
        for field in parquet.schema_arrow:
            if not _is_number(field.type):
                yield f", column {field.name}", among(_values(parquet, field))
        bare = content.replace(schema, b"") if schema else content
        yield _BYTES, [*among(_bounds(parquet)), *leaks_in_bytes(bare, identity, reviewed)]
    elif path.suffix in (".parquet", ".png"):
        yield _BYTES, leaks_in_bytes(content, identity, reviewed)
    else:
        yield "", among([content.decode("utf-8", errors="replace")])


def _opened(path: Path) -> pq.ParquetFile | None:
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError):
        return None


def _is_number(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_primitive(kind) or types.is_temporal(kind))


def _values(parquet: pq.ParquetFile, field: pa.Field) -> list[str]:
    """Return what stands in a column, each value once where that can be told."""
    values = parquet.read(columns=[field.name])[field.name].drop_null()
    if pa.types.is_string(field.type):
        values = values.unique()
    return [str(value) for value in values.to_pylist()]


def _footer(parquet: pq.ParquetFile, pairs: Mapping[bytes, bytes]) -> list[str]:
    """Return the words of a footer: who wrote it, names of columns, key-value metadata."""
    words = [run.decode() for text in chain(*pairs.items()) for run in _PRINTABLE.findall(text)]
    return [parquet.metadata.created_by or "", *parquet.schema_arrow.names, *words]


def _bounds(parquet: pq.ParquetFile) -> list[str]:
    """Return the lowest and highest value of each column of text, by row group."""
    metadata = parquet.metadata
    groups = (metadata.row_group(i) for i in range(metadata.num_row_groups))
    columns = (group.column(j) for group in groups for j in range(metadata.num_columns))
    bounds = (column.statistics for column in columns if column.physical_type == "BYTE_ARRAY")
    return [str(text) for each in bounds if each is not None for text in (each.min, each.max)]


_PRINTABLE = re.compile(rb"[\x20-\x7e]{3,}")
