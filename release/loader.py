"""Reading a release: a published one or a folder, whole or in part.

    from release.loader import load

    release = load("OWNER/NAME")             # the latest version; `release.tag` says which
    trials = release.pandas("trials")
    curves = release.arrow("joined", tasks=["rte"], columns=["wi_seed", "do_seed", "step", "score"])
    release.duckdb().sql("select task, max(best_score) from trials group by 1")

Of a published release only the files that are asked for are fetched, into the Hub's cache, and each
is compared with the manifest. A version is a tag, and never the branch, which moves.
"""

import glob
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from analysis.schema import SORT_KEYS, released_schema
from analysis.warehouse import Warehouse
from finetune.contract import SCHEMA_VERSION, TABLES, TASK_METRICS
from finetune.errors import SeedbedError
from release.errors import CheckFailedError
from release.layout import MANIFEST, is_repo
from release.manifest import ReleasedFile, Staged, read_manifest, read_staged

if TYPE_CHECKING:
    import pandas as pd

    from release.hub import Hub

JOINED = "joined"
"""The name of the three tables joined: a row per trial and step at which anything was recorded."""


# ── Opening ──────────────────────────────────────────────────────────────────────────────────────
def load(where: str | Path, version: str | None = None, *, hub: "Hub | None" = None) -> "Release":
    """Open a release.

    Args:
        where: `OWNER/NAME` on the Hub, with or without `hf:` before it and `@v1.0.0` after it; or
            a folder, as a `Path`.
        version: of one on the Hub, `1.0.0` or its tag; by default the latest.
        hub: the repository on the Hub, in place of the one that `where` names.

    Raises:
        SeedbedError: where there is no such release, or it has another schema version than this
            Seedbed reads.
        UnreachableError: where the Hub does not answer and the cache does not have it.
    """
    if isinstance(where, Path):
        return Release(where)
    match = _ON_HUB.fullmatch(where)
    if match is None or not is_repo(match["repo"]):
        raise SeedbedError(
            f"{where!r} is no release on the Hub, such as OWNER/NAME or hf:OWNER/NAME@v1.0.0; "
            "a folder is given as a Path."
        )
    from release.hub import Hub

    hub = hub or Hub(match["repo"])
    number = (version or match["version"] or hub.latest_version()).removeprefix("v")
    release = Release(hub.download(f"v{number}", [MANIFEST]), hub)
    if release.tag != f"v{number}":
        raise CheckFailedError(
            f"What {hub.repo} calls v{number} is {release.tag} by its own {MANIFEST}: its tags "
            "have been changed by hand; name the version that you want."
        )
    return release


_ON_HUB = re.compile(
    r"(?:hf:(?://)?(?:datasets/)?)?(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<version>v?\d+\.\d+\.\d+))?"
)


def open_warehouse(where: str | Path) -> Warehouse:
    """Open what `--from` or `--warehouse` names, as if it were one's own warehouse.

    Args:
        where: `hf:OWNER/NAME@v1.0.0`, a published release (without a version, the latest); or a
            folder with a release or a warehouse.

    Raises:
        SeedbedError: where there is neither.
    """
    if isinstance(where, str) and where.startswith("hf:"):
        return load(where).warehouse()
    warehouse = Warehouse(Path(where))
    if "release" in warehouse.manifest:
        return load(Path(where)).warehouse()
    return warehouse


