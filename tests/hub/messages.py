"""What goes to and from the local Hub: requests taken apart, answers, refusals, faults."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qs


@dataclass(frozen=True)
class Request:
    """What was asked, and what was answered (0: nothing, the connection was cut)."""

    method: str
    path: str
    status: int
    authorization: str | None

    @property
    def writes(self) -> bool:
        """Whether it would change what others see."""
        return self.method != "GET" and bool(re.search(r"/(commit|tag|create)\b", self.path))


@dataclass
class Fault:
    """What goes wrong with the next requests that match.

    Attributes:
        method: of the requests.
        pattern: searched for in their path.
        times: how many of them.
        status: answered in place of doing anything, with `headers` and `body`.
        cut: the connection is cut before the request is read, amid its body, or after the work.
        wait: seconds before the request is looked at.
        first: is called before the request is looked at: what others do in between.
    """

    method: str
    pattern: str
    times: int = 1
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = "{}"
    cut: Literal["before", "amid", "after"] | None = None
    wait: float = 0.0
    first: Callable[[], object] | None = None


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class RefusalError(Exception):
    """An answer that is no success; `code` is what the client knows it by."""

    def __init__(self, status: int, message: str, code: str = "", **more: object) -> None:
        super().__init__(message)
        headers = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
        self.answer = as_json({"error": message} | more, status, headers)


def as_json(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    body = json.dumps(content).encode()
    return Answer(status, {"Content-Type": "application/json"} | dict(headers or {}), body)


@dataclass(frozen=True)
class Asked:
    """A request, taken apart."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def token(self) -> str | None:
        words = self.headers.get("authorization", "").split()
        return words[1] if len(words) == 2 and words[0] == "Bearer" else None

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def fields(self, name: str) -> list[str]:
        """Return the values of a field, which comes as JSON or as a form."""
        if "json" in self.headers.get("content-type", ""):
            values = self.json[name]
            return [values] if isinstance(values, str) else list(values)
        return parse_qs(self.body.decode()).get(name, [])

    def part(self, content: bytes, headers: Mapping[str, str]) -> Answer:
        """Return the range of a content that was asked for, or all of it."""
        match = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("range", ""))
        if not match:
            return Answer(200, headers, content)
        first, last = match.groups()
        size = len(content)
        start = int(first) if first else max(size - int(last), 0)
        end = min(int(last), size - 1) if first and last else size - 1
        if start >= size:
            return Answer(416, dict(headers) | {"Content-Range": f"bytes */{size}"})
        ranged = dict(headers) | {"Content-Range": f"bytes {start}-{end}/{size}"}
        return Answer(206, ranged, content[start : end + 1])
