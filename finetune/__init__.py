"""Running trials: studies, tasks, the training loop, tracking, and the command line."""

__version__ = "0.1.0"