# ── Reading ──────────────────────────────────────────────────────────────────────────────────────
class Release:
    """A release that is open for reading.

    Attributes:
        tag: its version, `v1.0.0`.
        facts: what its manifest says, but for its files.
        tasks: the tasks that it has, sorted.

    Raises:
        SeedbedError: where `folder` has no release, or one of another schema version.
    """

    def __init__(self, folder: Path, hub: "Hub | None" = None) -> None:
        self.facts, files = read_manifest(folder)
        self.tag = f"v{self.facts['release']['version']}"
        self._folder = folder
        self._hub = hub
        self._files = {file.path: file for file in files}
        self._seen: set[str] = set()
        found = self.facts["release"].get("schema_version")
        if found != SCHEMA_VERSION:
            raise SeedbedError(
                f"{self.name} has schema version {found}, and this Seedbed reads {SCHEMA_VERSION}: "
                "read it with the Seedbed that its manifest names, or as plain Parquet."
            )

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return f"{self._hub.repo} {self.tag}" if self._hub else f"The release in {self._folder}"

    @property
    def tasks(self) -> list[str]:
        """The tasks that it has, sorted."""
        return sorted({file.task for file in self._files.values() if file.task})

    def arrow(
        self,
        table: str = "trials",
        *,
        tasks: Sequence[str] | None = None,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """Return a table, or the three joined, sorted by its keys.

        Args:
            table: `trials`, `evaluations`, `train_steps` or `joined`.
            tasks: only these; all by default. Only their files are fetched.
            columns: only these, in this order; all by default.

        Returns:
            Of one table, columns in the contract's types; times are in UTC.

        Raises:
            SeedbedError: where it has no such table, task or column.
        """
        unknown = [task for task in tasks or () if task not in self.tasks]
        if unknown:
            raise SeedbedError(
                f"{self.name} has no task {', '.join(unknown)}; it has {', '.join(self.tasks)}."
            )
        order = ", ".join(SORT_KEYS.get(table, SORT_KEYS["train_steps"]))
        with self.duckdb(*self._tables_of(table), tasks=tasks) as connection:
            there = connection.sql(f"from {table} limit 0").columns
            if absent := [column for column in columns or () if column not in there]:
                raise SeedbedError(
                    f"{table} has no column {', '.join(absent)}; it has {', '.join(there)}."
                )
            names = ", ".join(f'"{column}"' for column in columns or there)
            where = "where list_contains($tasks, task)" if tasks else ""
            answer: pa.Table = connection.sql(
                f"select {names} from {table} {where} order by {order}",  # noqa: S608
                params={"tasks": list(tasks)} if tasks else None,
            ).to_arrow_table()
        if table == JOINED:
            return answer
        fields = [released_schema(table).field(name) for name in answer.column_names]
        return answer.cast(pa.schema(fields))

    def pandas(
        self,
        table: str = "trials",
        *,
        tasks: Sequence[str] | None = None,
        columns: Sequence[str] | None = None,
    ) -> "pd.DataFrame":
        """Return a table, or the three joined, as a data frame; see `arrow`."""
        frame: pd.DataFrame = self.arrow(table, tasks=tasks, columns=columns).to_pandas()
        return frame

    def duckdb(self, *tables: str, tasks: Sequence[str] | None = None) -> duckdb.DuckDBPyConnection:
        """Return a connection to a DuckDB in memory with a view of each table, and of all joined.

        Args:
            tables: only these; all by default, and then `joined` too.
            tasks: only the files of these are fetched and read; all by default.

        The view `joined` has a row per trial and step at which anything was recorded: all columns
        of `trials`, then `step`, `epoch`, `train_loss`, `score`, `best_so_far` (the highest score
        up to here), `eval_loss`, the metrics, `trained_at` and `evaluated_at`; what was not
        recorded at the step is null.
        """
        wanted = [table for table in tables or (*TABLES, JOINED) if table != JOINED]
        sources = {table: self._local(table, tasks) for table in wanted}
        connection = duckdb.connect(config={"autoinstall_known_extensions": False})
        connection.execute("set timezone = 'UTC'")
        for table, files in sources.items():
            # The task stands in the files too, and names of files are taken as they are.
            names = [glob.escape(str(file)) for file in files]
            connection.read_parquet(names, hive_partitioning=False).create_view(table)
        if not tables or JOINED in tables:
            connection.execute(_joined_view())
        return connection

    def warehouse(self) -> Warehouse:
        """Return the release as a warehouse, for every analysis of one's own trials.

        All of it is fetched, and compared with its manifest.
        """
        for table in TABLES:
            self._local(table, None)
        return Warehouse(self._folder)

    def staged(self) -> Staged:
        """Return the release as it was staged, all of it fetched; it can be published as it is."""
        if self._hub:
            self._folder = self._hub.download(self.tag)
        for file in self._files.values():
            self._checked(file)
        return read_staged(self._folder)

    @staticmethod
    def _tables_of(table: str) -> tuple[str, ...]:
        if table not in (*TABLES, JOINED):
            raise SeedbedError(
                f"A release has no table {table!r}; it has {', '.join((*TABLES, JOINED))}."
            )
        return (*TABLES, JOINED) if table == JOINED else (table,)

    def _local(self, table: str, tasks: Sequence[str] | None) -> list[Path]:
        """Return a table's files of some tasks, on this machine and as the manifest says."""
        files = [
            file
            for file in self._files.values()
            if file.table == table and (not tasks or file.task is None or file.task in tasks)
        ]
        lacking = [file.path for file in files if not (self._folder / file.path).exists()]
        if lacking and self._hub:
            self._folder = self._hub.download(self.tag, lacking)
        return [self._checked(file) for file in files]

    def _checked(self, file: ReleasedFile) -> Path:
        """Return where a file stands, once it has been seen to be what the manifest says."""
        path = self._folder / file.path
        if file.path not in self._seen:
            try:
                with path.open("rb") as content:
                    digest = hashlib.file_digest(content, "sha256").hexdigest()
            except OSError as error:
                raise SeedbedError(f"{self.name}: {file.path} cannot be read: {error}.") from error
            if digest != file.sha256:
                raise CheckFailedError(
                    f"{self.name}: {file.path} is not the file that its {MANIFEST} describes: "
                    "fetch the release again."
                )
            self._seen.add(file.path)
        return path


def _joined_view() -> str:
    """Return the statement that makes the view `joined`."""
    metrics = ", ".join(f"e.{metric}" for metric in TASK_METRICS)
    return f"""
        create view {JOINED} as
        with recorded as (
            select
                coalesce(s.trial_id, e.trial_id) as trial_id,
                coalesce(s.step, e.step) as step,
                coalesce(s.epoch, e.epoch) as epoch,
                s.loss as train_loss,
                e.score, e.best_score as best_so_far, e.loss as eval_loss, {metrics},
                s.logged_at as trained_at, e.logged_at as evaluated_at
            from train_steps as s
            full join evaluations as e on s.trial_id = e.trial_id and s.step = e.step
        )
        select t.*, r.* exclude (trial_id)
        from trials as t join recorded as r using (trial_id)
    """  # noqa: S608 - names of the contract
