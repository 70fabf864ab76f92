"""The journal: what is to be written to the store, kept on disk until it has been.

Every entry is in a file before anything else happens with it, so that the death of the process, or
a store that is away for hours, costs neither an entry nor memory. A journal that a dead process has
left is found by the next one: a lock on its folder says that nobody else has it; between machines,
whose file system may not carry locks from one to the other, its age as well.
"""

import errno
import json
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Self

from finetune.files import lock_folder
from finetune.tracking.entries import Closing, Entry, KeptModel, from_line, to_line

FORMAT = 1
"""Of the files; one of another format is left alone."""

_SEGMENT = 8 * 2**20
"""Bytes after which a new file is begun, so that what has been written can be removed."""

_SILENCE = 300.0
"""Seconds without a sign of life after which the process of another machine is taken for dead."""

_ABOUT = "journal.json"


class Journal:
    """A queue of entries in a folder: appended at one end, read and then removed at the other.

    One thread may append while another reads, as long as they take turns.

    Attributes:
        folder: where it is.
        waiting: entries that have not been removed.
    """

    def __init__(self, folder: Path, lock: int | None) -> None:
        self.folder = folder
        self.waiting = 0
        self._lock = lock
        self._segments = sorted(folder.glob("*.jsonl"))
        self._begun = int(self._segments[-1].stem) if self._segments else 0
        self._out: IO[bytes] | None = None
        self._in: IO[bytes] | None = None
        self._read: list[Path] = []

    @classmethod
    def begin(cls, root: Path, store: str) -> Self:
        """Begin a journal of our own.

        Args:
            root: the folder of all journals.
            store: the name of the store that the entries are for.

        Raises:
            OSError: where the disk is full or may not be written.
        """
        folder, lock = None, None
        while folder is None or (lock is None and os.name != "nt"):
            root.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):  # another process has just tidied up
                folder = Path(tempfile.mkdtemp(prefix="journal-", dir=root))
                lock = lock_folder(folder)
        about = {"format": FORMAT, "store": store, "host": socket.gethostname()}
        (folder / _ABOUT).write_text(json.dumps(about), encoding="utf-8")
        return cls(folder, lock)

    @classmethod
    def abandoned(cls, root: Path, store: str) -> Iterator[Self]:
        """Yield the journals that dead processes have left for a store, the oldest first.

        Each is ours until it is closed. Those in which nothing waits are removed on the way.
        """
        for folder in sorted(root.glob("journal-*"), key=_heard):
            lock = lock_folder(folder)
            if lock is None:
                continue  # its process lives
            about = _about(folder)
            found = cls(folder, lock)
            found.waiting = sum(line.endswith(b"\n") for line in found._lines())
            is_elsewhere = about.get("host") != socket.gethostname()
            may_live = is_elsewhere and time.time() - _heard(folder) < _SILENCE
            is_ours = (about.get("format"), about.get("store")) == (FORMAT, store)
            if may_live or (found.waiting and not is_ours):
                os.close(lock)
                continue
            try:
                if found.waiting:
                    yield found
            finally:
                found.close()

    def append(self, entry: Entry) -> None:
        """Add an entry; when this returns the death of the process cannot lose it.

        What ends a trial, not even the death of the machine can.

        Raises:
            OSError: where the disk is full; the entry is then not there.
        """
        if self._out is None or self._out.tell() >= _SEGMENT:
            self._begin_segment()
            assert self._out is not None
        line, start = to_line(entry), self._out.tell()
        if self._out.write(line) < len(line):
            self._out.truncate(start)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._out.name)
        if isinstance(entry, Closing):
            os.fsync(self._out.fileno())
        self.waiting += 1

    def take_model(self, trial_id: str, folder: Path) -> Path:
        """Move a model's folder into the journal, where it waits with the entries."""
        place = self.folder / "models" / trial_id
        place.parent.mkdir(exist_ok=True)
        shutil.rmtree(place, ignore_errors=True)
        shutil.move(folder, place)
        return place

    def read(self, limit: int) -> list[Entry]:
        """Return the next entries, at most so many; what is read is removed by `remove`."""
        entries: list[Entry] = []
        while len(entries) < limit:
            line = self._next_line()
            if line is None:
                break
            entries.append(from_line(line))
        return entries

    def remove(self, entries: list[Entry]) -> None:
        """Remove what has been read, now that the store has it."""
        for entry in entries:
            if isinstance(entry, KeptModel):
                shutil.rmtree(entry.folder, ignore_errors=True)
        self.waiting -= len(entries)
        for path in self._read:
            path.unlink(missing_ok=True)
        self._read.clear()
        if not self.waiting:
            self._end_segments()

    def touch(self) -> None:
        """Give a sign of life, for those who cannot see the lock."""
        with suppress(OSError):
            os.utime(self.folder)

    def close(self) -> None:
        """Let the journal go; its folder too, where nothing waits in it."""
        for file in (self._in, self._out):
            if file is not None:
                file.close()
        self._in = self._out = None
        if not self.waiting:
            shutil.rmtree(self.folder, ignore_errors=True)
            with suppress(OSError):  # others have something there
                self.folder.parent.rmdir()
                self.folder.parent.parent.rmdir()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _begin_segment(self) -> None:
        if self._out is not None:
            self._out.close()
        self._begun += 1
        path = self.folder / f"{self._begun:08d}.jsonl"
        self._out = path.open("ab", buffering=0)
        self._segments.append(path)

    def _end_segments(self) -> None:
        for file in (self._in, self._out):
            if file is not None:
                file.close()
        self._in = self._out = None
        for path in self._segments:
            path.unlink(missing_ok=True)
        self._segments.clear()

    def _next_line(self) -> bytes | None:
        """Return the next whole line; None where there is none yet."""
        while True:
            if self._in is None:
                if not self._segments:
                    return None
                self._in = self._segments[0].open("rb")
            place = self._in.tell()
            line = self._in.readline()
            if line.endswith(b"\n"):
                return line
            # The end; where the machine died there may be half a line, which nobody relies on.
            self._in.seek(place)
            if len(self._segments) == 1:
                return None
            self._in.close()
            self._in = None
            self._read.append(self._segments.pop(0))

    def _lines(self) -> Iterator[bytes]:
        for path in self._segments:
            with path.open("rb") as file:
                yield from file


def _about(folder: Path) -> dict[str, object]:
    try:
        about: dict[str, object] = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # killed before it could say whose it is: there is nothing in it
    return about


def _heard(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:
        return 0.0
