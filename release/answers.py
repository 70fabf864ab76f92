"""What the errors of the Hub's client mean for a release, in our words and without any token."""

import re
from collections.abc import Mapping

from huggingface_hub import get_token, is_offline_mode
from huggingface_hub.errors import (
    HfHubHTTPError,
    LocalEntryNotFoundError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    OIDCError,
    RepositoryNotFoundError,
)
from huggingface_hub.utils import httpx  # type: ignore[attr-defined] # made on demand

from release.errors import CheckFailedError, ConflictError, NotAllowedError, UnreachableError
from release.leaks import without_keys


class UnansweredError(Exception):
    """A write of which it is unknown whether it was done, or that must be sent again.

    Attributes:
        wait: how many seconds the Hub asks for before the next try; None where it says nothing.
    """

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


CLIENTS_ERRORS = (
    HfHubHTTPError,
    httpx.TransportError,
    LocalEntryNotFoundError,
    LocalTokenNotFoundError,
    OIDCError,
    ConnectionError,
    RuntimeError,
)
"""All that the client raises when a request does not come to a good end."""


def told(error: BaseException, repo: str, token: str | None) -> Exception:
    """Return what to raise in place of an error of the client's.

    Args:
        error: one of `CLIENTS_ERRORS`.
        repo: what the request was about, `owner/name`.
        token: what was used in place of the environment's or the login's, if anything.
    """
    if isinstance(error, RuntimeError) and error.__cause__ is not None:
        # The uploader of files side by side wraps what went wrong with one of them.
        error = error.__cause__
    if isinstance(error, HfHubHTTPError):
        return _told_answer(error, repo, token)
    if isinstance(error, LocalTokenNotFoundError | OIDCError):
        return NotAllowedError(f"{shown(str(error), token)}.")
    if isinstance(error, OfflineModeIsEnabled | LocalEntryNotFoundError) and is_offline_mode():
        return UnreachableError("The Hub is not asked while HF_HUB_OFFLINE is set: unset it.")
    # Xet's uploader raises ConnectionError and RuntimeError, of whatever kind the fault.
    return UnansweredError(shown(f"{type(error).__name__}: {error}", token))


def _told_answer(error: HfHubHTTPError, repo: str, token: str | None) -> Exception:
    status = error.response.status_code
    said = f"{status} {shown(error.server_message or error.response.reason_phrase, token)}"
    if status in _TRY_AGAIN:
        return UnansweredError(said, _asked_wait(error.response.headers))
    if status in (httpx.codes.CONFLICT, httpx.codes.PRECONDITION_FAILED):
        return UnansweredError(said)
    if status in (401, 402, 403) or isinstance(error, RepositoryNotFoundError):
        return NotAllowedError(
            f"The Hub does not allow it ({said}): check with `hf auth whoami` who you are, and "
            f"that your token may write to {repo}."
        )
    if status in (400, 413, 422):
        return CheckFailedError(f"The Hub does not take the release ({said}).")
    return ConflictError(f"The Hub answered what was not expected ({said}).")


def shown(text: str, token: str | None) -> str:
    """Return what may be printed of a text from elsewhere: one line, and no token."""
    line = " ".join(text.split()).rstrip(".")
    used = token or get_token()
    return without_keys(line.replace(used, "…") if used else line)


_TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})


def _asked_wait(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that the Hub asks for: by its rate limit, or by `Retry-After`."""
    limit = re.search(r";\s*r\s*=\s*0\s*;\s*t\s*=\s*(\d+)", headers.get("ratelimit", ""))
    after = re.fullmatch(r"\s*(\d+)\s*", headers.get("retry-after", ""))
    found = limit or after
    return float(found[1]) if found else None
