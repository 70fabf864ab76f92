"""Where everything stands in a release's folder."""

import re

CARD = "README.md"
LICENCE = "LICENSE"
CITATION = "CITATION.cff"
CHANGELOG = "CHANGELOG.md"
MANIFEST = "manifest.json"
CHECKSUMS = "SHA256SUMS"

TEXTS = (CARD, LICENCE, CITATION, CHANGELOG, MANIFEST, CHECKSUMS)
"""The files at the root; all others are Parquet under `data/`, and the figures of the card."""

FIGURE = re.compile(r"figures/[A-Za-z0-9][A-Za-z0-9._-]*\.png")
"""Where a figure of the card stands."""

PARTITIONED = ("evaluations", "train_steps")
"""The tables that are stored by task; `trials` is one file."""

TASK_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
"""What a task must be called to be part of a folder's name that every reader takes."""

_DATA = re.compile(
    rf"data/(?:(trials)/trials|({'|'.join(PARTITIONED)})/task=({TASK_NAME.pattern})/\2)\.parquet"
)


def data_path(table: str, task: str | None = None) -> str:
    """Return the path of a table's Parquet file, or of its file of one task."""
    folder = f"data/{table}/task={task}" if task else f"data/{table}"
    return f"{folder}/{table}.parquet"


def data_glob(table: str) -> str:
    """Return the pattern that matches all files of a table and of no other."""
    return f"data/{table}/*/*.parquet" if table in PARTITIONED else f"data/{table}/*.parquet"


def table_of(path: str) -> str | None:
    """Return the table that a file belongs to by its path, or None where it belongs to none."""
    match = _DATA.fullmatch(path)
    return match and (match[1] or match[2])


def task_of(path: str) -> str | None:
    """Return the task that a file holds by its path, or None where it holds all or none."""
    match = _DATA.fullmatch(path)
    return match and match[3]


def version_of(tag: str) -> tuple[int, ...] | None:
    """Return the numbers of a tag of the form `v1.0.0`; None for any other."""
    match = re.fullmatch(r"v(\d+)\.(\d+)\.(\d+)", tag)
    return tuple(map(int, match.groups())) if match else None


def is_repo(name: str) -> bool:
    """Whether a repository on the Hub can be called so, by its rules."""
    return len(name) <= 96 and bool(_REPO.fullmatch(name))


_REPO = re.compile(r"(?!.*(?:--|\.\.))[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(?<![.-])(?<!\.git)")
