"""The contract between training and the rest: what tracking writes and export reads.

Declared here once, and versioned. One MLflow experiment per study and task, named `study/task`; one
run per trial. Training writes params, tags and metrics under the names below; the warehouse holds
three tables whose columns, each with the place in MLflow that it comes from, are below too.

This module imports nothing but the standard library, so that the analysis of a warehouse needs
none of the training's packages.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

SCHEMA_VERSION = 1
"""Raised whenever a name, a type or a meaning below changes."""


class Status(StrEnum):
    """How a trial stands. MLflow's own run status cannot tell these apart."""

    RUNNING = "running"
    FINISHED = "finished"
    DIVERGED = "diverged"
    STOPPED_EARLY = "stopped_early"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    """Cut off from outside; run again when the study is taken up again."""

    @property
    def is_done(self) -> bool:
        """Whether the trial ran to the end that was meant for it, and need not be run again."""
        return self in (Status.FINISHED, Status.DIVERGED, Status.STOPPED_EARLY)


# ── Tags of a run ────────────────────────────────────────────────────────────────────────────────
TAG_TRIAL_ID = "seedbed.trial_id"
TAG_STUDY = "seedbed.study"
TAG_SCHEMA_VERSION = "seedbed.schema_version"
TAG_STATUS = "seedbed.status"
TAG_ERROR = "seedbed.error"
TAG_DEVICE = "seedbed.device"
TAG_THREADS = "seedbed.threads"
TAG_SEEDBED_VERSION = "seedbed.version"
TAG_TORCH_VERSION = "seedbed.torch"
TAG_TRANSFORMERS_VERSION = "seedbed.transformers"
TAG_PYTHON_VERSION = "seedbed.python"
TAG_MODEL_STEP = "seedbed.model_step"
TAG_SECONDS = "seedbed.seconds"
"""On a run whose model is kept, as its artefacts under `model`: after how many optimiser steps."""

# ── Tags of an experiment ────────────────────────────────────────────────────────────────────────
TAG_GRID = "seedbed.grid"
"""The grid of trials that the study last planned for the experiment, as JSON."""
TAG_DRIVER = "seedbed.driver."
"""Begins the key under which each driving process notes, as JSON, which trials are its own."""
TAG_STOPPING = "seedbed.stopping"
"""How the trials of the experiment are stopped early, as JSON; none where all run to their end."""

# ── Metrics of a run ─────────────────────────────────────────────────────────────────────────────
METRIC_TRAIN_LOSS = "train/loss"
"""The loss of each optimiser step's batch, at that step (the first is step 1)."""
METRIC_EPOCH = "epoch"
"""At each evaluation: how many epochs of the training data had been seen, a fraction."""
METRIC_LOSS = "eval/loss"
METRIC_SCORE = "eval/score"
"""The task's own metric, under one name for all tasks."""
METRIC_BEST_SCORE = "eval/best_score"
"""The highest score up to and including that evaluation."""

TASK_METRICS = (
    "accuracy",
    "f1",
    "accuracy_and_f1",
    "matthews_correlation",
    "pearson",
    "spearman",
    "pearson_and_spearman",
)
"""Every metric a task may report; each is logged as `eval/<metric>`."""


def metric_key(metric: str) -> str:
    """Return the MLflow key under which a task's metric is logged."""
    return f"eval/{metric}"


def experiment_name(study: str, task: str) -> str:
    """Return the name of the MLflow experiment of a study's task."""
    return f"{study}/{task}"


# ── Tables of the warehouse ──────────────────────────────────────────────────────────────────────
ColumnType = Literal["string", "int64", "float64", "bool", "timestamp"]
"""`timestamp` is in milliseconds, UTC."""


@dataclass(frozen=True)
class Column:
    """One column of a table of the warehouse.

    Attributes:
        name: as SQL sees it.
        type: its type; `analysis.schema` maps it to Arrow.
        source: where in MLflow the value stands: `param:<key>`, `tag:<key>`, `metric:<key>`, or
            `run` (a field of the run itself) or `derived` (computed by the export).
        meaning: one sentence for the reader of the data.
        unit: empty where there is none.
        nullable: whether a trial may lack it.
        released: whether it goes into a published release.
    """

    name: str
    type: ColumnType
    source: str
    meaning: str
    unit: str = ""
    nullable: bool = False
    released: bool = True


def _param(
    name: str, kind: ColumnType, meaning: str, *, unit: str = "", nullable: bool = False
) -> Column:
    return Column(name, kind, f"param:{name}", meaning, unit=unit, nullable=nullable)


def _setting(name: str, kind: ColumnType, meaning: str, *, unit: str = "") -> Column:
    """A param that every trial of Seedbed's has, and that one of another trainer may lack."""
    return _param(name, kind, meaning, unit=unit, nullable=True)


TRIAL_ID = Column(
    "trial_id", "string", f"tag:{TAG_TRIAL_ID}", "Hash of all that affects the trial's numbers."
)
STUDY = Column("study", "string", f"tag:{TAG_STUDY}", "Name of the study.")
TASK = Column("task", "string", "param:task", "Name of the task.")

