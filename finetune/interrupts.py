"""Interrupts: the first Ctrl-C asks for a clean end, the second is not asked to wait."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Ctrl-C, and what a scheduler sends before it kills."""


class Interrupts:
    """Whether an end was asked for.

    Attributes:
        received: how many interrupts there have been.
    """

    def __init__(self) -> None:
        self.received = 0


@contextmanager
def stopping_at_first(stop: Callable[[], None]) -> Iterator[Interrupts]:
    """Let the first interrupt during the block stop things cleanly, and the second end it at once.

    Outside of the main thread, which alone is interrupted, nothing changes.

    Args:
        stop: called at the first, from within whatever runs then; it must not block.

    Raises:
        KeyboardInterrupt: at the second.
    """
    interrupts = Interrupts()
    if threading.current_thread() is not threading.main_thread():
        yield interrupts
        return

    def receive(*_: object) -> None:
        interrupts.received += 1
        if interrupts.received > 1:
            raise KeyboardInterrupt
        stop()

    before = [(number, signal.signal(number, receive)) for number in _SIGNALS]
    try:
        yield interrupts
    finally:
        for number, handler in before:
            signal.signal(number, handler)
