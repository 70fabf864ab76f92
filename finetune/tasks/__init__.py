"""Tasks: labelled data sets with their metrics. GLUE's, the embedded ones, and the user's own."""

from finetune.tasks.own import own_hub_task, own_task
from finetune.tasks.registry import find_task, task_names
from finetune.tasks.task import Source, Split, Task, TaskData, Texts

__all__ = [
    "Source",
    "Split",
    "Task",
    "TaskData",
    "Texts",
    "find_task",
    "own_hub_task",
    "own_task",
    "task_names",
]
