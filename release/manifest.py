"""The list of a release's files, by which anybody can tell that they have all of it, unchanged."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from finetune.errors import SeedbedError
from release.layout import CHECKSUMS, MANIFEST, table_of, task_of


@dataclass(frozen=True)
class ReleasedFile:
    """A file of a release.

    Attributes:
        path: where it stands in the release, with `/`.
        bytes: its size.
        sha256: its checksum, 64 hex digits.
        table: the table it belongs to; None for texts.
        task: the one task it holds; None for texts and for `trials`.
        rows: how many rows it holds; None for texts.
    """

    path: str
    bytes: int
    sha256: str
    table: str | None
    task: str | None
    rows: int | None

    @classmethod
    def at(cls, folder: Path, path: str) -> "ReleasedFile":
        """Describe the file at `path` of the release in `folder`, as it is now."""
        file = folder / path
        table = table_of(path)
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        return cls(
            path=path,
            bytes=file.stat().st_size,
            sha256=digest,
            table=table,
            task=task_of(path),
            rows=pq.read_metadata(file).num_rows if table else None,
        )


def write_manifest(folder: Path, facts: Mapping[str, Any]) -> tuple[ReleasedFile, ...]:
    """Write the manifest and the checksums of a folder that holds all else of a release.

    Args:
        folder: the release.
        facts: what the manifest says besides its files; anything that JSON can hold.

    Returns:
        All files of the release by path, these two among them.
    """
    files = [ReleasedFile.at(folder, path) for path in _paths(folder)]
    content = {**facts, "files": [asdict(file) for file in files]}
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")

    files.append(ReleasedFile.at(folder, MANIFEST))
    lines = [f"{file.sha256}  {file.path}\n" for file in sorted(files, key=lambda f: f.path)]
    (folder / CHECKSUMS).write_text("".join(lines), encoding="utf-8")
    files.append(ReleasedFile.at(folder, CHECKSUMS))
    return tuple(sorted(files, key=lambda file: file.path))


def read_manifest(folder: Path) -> tuple[dict[str, Any], tuple[ReleasedFile, ...]]:
    """Return what the manifest of a release says: its facts, and its files.

    Raises:
        SeedbedError: where there is none, or it is not one of a release.
    """
    try:
        content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        files = tuple(ReleasedFile(**entry) for entry in content.pop("files"))
        content["release"]["version"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SeedbedError(
            f"{folder / MANIFEST} is not the manifest of a release: "
            "stage one with `finetune release --dry-run`."
        ) from error
    return content, files


@dataclass(frozen=True)
class Staged:
    """A release as it stands in a folder.

    Attributes:
        folder: where.
        repo: `owner/name`, where it was staged for; None where it was staged for none.
        version: `1.0.0`.
        authors: who made it.
        files: all of them by path, the manifest and the checksums among them, as they are now.
    """

    folder: Path
    repo: str | None
    version: str
    authors: tuple[str, ...]
    files: tuple[ReleasedFile, ...]

    @property
    def tag(self) -> str:
        """The Hub's name of this version."""
        return f"v{self.version}"


def read_staged(folder: Path) -> Staged:
    """Return the release that stands in a folder.

    Raises:
        SeedbedError: where there is none.
    """
    facts, _ = read_manifest(folder)
    release = facts["release"]
    return Staged(
        folder=folder,
        repo=release.get("repo"),
        version=release["version"],
        authors=tuple(release.get("authors", ())),
        files=tuple(ReleasedFile.at(folder, path) for path in _paths(folder)),
    )


def read_checksums(folder: Path) -> dict[str, str]:
    """Return the checksums that `SHA256SUMS` says, by path; lines of another form are passed by."""
    lines = (folder / CHECKSUMS).read_text(encoding="utf-8").splitlines()
    pairs = (line.split("  ", 1) for line in lines if "  " in line)
    return {path: digest for digest, path in pairs}


def _paths(folder: Path) -> Sequence[str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path.relative_to(folder).as_posix() for path in files)