RECIPE_COLUMNS = (
    _setting("epochs", "int64", "Passes over the training data.", unit="epochs"),
    _setting("batch_size", "int64", "Examples of one optimiser step.", unit="examples"),
    _setting("learning_rate", "float64", "Highest learning rate of the schedule."),
    _setting("warmup", "float64", "Share of all steps over which the learning rate rises from 0."),
    _setting("schedule", "string", "How the learning rate rises and falls: linear or as released."),
    _setting(
        "bias_correction", "bool", "Whether Adam's moments are corrected for their start at 0."
    ),
    _setting("weight_decay", "float64", "Decoupled weight decay; biases and norms have none."),
    _setting("adam_epsilon", "float64", "Adam's epsilon."),
    _setting(
        "clipping", "string", "What is clipped by norm: each parameter's gradient, all, none."
    ),
    _setting("clip_norm", "float64", "Norm above which a gradient is scaled down."),
    _setting("dropout", "float64", "Probability of dropping, in the encoder and before the head."),
    _setting(
        "dropout_until_evaluated",
        "bool",
        "Whether dropout is off in each epoch once the model has been evaluated in it.",
    ),
    _setting("max_length", "int64", "Longest sequence; the rest is cut off.", unit="tokens"),
    _setting("precision", "string", "Arithmetic of the forward and backward pass: fp32 or bf16."),
    _setting(
        "evaluate",
        "string",
        "When the model is evaluated: `10 per epoch`, `every 100 steps` or `as released`.",
    ),
)
"""One column per field of `finetune.study.Recipe`, under the same name."""

TRIALS = (
    TRIAL_ID,
    STUDY,
    TASK,
    _param("model", "string", "Pretrained model: its Hub name, or the name of its folder."),
    _param("wi_seed", "int64", "Seed of the weight initialisation of the head."),
    _param("do_seed", "int64", "Seed of the order of the training data."),
    _setting("dropout_seed", "int64", "Seed of the dropout masks."),
    Column(
        "status",
        "string",
        f"tag:{TAG_STATUS}",
        "finished, diverged, stopped_early, failed, interrupted or running.",
    ),
    _param("metric", "string", "The task's own metric: what `score` is.", nullable=True),
    Column(
        "best_score",
        "float64",
        "derived",
        "Highest score over the trial's evaluations: the performance of the trial.",
        nullable=True,
    ),
    Column(
        "best_step",
        "int64",
        "derived",
        "Step of the first evaluation with the best score.",
        unit="steps",
        nullable=True,
    ),
    Column("last_score", "float64", "derived", "Score of the last evaluation.", nullable=True),
    Column("evaluations", "int64", "derived", "Number of evaluations made.", unit="evaluations"),
    Column("steps", "int64", "derived", "Number of optimiser steps made.", unit="steps"),
    _param(
        "total_steps",
        "int64",
        "Number of optimiser steps of the whole trial.",
        unit="steps",
        nullable=True,
    ),
    _param(
        "steps_per_epoch",
        "int64",
        "Number of optimiser steps of one epoch.",
        unit="steps",
        nullable=True,
    ),
    _param("train_examples", "int64", "Size of the training set.", unit="examples", nullable=True),
    _param(
        "validation_examples",
        "int64",
        "Size of the validation set.",
        unit="examples",
        nullable=True,
    ),
    _param(
        "labels", "int64", "Number of classes; 1 for regression.", unit="classes", nullable=True
    ),
    _param(
        "majority_baseline",
        "float64",
        "Score of predicting the most frequent label of the training set; null for regression.",
        nullable=True,
    ),
    *RECIPE_COLUMNS,
    _setting("model_fingerprint", "string", "Hash of the pretrained model, or its Hub revision."),
    _setting("data_fingerprint", "string", "Hash of the task's data, or its Hub revision."),
    Column(
        "device", "string", f"tag:{TAG_DEVICE}", "What the trial was computed on.", nullable=True
    ),
    Column(
        "threads",
        "int64",
        f"tag:{TAG_THREADS}",
        "CPU threads of the trial.",
        unit="threads",
        nullable=True,
    ),
    Column(
        "seedbed_version",
        "string",
        f"tag:{TAG_SEEDBED_VERSION}",
        "Version of Seedbed.",
        nullable=True,
    ),
    Column(
        "torch_version", "string", f"tag:{TAG_TORCH_VERSION}", "Version of PyTorch.", nullable=True
    ),
    Column(
        "transformers_version",
        "string",
        f"tag:{TAG_TRANSFORMERS_VERSION}",
        "Version of transformers.",
        nullable=True,
    ),
    Column(
        "python_version", "string", f"tag:{TAG_PYTHON_VERSION}", "Version of Python.", nullable=True
    ),
    Column("started_at", "timestamp", "run", "When the trial started.", unit="UTC"),
    Column(
        "seconds",
        "float64",
        f"tag:{TAG_SECONDS}",
        "How long the trial was trained and evaluated, without pauses; where that is not known, "
        "the time from its start to its end.",
        unit="s",
        nullable=True,
    ),
    Column("run_id", "string", "run", "The trial's run in MLflow.", released=False),
    Column(
        "error",
        "string",
        f"tag:{TAG_ERROR}",
        "Why a failed trial failed.",
        nullable=True,
        released=False,
    ),
)
"""The table `trials`: a row a trial.

What is known only where a trial runs (`KNOWN_ONCE_STARTED`) is null for one that failed before.
"""

