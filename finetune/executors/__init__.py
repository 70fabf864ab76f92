"""Where trials run: in this process, in worker processes of this machine, or on a Ray cluster."""

from finetune.executors.base import Assignment, Executor, Report, Supplies
from finetune.executors.inline import InlineExecutor
from finetune.executors.local import LocalExecutor

__all__ = ["Assignment", "Executor", "InlineExecutor", "LocalExecutor", "Report", "Supplies"]
