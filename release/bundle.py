"""The bundle: a release staged in a folder, ready to be published, and nothing published yet.

    bundle/
        README.md       the card: for the Hub and for people
        LICENSE  CITATION.cff  CHANGELOG.md
        manifest.json   every file with its size, checksum and rows
        SHA256SUMS
        figures/        those of the card
        data/trials/trials.parquet
        data/evaluations/task=<task>/evaluations.parquet
        data/train_steps/task=<task>/train_steps.parquet

Only columns that the contract marks as released go in. The same warehouse gives the same bytes, so
that a release made again is no new release. The task stands in the path and in the file, because
`datasets` reads only the file.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

import finetune
from analysis.schema import SORT_KEYS, columns_with_statistics, released_schema
from analysis.warehouse import Warehouse
from finetune.contract import SCHEMA_VERSION, TABLES
from finetune.errors import SeedbedError
from finetune.files import replacing_folder
from release.card import Facts, Figure, render_card, render_citation, render_licence
from release.changelog import render_changelog
from release.checks import check, check_counts
from release.counts import Recorded, left_out
from release.coverage import Coverage, coverage
from release.layout import (
    CARD,
    CHANGELOG,
    CITATION,
    LICENCE,
    PARTITIONED,
    TASK_NAME,
    data_glob,
    data_path,
    is_repo,
)
from release.leaks import Identity
from release.licences import LICENCES
from release.manifest import ReleasedFile, read_manifest, write_manifest


@dataclass(frozen=True)
class Bundle:
    """A release that has been staged and has passed its checks.

    Attributes:
        folder: where it stands.
        facts: its names, version and licence.
        coverages: which trials it holds of each study's task.
        missing: a sentence each, what is missing or unlike: holes in grids, failed trials.
        files: all of its files, by path.
    """

    folder: Path
    facts: Facts
    coverages: tuple[Coverage, ...]
    missing: tuple[str, ...]
    files: tuple[ReleasedFile, ...]

    @property
    def bytes(self) -> int:
        """The size of all files together."""
        return sum(file.bytes for file in self.files)

    @property
    def rows(self) -> dict[str, int]:
        """How many rows each table has."""
        return {
            table: sum(file.rows or 0 for file in self.files if file.table == table)
            for table in TABLES
        }

    def plan(self) -> tuple[ReleasedFile, ...]:
        """Return what would be published, by path: the texts first, then the tables."""
        return tuple(sorted(self.files, key=lambda file: (file.table is not None, file.path)))


def build(
    warehouse: Warehouse,
    folder: Path,
    *,
    version: str,
    repo: str | None = None,
    title: str | None = None,
    authors: Sequence[str] = (),
    licence: str = "cc-by-4.0",
    draw: Callable[[Warehouse], Sequence[Figure]] = lambda _: (),
    changes: Sequence[str] = (),
    earlier_changelog: str | None = None,
    recorded: Sequence[Recorded] = (),
    reviewed: Sequence[str] = (),
    identity: Identity | None = None,
) -> Bundle:
    """Stage a release of all that a warehouse holds, and check it.

    Args:
        warehouse: the trials.
        folder: where to; an earlier bundle that stands there is replaced, once the new one has
            passed every check.
        version: `major.minor.patch`; major for another schema, minor for more trials, patch for
            another card.
        repo: `owner/name` on the Hub, where that is known.
        title: what the data set is called; by default after its studies.
        authors: people as "Family, Given", or names of groups; by default the repository's owner.
        licence: one of `release.licences.LICENCES`.
        draw: makes the figures of the card.
        changes: what is new in this version, a sentence each, for the changelog.
        earlier_changelog: as it was published last, where it was.
        recorded: what the tracking store has, to be compared with the warehouse, where that is
            known.
        reviewed: strings that a person has looked at and that may be published although they look
            like a name, a path, an address or a key.
        identity: the user and machine that must not be named; by default this process's.

    Raises:
        SeedbedError: where an argument is wrong, there are no trials, or something else stands at
            `folder`. What stood at `folder` is untouched, here as below.
        CheckFailedError: where the release is not fit to be published.
    """
    _check_arguments(version, repo, licence)
    _check_contents(warehouse)
    _check_replaceable(folder)
    facts = Facts(
        title=title or f"Fine-tuning trials: {', '.join(warehouse.studies())}",
        version=version,
        repo=repo,
        licence=LICENCES[licence],
        authors=tuple(authors) or ((repo.partition("/")[0],) if repo else ("Unnamed authors",)),
    )
    coverages = coverage(warehouse, recorded)
    missing = [*left_out(warehouse), *(s for each in coverages for s in each.shortfalls())]

    with replacing_folder(folder) as beside:
        rows = dict(_write_tables(warehouse, beside))
        check_counts(warehouse, rows, recorded)
        figures = draw(warehouse)
        for figure in figures:
            (beside / figure.path).parent.mkdir(exist_ok=True)
            (beside / figure.path).write_bytes(figure.png)
        texts = {
            CARD: render_card(facts, warehouse, coverages, missing, rows, _sizes(beside), figures),
            CITATION: render_citation(facts),
            LICENCE: render_licence(facts),
            CHANGELOG: render_changelog(version, changes, coverages, earlier_changelog),
        }
        for path, text in texts.items():
            (beside / path).write_text(text, encoding="utf-8")
        files = write_manifest(beside, _manifest_facts(facts, rows, coverages))
        check(
            beside,
            identity or Identity.here(),
            (*([repo] if repo else []), *facts.authors, *reviewed),
        )
    return Bundle(folder, facts, coverages, tuple(missing), files)


# ── Tables ───────────────────────────────────────────────────────────────────────────────────────
_ROWS_PER_GROUP = 65_536
"""Of a Parquet row group: the Hub's viewer reads whole groups, and advises 50 to 100 thousand."""


