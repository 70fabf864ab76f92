"""The one error that is meant for the user's eyes."""


class SeedbedError(Exception):
    """Something the user can put right.

    The message is one or two sentences: what is wrong, where, and what to do next. The command
    line prints it without a traceback and exits with status 2; everything else that is raised is
    a defect of Seedbed.
    """
