"""What works on this machine, what is missing, and what to do about it."""

import importlib.metadata
import platform
import shutil
import socket
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from finetune import __version__
from finetune.errors import SeedbedError
from finetune.executors.devices import available_cores
from finetune.tracking import Tracker, sqlite_file
from finetune.tracking.store import Store


class Verdict(Enum):
    """Whether a finding is good, merely worth knowing, or keeps something from working."""

    GOOD = "good"
    NOTE = "note"
    BAD = "bad"


@dataclass(frozen=True)
class Finding:
    """One thing looked at.

    Attributes:
        verdict: how it stands.
        subject: what was looked at, in a word or two.
        found: what was found, in a line.
        advice: what to do; empty where there is nothing to do.
    """

    verdict: Verdict
    subject: str
    found: str
    advice: str = ""


def examine(store: str, warehouse: Path) -> list[Finding]:
    """Look at the machine, the packages, the store, the warehouse and the network.

    Args:
        store: tracking URI.
        warehouse: folder of the Parquet tables.
    """
    looks: Iterable[Callable[[], Finding]] = (
        _python,
        _packages,
        _processor,
        _gpu,
        _disk,
        lambda: _store(store),
        lambda: _warehouse(warehouse),
        _hub,
        _token,
    )
    return [look() for look in looks]


def _python() -> Finding:
    return Finding(Verdict.GOOD, "Python", f"{platform.python_version()}, seedbed {__version__}")


def _packages() -> Finding:
    found, missing = [], []
    for requirement in importlib.metadata.requires("seedbed") or []:
        if "extra ==" in requirement:
            continue
        name = requirement.split(">")[0].split("=")[0].split("<")[0].strip()
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        return Finding(
            Verdict.BAD, "packages", f"missing: {', '.join(missing)}", "pip install seedbed"
        )
    shown = [entry for entry in found if entry.split()[0] in ("torch", "transformers", "mlflow")]
    return Finding(Verdict.GOOD, "packages", f"all {len(found)} there; {', '.join(sorted(shown))}")


def _processor() -> Finding:
    cores = available_cores()
    return Finding(
        Verdict.GOOD, "processor", f"{cores} cores ({platform.machine()}): {cores} workers"
    )


def _gpu() -> Finding:
    import torch

    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        return Finding(Verdict.GOOD, "GPU", ", ".join(names))
    return Finding(
        Verdict.NOTE,
        "GPU",
        f"none that PyTorch {torch.__version__} can use",
        "small encoders train on the processor; BERT-large needs a GPU and PyTorch's CUDA build",
    )


def _disk() -> Finding:
    free = shutil.disk_usage(".").free / 1e9
    if free < 1:
        return Finding(Verdict.BAD, "disk", f"{free:.1f} GB free here", "make room")
    return Finding(Verdict.GOOD, "disk", f"{free:.0f} GB free here")


def _store(store: str) -> Finding:
    file = sqlite_file(store)
    if file is not None and not file.exists():
        return Finding(
            Verdict.NOTE, "tracking store", f"{store}: not there yet", "the first run makes it"
        )
    try:
        studies = Tracker(store).studies()
    except SeedbedError as error:
        return Finding(Verdict.BAD, "tracking store", str(error))
    found = f"{store}: {', '.join(studies) or 'no study yet'}"
    if file is not None and (faults := _untuned(file)):
        return Finding(
            Verdict.NOTE,
            "tracking store",
            f"{found}; {' and '.join(faults)}",
            "`finetune doctor --mend` puts it right; a server that runs on it has to be restarted",
        )
    return Finding(Verdict.GOOD, "tracking store", found)


def mend(store: str) -> None:
    """Give a SQLite store what MLflow does not: write-ahead logging and the planner's statistics.

    Args:
        store: tracking URI; of any other store, and where there is none yet, nothing is done.
    """
    found = Store(store)
    if not found.is_missing:
        found.let_readers_be()
        found.analyze(always=True)


_GROWN = 10
"""How many times its size at the last ANALYZE a table may have before SQLite plans badly."""


def _untuned(file: Path) -> list[str]:
    """Return what a SQLite store lacks, and what comes of it."""
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as connection:

        def number(sql: str) -> int:
            row = connection.execute(sql).fetchone()
            return int(row[0] or 0) if row else 0

        [mode] = connection.execute("PRAGMA journal_mode").fetchone()
        rows = number("SELECT max(rowid) FROM metrics")
        analyzed = 0
        if number("SELECT count(*) FROM sqlite_master WHERE name = 'sqlite_stat1'"):
            # The first number of an index's statistics is that of the table's rows.
            analyzed = number("SELECT max(cast(stat AS int)) FROM sqlite_stat1 WHERE tbl='metrics'")
    faults = []
    if mode != "wal":
        faults.append("a reader may block a run")
    if rows > _GROWN * analyzed:
        faults.append("reading it is slow")
    return faults


def _warehouse(folder: Path) -> Finding:
    from analysis.warehouse import Warehouse

    if not folder.exists():
        return Finding(
            Verdict.NOTE, "warehouse", f"{folder}: not there yet", "`finetune export` makes it"
        )
    try:
        trials = Warehouse(folder).query("select count(*) as n from trials")["n"][0].as_py()
    except SeedbedError as error:
        return Finding(Verdict.BAD, "warehouse", str(error))
    return Finding(Verdict.GOOD, "warehouse", f"{folder}: {trials} trials")


def _hub() -> Finding:
    from urllib.parse import urlsplit

    from huggingface_hub.constants import ENDPOINT

    host = urlsplit(ENDPOINT).hostname or ENDPOINT
    port = urlsplit(ENDPOINT).port or 443
    try:
        socket.create_connection((host, port), timeout=3).close()
    except OSError:
        return Finding(
            Verdict.NOTE,
            "Hub",
            f"{host} cannot be reached",
            "use local folders for models and --data-dir for GLUE, or the embedded ones",
        )
    return Finding(Verdict.GOOD, "Hub", f"{host} answers")


def _token() -> Finding:
    from huggingface_hub import get_token

    if get_token():
        return Finding(Verdict.GOOD, "Hub token", "there (not shown, not checked)")
    return Finding(
        Verdict.NOTE, "Hub token", "none", "needed for private models only: `hf auth login`"
    )
