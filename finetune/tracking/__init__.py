"""Tracking: what happens in trials, written to MLflow. The only package that writes to it.

Executors hand their reports to one tracker in the driving process. It keeps a journal on disk of
what is to be written; a thread of its own writes that to the store in batches. So nothing waits for
the store, and nothing is lost while it is away.
"""

from finetune.tracking.store import sqlite_file
from finetune.tracking.tracked import TrackedTrial
from finetune.tracking.tracker import Tracker
from finetune.tracking.writer import Waiting

__all__ = ["TrackedTrial", "Tracker", "Waiting", "sqlite_file"]
