"""Whether a staged release is fit to be published; it is not until every check has passed.

All faults are found before any is reported. What the checks read is the folder itself, not what it
was made from: they hold for what would go out.
"""

import base64
import glob
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from analysis.schema import released_schema
from finetune.contract import TABLES
from finetune.errors import SeedbedError
from release.layout import CHECKSUMS, MANIFEST, PARTITIONED, TASK_NAME, TEXTS, table_of
from release.leaks import Identity, leaks
from release.manifest import ReleasedFile, read_checksums, read_manifest


def check(folder: Path, identity: Identity, reviewed: Sequence[str] = ()) -> None:
    """Do nothing where a staged release is fit to be published.

    Args:
        folder: the staged release.
        identity: the user and machine that must not be named in it.
        reviewed: strings that a person has looked at and that may stand in it, whatever they are.

    Raises:
        SeedbedError: naming every fault that was found.
    """
    found = faults(folder, identity, reviewed)
    if found:
        many = "a fault" if len(found) == 1 else f"{len(found)} faults"
        lines = "".join(f"\n  - {fault}" for fault in found)
        raise SeedbedError(f"The release is not fit to be published, for {many}:{lines}")


def faults(folder: Path, identity: Identity, reviewed: Sequence[str] = ()) -> list[str]:
    """Return, a sentence each, why a staged release must not be published."""
    paths = sorted(path.relative_to(folder).as_posix() for path in _files(folder))
    found = [*_foreign_files(folder, paths), *_schema_faults(folder, paths)]
    if not found:
        # Only of files that are what they should be can the rest be asked.
        found += [*_manifest_faults(folder, paths), *_row_faults(folder, paths)]
    return [*found, *_leak_faults(folder, paths, identity, reviewed)]


# ── Files ────────────────────────────────────────────────────────────────────────────────────────
def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())


def _foreign_files(folder: Path, paths: Sequence[str]) -> Iterator[str]:
    """Yield a fault per file that has no place in a release, or is missing from it."""
    for path in paths:
        if (folder / path).is_symlink():
            yield f"{path} is a link; a release holds plain files."
        elif path not in TEXTS and table_of(path) is None:
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
@dataclass(frozen=True)
class _Rule:
    """A law of the rows: the query finds the breaches, each as one line of text."""

    breaches: str
    says: str


def _rules() -> Iterator[_Rule]:
    yield _Rule(
        "select trial_id from trials group by trial_id having count(*) > 1",
        "trials: more than one row has the trial_id",
    )
    for table in PARTITIONED:
        yield _Rule(
            f"select format('{{}} at step {{}}', trial_id, step) from {table} "  # noqa: S608
            "group by trial_id, step having count(*) > 1",
            f"{table}: more than one row is of trial",
        )
        yield _Rule(
            "select distinct format('{} of {}, {}', trial_id, study, task) "  # noqa: S608
            f"from {table} anti join trials using (trial_id, study, task)",
            f"{table}: trials does not have, of that study and task, the trial",
        )
        yield _Rule(
            "select distinct format('{} in task={}', task, path_task) "  # noqa: S608
            f"from (select *, {_PATH_TASK} as path_task from {table}) where task <> path_task",
            f"{table}: a file holds rows of another task than its path says:",
        )


_PATH_TASK = f"regexp_extract(filename, '/task=({TASK_NAME.pattern})/[^/]*$', 1)"


def _row_faults(folder: Path, paths: Sequence[str]) -> Iterator[str]:
    """Yield a fault per law of the rows that is broken: keys, and rows in the wrong file."""
    with duckdb.connect() as connection:
        for table in TABLES:
            # A name with a bracket in it would be taken for a pattern.
            files = [glob.escape(str(folder / path)) for path in paths if table_of(path) == table]
            # The task is to be read from the rows, not from the path, so that they can differ.
            rows = connection.read_parquet(files, hive_partitioning=False, filename=True)
            rows.create_view(table)
        for rule in _rules():
            sql = f"select count(*), min(breach) from ({rule.breaches}) as breaches(breach)"  # noqa: S608
            [(many, first)] = connection.execute(sql).fetchall()
            if many:
                more = f", and {many - 1:,} more" if many > 1 else ""
                yield f"{rule.says} {first}{more}."


# ── Leaks ────────────────────────────────────────────────────────────────────────────────────────
def _leak_faults(
    folder: Path, paths: Sequence[str], identity: Identity, reviewed: Sequence[str]
) -> Iterator[str]:
    """Yield a fault per place that says what must not be published."""
    for path in paths:
        for place, texts in _texts(folder / path):
            # The path is searched too: a folder may be called after a person.
            found = dict.fromkeys(
                leak for text in (path, *texts) for leak in leaks(text, identity, reviewed)
            )
            if found:
                shown = ", ".join(map(str, list(found)[:_LEAKS_SHOWN]))
                more = len(found) - _LEAKS_SHOWN
                yield f"{path}{place}: {shown}{f', and {more} more' if more > 0 else ''}."


_LEAKS_SHOWN = 5
"""Of one column or file; a column of paths has a fault in every row."""


def _texts(path: Path) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield all that a file says in words: the place within it, and the words there."""
    if path.is_symlink():
        yield "", [str(path.readlink())]
    elif path.suffix == ".parquet" and (parquet := _opened(path)) is not None:
        yield ", its footer", _footer(parquet)
        for field in parquet.schema_arrow:
            if not _is_number(field.type):
                values = parquet.read(columns=[field.name])[field.name].drop_null()
                if pa.types.is_string(field.type):
                    values = values.unique()
                yield f", column {field.name}", [str(value) for value in values.to_pylist()]
    else:
        yield "", [path.read_bytes().decode("utf-8", errors="replace")]


def _opened(path: Path) -> pq.ParquetFile | None:
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError):
        return None


def _is_number(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_primitive(kind) or types.is_temporal(kind))


def _footer(parquet: pq.ParquetFile) -> list[str]:
    """Return the words of a Parquet file's footer: who wrote it, names, key-value metadata."""
    metadata = parquet.metadata
    pairs = dict(metadata.metadata or {})
    # Arrow's own copy of the schema stands in base64, in which nothing can be read.
    pairs[b"ARROW:schema"] = base64.b64decode(pairs.get(b"ARROW:schema", b""))
    words = [run.decode() for text in chain(*pairs.items()) for run in _PRINTABLE.findall(text)]
    return [metadata.created_by or "", *parquet.schema_arrow.names, *words]


_PRINTABLE = re.compile(rb"[\x20-\x7e]{3,}")
