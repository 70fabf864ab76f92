"""Doing two things at once: getting the next items while the last ones are dealt with."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

_Item = TypeVar("_Item")


def ahead(items: Iterable[_Item], count: int) -> Generator[_Item]:
    """Yield the items of an iterable, got in a thread of their own.

    When the generator is closed, nothing more is got, and the thread has ended.

    Args:
        items: what is yielded; iterated in the other thread, and only there.
        count: how many items are got at most before they are asked for.

    Raises:
        BaseException: whatever the iterable raised, where it raised it.
    """
    got: queue.Queue[tuple[_Item | None, BaseException | None]] = queue.Queue(count)
    is_over = threading.Event()

    def get() -> None:
        failure: BaseException | None = None
        try:
            for item in items:
                got.put((item, None))
                if is_over.is_set():
                    return
        except BaseException as error:  # noqa: BLE001 - raised again in the other thread
            failure = error
        got.put((None, failure or _EndError()))

    thread = threading.Thread(target=get, name="ahead", daemon=True)
    thread.start()
    try:
        while True:
            item, error = got.get()
            if isinstance(error, _EndError):
                return
            if error is not None:
                raise error
            yield item  # type: ignore[misc]  # an item is None only beside an error
    finally:
        is_over.set()
        while thread.is_alive():
            # It may be waiting for room.
            try:
                got.get(timeout=0.01)
            except queue.Empty:
                continue
        thread.join()


class _EndError(Exception):
    """There are no more items."""
