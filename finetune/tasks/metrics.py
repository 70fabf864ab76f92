"""What a task is scored by: the metrics of GLUE (Wang et al., 2019), in numpy alone.

Each takes the predictions and the labels of one validation set. Where a definition divides by zero
the value is 0, as the docstrings say: a model that always answers the same is common here (the
paper's diverged trials, section 4.1) and has a score like any other.
"""

import numpy as np
from numpy.typing import NDArray

from finetune.contract import TASK_METRICS

CORRELATIONS = frozenset({"pearson", "spearman", "pearson_and_spearman"})
"""The metrics of regression; all others are of classification."""

BINARY = frozenset({"f1", "accuracy_and_f1"})
"""The metrics that single out class 1, and so need exactly two classes."""

assert set(TASK_METRICS) >= CORRELATIONS | BINARY


def is_regression(metric: str) -> bool:
    """Return whether tasks of that metric predict a value rather than a class."""
    return metric in CORRELATIONS


def compute(
    metric: str,
    predictions: NDArray[np.int64] | NDArray[np.float64],
    labels: NDArray[np.int64] | NDArray[np.float64],
) -> dict[str, float]:
    """Compute all that is logged for a task which is scored by `metric`.

    Args:
        metric: one of `finetune.contract.TASK_METRICS`.
        predictions: int64[n] of classes, or float64[n] of values for a correlation.
        labels: the same of the validation set; n ≥ 1.

    Returns:
        The task's own metric under its name, and those beside it: accuracy for every
        classification, F1 where the metric has it, both correlations and their mean for regression.
    """
    if metric not in TASK_METRICS:
        raise ValueError(f"unknown metric {metric!r}; known are {', '.join(TASK_METRICS)}")
    if predictions.shape != labels.shape or labels.ndim != 1 or not labels.size:
        raise ValueError(
            f"predictions {predictions.shape} and labels {labels.shape} must be equally many,"
            " at least one"
        )
    if is_regression(metric):
        r, rho = pearson(predictions, labels), spearman(predictions, labels)
        return {"pearson": r, "spearman": rho, "pearson_and_spearman": (r + rho) / 2}
    scores = {"accuracy": accuracy(predictions, labels)}
    if metric in BINARY:
        scores["f1"] = f1(predictions, labels)
    if metric == "accuracy_and_f1":
        scores[metric] = (scores["accuracy"] + scores["f1"]) / 2
    if metric == "matthews_correlation":
        scores[metric] = matthews_correlation(predictions, labels)
    return scores


def majority_baseline(
    metric: str,
    train_labels: NDArray[np.int64] | NDArray[np.float64],
    validation_labels: NDArray[np.int64] | NDArray[np.float64],
) -> float | None:
    """Return the score of always predicting the most frequent label of the training set (Table 2).

    Where two classes are equally frequent, the one of the lower number is predicted.

    Returns:
        The score on the validation set, or None for regression, which has no majority.
    """
    if is_regression(metric):
        return None
    majority = np.bincount(train_labels.astype(np.int64)).argmax()
    return compute(metric, np.full_like(validation_labels, majority), validation_labels)[metric]


def accuracy(predictions: NDArray[np.generic], labels: NDArray[np.generic]) -> float:
    """Return the share of predictions that are right, in [0, 1]."""
    return float(np.mean(predictions == labels))


def f1(predictions: NDArray[np.generic], labels: NDArray[np.generic]) -> float:
    """Return the harmonic mean of precision and recall of class 1, in [0, 1].

    It is 2·TP / (2·TP + FP + FN), and 0 where class 1 is neither predicted nor there.
    """
    predicted, actual = predictions == 1, labels == 1
    in_question = int(predicted.sum()) + int(actual.sum())
    return 2 * int((predicted & actual).sum()) / in_question if in_question else 0.0


def matthews_correlation(predictions: NDArray[np.generic], labels: NDArray[np.generic]) -> float:
    """Return the correlation of predicted and true classes, in [−1, 1].

    For two classes it is Matthews' coefficient (1975); for more, Gorodkin's generalisation (2004),
    the correlation of the two one-hot matrices. It is 0 where either side knows only one class.
    """
    classes, coded = np.unique(np.concatenate([predictions, labels]), return_inverse=True)
    predicted, actual = np.split(coded, 2)
    # Counts are made Python's integers: their products exceed 64 bits from some 50,000 examples.
    n = labels.size
    right = int((predicted == actual).sum())
    times_predicted = [int(count) for count in np.bincount(predicted, minlength=classes.size)]
    times_actual = [int(count) for count in np.bincount(actual, minlength=classes.size)]
    covariance = n * right - _dot(times_predicted, times_actual)
    variances = (n**2 - _dot(times_predicted, times_predicted)) * (
        n**2 - _dot(times_actual, times_actual)
    )
    return float(covariance / variances**0.5) if variances else 0.0


def pearson(predictions: NDArray[np.generic], labels: NDArray[np.generic]) -> float:
    """Return the linear correlation of prediction and label, in [−1, 1].

    It is 0 where either is constant, and where a prediction is not finite: a model that predicts
    NaN knows as little as one that predicts a constant, and the loss says that it diverged.
    """
    x, y = _deviations(predictions), _deviations(labels)
    if x is None or y is None:
        return 0.0
    # Rounding may carry a perfect correlation past 1.
    return float(np.clip(x @ y, -1.0, 1.0))


def spearman(predictions: NDArray[np.generic], labels: NDArray[np.generic]) -> float:
    """Return the correlation of the ranks of prediction and label, in [−1, 1].

    Equal values share the mean of their ranks. Degenerate cases are those of `pearson`.
    """
    if not (_finite(predictions) and _finite(labels)):
        return 0.0
    return pearson(_ranks(predictions), _ranks(labels))


def _deviations(values: NDArray[np.generic]) -> NDArray[np.float64] | None:
    """Return the deviations from the mean, scaled to length 1, or None where there are none."""
    if not _finite(values) or (values == values[0]).all():
        return None
    # Scaled to 1 at most before each sum, so that no square under- or overflows.
    deviations = values.astype(np.float64)
    deviations = deviations / np.abs(deviations).max()
    deviations = deviations - deviations.mean()
    deviations = deviations / np.abs(deviations).max()
    return np.asarray(deviations / np.sqrt(deviations @ deviations), dtype=np.float64)


def _finite(values: NDArray[np.generic]) -> bool:
    return bool(np.isfinite(values.astype(np.float64)).all())


def _ranks(values: NDArray[np.generic]) -> NDArray[np.float64]:
    """Return the rank of each value, from 1; equal values share the mean of their ranks."""
    _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(sizes)
    return np.asarray((last - (sizes - 1) / 2)[group], dtype=np.float64)


def _dot(a: list[int], b: list[int]) -> int:
    return sum(x * y for x, y in zip(a, b, strict=True))