KNOWN_ONCE_STARTED = (
    "metric",
    "total_steps",
    "steps_per_epoch",
    "train_examples",
    "validation_examples",
    "labels",
    "device",
    "threads",
    "seedbed_version",
    "torch_version",
    "transformers_version",
    "python_version",
)
"""Columns of `trials` that are null only for a trial that failed before it started."""

KNOWN_OF_OUR_OWN = (
    "dropout_seed",
    *(column.name for column in RECIPE_COLUMNS),
    "model_fingerprint",
    "data_fingerprint",
)
"""Columns of `trials` that are null only for a trial of another trainer."""

_EVALUATION_METRICS = tuple(
    Column(metric, "float64", f"metric:{metric_key(metric)}", meaning, nullable=True)
    for metric, meaning in zip(
        TASK_METRICS,
        (
            "Share of examples predicted right.",
            "F1 of class 1.",
            "Mean of accuracy and F1.",
            "Matthews correlation coefficient.",
            "Pearson correlation of prediction and label.",
            "Spearman rank correlation of prediction and label.",
            "Mean of the Pearson and Spearman correlations.",
        ),
        strict=True,
    )
)

EVALUATIONS = (
    TRIAL_ID,
    STUDY,
    TASK,
    Column(
        "step", "int64", "metric:step", "Optimiser steps made before the evaluation.", unit="steps"
    ),
    Column(
        "epoch",
        "float64",
        f"metric:{METRIC_EPOCH}",
        "Epochs of training data seen before it.",
        unit="epochs",
        nullable=True,
    ),
    Column("score", "float64", f"metric:{METRIC_SCORE}", "The task's own metric."),
    Column(
        "best_score",
        "float64",
        f"metric:{METRIC_BEST_SCORE}",
        "Highest score up to and including this evaluation.",
    ),
    Column(
        "loss",
        "float64",
        f"metric:{METRIC_LOSS}",
        "Mean loss on the validation set.",
        unit="nats; squared error for regression",
        nullable=True,
    ),
    *_EVALUATION_METRICS,
    Column("logged_at", "timestamp", "metric:timestamp", "When it was made.", unit="UTC"),
)
"""The table `evaluations`: a row an evaluation of a trial on the validation set.

Epoch and loss are null only for a trial of another trainer.
"""

METRICS_OF_EVERY_EVALUATION = (METRIC_EPOCH, METRIC_SCORE, METRIC_BEST_SCORE, METRIC_LOSS)
"""What Seedbed logs at every evaluation, whatever the task."""

TRAIN_STEPS = (
    TRIAL_ID,
    STUDY,
    TASK,
    Column("step", "int64", "metric:step", "Number of the optimiser step, from 1.", unit="steps"),
    Column(
        "epoch",
        "float64",
        "derived",
        "Epochs of training data seen after it.",
        unit="epochs",
        nullable=True,
    ),
    Column(
        "loss",
        "float64",
        f"metric:{METRIC_TRAIN_LOSS}",
        "Mean loss of the step's batch.",
        unit="nats; squared error for regression",
    ),
    Column("logged_at", "timestamp", "metric:timestamp", "When it was made.", unit="UTC"),
)
"""The table `train_steps`: a row an optimiser step of a trial."""

TABLES: dict[str, tuple[Column, ...]] = {
    "trials": TRIALS,
    "evaluations": EVALUATIONS,
    "train_steps": TRAIN_STEPS,
}
"""The tables of the study's numbers: what analyses ask and releases publish."""

UNMAPPED = (
    TRIAL_ID,
    STUDY,
    TASK,
    Column("kind", "string", "run", "param, tag or metric."),
    Column("key", "string", "run", "Its name in MLflow."),
    Column("step", "int64", "run", "Of a metric: the step it was logged at.", nullable=True),
    Column("value", "float64", "run", "Of a metric: its value.", nullable=True),
    Column("text", "string", "run", "Of a param or a tag: its value.", nullable=True),
    Column(
        "logged_at",
        "timestamp",
        "run",
        "Of a metric: when it was logged.",
        unit="UTC",
        nullable=True,
    ),
)
"""The table `unmapped`: a row a param, a tag or a logged value that has no column elsewhere.

It may name people and machines, and is never released.
"""

WAREHOUSE_TABLES: dict[str, tuple[Column, ...]] = TABLES | {"unmapped": UNMAPPED}
