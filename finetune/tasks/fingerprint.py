"""What tells one set of data from any other: a hash of what is read and how."""

import hashlib
import json
from pathlib import Path

from finetune.errors import SeedbedError

LENGTH = 16
"""Hexadecimal digits of a fingerprint: 64 bits."""


def of_files(*files: Path, reading: object = None) -> str:
    """Return a hash of the files' bytes, in this order, and of how they are read.

    Args:
        files: the files.
        reading: what else the examples depend on (columns, labels), as JSON can hold it.

    Raises:
        SeedbedError: where a file cannot be read.
    """
    whole = hashlib.sha256(_canonical(reading))
    for file in files:
        try:
            with file.open("rb") as content:
                whole.update(hashlib.file_digest(content, "sha256").digest())
        except OSError as error:
            raise SeedbedError(f"Cannot read {file}: {error.strerror or error}.") from None
    return whole.hexdigest()[:LENGTH]


def of_reading(reading: object) -> str:
    """Return a hash of how data is read, where a revision names the data itself."""
    return of_files(reading=reading)


def _canonical(reading: object) -> bytes:
    return json.dumps(reading, sort_keys=True).encode()
