"""Terms: what trials, and what happens in them, are called in MLflow."""

from collections.abc import Mapping

from finetune import contract
from finetune.contract import Status
from finetune.events import Evaluation
from finetune.grid import Grid
from finetune.study import Trial

MLFLOW_STATUS = {
    Status.FINISHED: "FINISHED",
    Status.DIVERGED: "FINISHED",
    Status.STOPPED_EARLY: "FINISHED",
    Status.FAILED: "FAILED",
    Status.INTERRUPTED: "KILLED",
}
"""MLflow's own status of a run that has ended so."""


def trial_params(trial: Trial) -> dict[str, object]:
    """Return what a trial's numbers depend on, as params of its run."""
    return {
        "task": trial.task,
        "model": trial.model,
        "wi_seed": trial.wi_seed,
        "do_seed": trial.do_seed,
        "dropout_seed": trial.dropout_seed,
        "model_fingerprint": trial.model_fingerprint,
        "data_fingerprint": trial.data_fingerprint,
        **trial.recipe.model_dump(),
    }


def evaluation_metrics(evaluation: Evaluation) -> dict[str, float]:
    """Return an evaluation as metrics of its trial's run."""
    return {
        contract.METRIC_EPOCH: evaluation.epoch,
        contract.METRIC_LOSS: evaluation.loss,
        contract.METRIC_SCORE: evaluation.score,
        contract.METRIC_BEST_SCORE: evaluation.best_score,
        **{contract.metric_key(name): value for name, value in evaluation.metrics.items()},
    }


def milliseconds(seconds: float) -> int:
    """Return a moment as MLflow has it; both count from the epoch."""
    return int(seconds * 1000)


def as_text(params: Mapping[str, object]) -> dict[str, str]:
    """Write params as MLflow keeps them; those that are None are left out."""
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in params.items()
        if value is not None
    }


def experiment_tags(grid: Grid) -> dict[str, str]:
    """Return what an experiment says of the grid that its runs are of."""
    return {
        contract.TAG_STUDY: grid.study,
        contract.TAG_SCHEMA_VERSION: str(contract.SCHEMA_VERSION),
        contract.TAG_GRID: grid.to_json(),
        "mlflow.note.content": _describe_grid(grid),
        # Without it `mlflow ui` opens on the pages for language-model applications.
        "mlflow.experimentKind": "custom_model_development",
    }


def _describe_grid(grid: Grid) -> str:
    return (
        f"Study **{grid.study}**, task **{grid.task}**: {grid.model} fine-tuned with "
        f"{len(grid.wi_seeds)} weight-initialisation seeds × {len(grid.do_seeds)} data-order "
        f"seeds, {len(grid.trials())} trials. `eval/score` is the task's own metric; "
        "`eval/best_score` the highest so far."
    )


def describe_trial(trial: Trial) -> str:
    """Describe a trial for the page of its run, in Markdown."""
    return (
        f"Trial `{trial.id}` of study **{trial.study}**: {trial.model} fine-tuned on "
        f"**{trial.task}** with WI seed {trial.wi_seed}, DO seed {trial.do_seed} and dropout seed "
        f"{trial.dropout_seed}."
    )
