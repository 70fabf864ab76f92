"""The one error that is meant for the user's eyes."""

from typing import ClassVar


class SeedbedError(Exception):
    """Something the user can put right.

    The message is one or two sentences: what is wrong, where, and what to do next. The command
    line prints it without a traceback and exits with its status; everything else that is raised
    is a defect of Seedbed.

    Attributes:
        exit_status: of the command line: 2, unless a script must tell it from other errors.
    """

    exit_status: ClassVar[int] = 2
