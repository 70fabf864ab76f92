"""The work folder: what trials need while they are under way, and nothing else."""

import shutil
from pathlib import Path

from finetune.study import Trial


class WorkFolder:
    """Where the states of trials are, so that they can be taken up, and models on their way.

    Each trial has a folder of its own, `<work folder>/<study>/<trial id>`, which is removed when
    the trial is over. Nobody else writes there: a trial is run by one driver at a time.
    """

    def __init__(self, path: Path) -> None:
        """Name the folder; nothing is written.

        Args:
            path: the work folder, of any number of studies.
        """
        self.path = path

    def state(self, trial: Trial) -> Path:
        """Return the file of a trial's state, which need not be there."""
        return self._folder(trial) / "state.safetensors"

    def model(self, trial: Trial) -> Path:
        """Return the folder to write a trial's model to, on its way to the store."""
        return self._folder(trial) / "model"

    def forget(self, trial: Trial) -> None:
        """Remove what is kept of a trial, and the study's folder with the last of its trials."""
        shutil.rmtree(self._folder(trial), ignore_errors=True)
        self.tidy(trial.study)

    def tidy(self, study: str) -> None:
        """Remove the folder of a study where it holds nothing."""
        for folder in (self.path / study, self.path):
            try:
                folder.rmdir()
            except OSError:
                return

    def _folder(self, trial: Trial) -> Path:
        return self.path / trial.study / trial.id
