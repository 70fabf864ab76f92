"""Where trials run: in this process, or in worker processes of this machine."""

from finetune.executors.base import Assignment, Executor, Report
from finetune.executors.inline import InlineExecutor
from finetune.executors.local import LocalExecutor

__all__ = ["Assignment", "Executor", "InlineExecutor", "LocalExecutor", "Report"]
