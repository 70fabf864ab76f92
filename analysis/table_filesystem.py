"""The tables of a warehouse as a file system of their own, which knows no way to write.

DuckDB has no setting that lets it read a file and not write it. Where it may open nothing but what
stands here, no statement can change a table, whatever its options.
"""

from __future__ import annotations

import mmap
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fsspec import AbstractFileSystem

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class TableFilesystem(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """Gives some files to read.

    Args:
        scheme: what stands before `://` in front of their names.
        paths: the files by their names here.
    """

    cachable = False  # two warehouses have files of one name

    def __init__(self, scheme: str, paths: Mapping[str, Path]) -> None:
        super().__init__()
        self.protocol = scheme
        self._paths = paths

    def _open(self, path: str, mode: str = "rb", **_: object) -> mmap.mmap:
        if mode != "rb":
            raise PermissionError(f"{path} is a table of the warehouse, which is only read")
        # DuckDB leaves a file to be closed by itself, which Python warns of, but not here.
        with self._path(path).open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def info(self, path: str, **_: object) -> dict[str, Any]:
        """Return the size of a file, in bytes."""
        return {"name": path, "type": "file", "size": self._path(path).stat().st_size}

    def modified(self, path: str) -> datetime:
        """Return when a file was written."""
        return datetime.fromtimestamp(self._path(path).stat().st_mtime, UTC)

    def _path(self, name: str) -> Path:
        try:
            return self._paths[name.partition("://")[2] or name]
        except KeyError:
            raise FileNotFoundError(name) from None
