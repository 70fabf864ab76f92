"""Why a release was not published: each reason with the exit status by which a script tells it."""

from typing import ClassVar

from finetune.errors import SeedbedError


class CheckFailedError(SeedbedError):
    """The release is not fit to be published."""

    exit_status: ClassVar[int] = 3


class ConflictError(SeedbedError):
    """The Hub holds something that this release must not replace."""

    exit_status: ClassVar[int] = 4


class NotAllowedError(SeedbedError):
    """The Hub does not let this user do it, or does not know the user."""

    exit_status: ClassVar[int] = 5


class UnreachableError(SeedbedError):
    """The Hub did not answer, or answered time and again that it cannot now."""

    exit_status: ClassVar[int] = 6