def _write_tables(warehouse: Warehouse, folder: Path) -> Iterator[tuple[str, int]]:
    """Write all tables' files; yield each table's name and rows."""
    tasks = _tasks(warehouse)
    for name in TABLES:
        parts = tasks if name in PARTITIONED else (None,)
        yield name, sum(_write_part(warehouse, folder, name, task) for task in parts)


def _write_part(warehouse: Warehouse, folder: Path, name: str, task: str | None) -> int:
    """Write a table's file, or its file of one task, even where it has no rows."""
    schema = released_schema(name)
    columns = ", ".join(schema.names)
    where, parameters = ("where task = ?", [task]) if task else ("", [])
    order = ", ".join(SORT_KEYS[name])
    sql = f"select {columns} from {name} {where} order by {order}"  # noqa: S608 - of the contract
    # The schema is set here once for all files: `datasets` takes the first file's for all.
    table = warehouse.query(sql, parameters).cast(schema)
    path = folder / data_path(name, task)
    path.parent.mkdir(parents=True, exist_ok=True)
    _write_parquet(table, path, SORT_KEYS[name])
    return int(table.num_rows)


def _write_parquet(table: pa.Table, path: Path, sorted_by: Sequence[str]) -> None:
    order = [(key, "ascending") for key in sorted_by]
    pq.write_table(
        table.replace_schema_metadata(table.schema.metadata),
        path,
        compression="zstd",
        row_group_size=_ROWS_PER_GROUP,
        write_statistics=columns_with_statistics(table.schema),
        sorting_columns=pq.SortingColumn.from_ordering(table.schema, order),
        # Both let readers on the Hub fetch parts of a file, and its next version share chunks.
        write_page_index=True,
        use_content_defined_chunking=True,
    )


def _sizes(folder: Path) -> dict[str, int]:
    """Return how many bytes the files of each table have."""
    return {
        name: sum(path.stat().st_size for path in folder.glob(data_glob(name))) for name in TABLES
    }


def _tasks(warehouse: Warehouse) -> list[str]:
    """Return the tasks of all tables: rows of a task that has no trials must not get lost."""
    union = " union ".join(f"select task from {name}" for name in TABLES)  # noqa: S608
    return list(warehouse.query(f"{union} order by task")["task"].to_pylist())


def _manifest_facts(
    facts: Facts, rows: Mapping[str, int], coverages: Sequence[Coverage]
) -> dict[str, object]:
    return {
        "release": {
            "title": facts.title,
            "version": facts.version,
            "repo": facts.repo,
            "licence": facts.licence.id,
            "authors": facts.authors,
            "schema_version": SCHEMA_VERSION,
        },
        "written_by": {"seedbed": finetune.__version__, "pyarrow": pa.__version__},
        "rows": rows,
        "columns": {name: released_schema(name).names for name in TABLES},
        "grids": [asdict(each) for each in coverages],
    }


# ── Arguments ────────────────────────────────────────────────────────────────────────────────────
_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")


def _check_arguments(version: str, repo: str | None, licence: str) -> None:
    wrong = []
    if not _VERSION.fullmatch(version):
        wrong.append(f"the version {version!r} is not of the form 1.0.0")
    if repo is not None and not is_repo(repo):
        wrong.append(f"the repository {repo!r} is not of the form owner/name")
    if licence not in LICENCES:
        wrong.append(f"the licence {licence!r} is none of {', '.join(LICENCES)}")
    if wrong:
        raise SeedbedError(f"This cannot be released: {'; '.join(wrong)}.")


def _check_contents(warehouse: Warehouse) -> None:
    if released := warehouse.manifest.get("release"):
        raise SeedbedError(
            f"The trials at {warehouse.folder} are a release already, {released['title']!r} "
            f"v{released['version']}, and are not released again: name a warehouse of your own."
        )
    if not warehouse.studies():
        raise SeedbedError(
            f"The warehouse at {warehouse.folder} has no trials to release: "
            "run a study, then `finetune export`."
        )
    unfit = [task for task in _tasks(warehouse) if not TASK_NAME.fullmatch(task)]
    if unfit:
        raise SeedbedError(
            f"The tasks {', '.join(map(repr, unfit))} cannot be released: a task's name becomes a "
            "folder's, of letters, digits, dot, dash and underscore. Rename them in the study."
        )


def _check_replaceable(folder: Path) -> None:
    """Refuse to swap away a folder of something else: its name may have been mistyped."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    try:
        read_manifest(folder)
    except SeedbedError:
        raise SeedbedError(
            f"{folder} is there already and is not a staged release, so it is not overwritten: "
            "name another folder."
        ) from None
