"""Writing files so that readers never see half of one: write beside, then rename."""

import glob
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if sys.platform != "win32":
    import fcntl


@contextmanager
def replacing_file(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it to `path` when the block ends well.

    When the block raises, the temporary file is removed and what stood at `path` is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    os.close(handle)
    beside = Path(name)
    try:
        yield beside
        beside.chmod(0o666 & ~_umask())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Give an empty temporary folder beside `path`; swap it in when the block ends well.

    When the block raises, the temporary folder is removed and what stood at `path` is untouched.
    Where the system can exchange two folders in one step, which Linux and macOS can, something
    whole stands at `path` at every moment, even if the process is killed; elsewhere nothing stands
    there for an instant. What a killed process left beside it goes with the next call.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(path)
    with _folder_beside(path) as beside:
        old = beside.with_suffix(".old")
        try:
            yield beside
            if not path.exists():
                beside.replace(path)
            elif not _exchange(beside, path):
                path.replace(old)
                try:
                    beside.replace(path)
                except OSError:
                    old.replace(path)
                    raise
        finally:
            shutil.rmtree(beside, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one step; return whether the system could."""
    import ctypes

    arguments: tuple[object, ...]
    paths = os.fsencode(one), os.fsencode(other)
    if sys.platform == "linux":
        name, here, exchange = "renameat2", -100, 2  # AT_FDCWD, RENAME_EXCHANGE
        arguments = (here, paths[0], here, paths[1], exchange)
    elif sys.platform == "darwin":
        name, swap = "renamex_np", 2  # RENAME_SWAP
        arguments = (*paths, swap)
    else:
        return False
    try:
        call = getattr(ctypes.CDLL(None), name)
    except (OSError, AttributeError):
        return False
    return bool(call(*arguments) == 0)


@contextmanager
def _folder_beside(path: Path) -> Iterator[Path]:
    """Make a temporary folder and hold a lock on it, which ends with the process at the latest."""
    if sys.platform == "win32":
        yield Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent))
        return
    lock = None
    while lock is None:
        beside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent))
        lock = lock_folder(beside)  # None where it was taken for abandoned before it was locked
    try:
        beside.chmod(0o777 & ~_umask())
        yield beside
    finally:
        os.close(lock)


def _remove_abandoned(path: Path) -> None:
    """Remove the temporary folders beside `path` of processes that were killed."""
    if sys.platform == "win32":
        return
    for folder in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        lock = lock_folder(folder)
        if lock is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def lock_folder(folder: Path) -> int | None:
    """Lock a folder until what is returned is closed; None where another has it, or it is gone."""
    if sys.platform == "win32":
        return None
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        is_ours = False
    else:
        is_ours = folder.exists()
    if not is_ours:
        os.close(handle)
        return None
    return handle


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
