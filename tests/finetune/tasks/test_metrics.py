"""Each metric against an independent implementation, and where its definition leaves a hole."""

import warnings
from collections import Counter
from pathlib import Path

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

from finetune.contract import TASK_METRICS
from finetune.tasks.metrics import (
    accuracy,
    compute,
    f1,
    is_regression,
    majority_baseline,
    matthews_correlation,
    pearson,
    spearman,
)
from finetune.tasks.registry import find_task

GLUE = Path(__file__).resolve().parents[3] / ".." / "shared" / "glue"

Classes = tuple[NDArray[np.int64], NDArray[np.int64]]
Values = tuple[NDArray[np.float64], NDArray[np.float64]]


@st.composite
def classes(draw: st.DrawFn, most: int = 5) -> Classes:
    """Predictions and labels of up to `most` classes."""
    n = draw(st.integers(1, 60))
    k = draw(st.integers(2, most))
    of_classes = arrays.arrays(np.int64, n, elements=st.integers(0, k - 1))
    return draw(of_classes), draw(of_classes)


@st.composite
def values(draw: st.DrawFn) -> Values:
    """Predictions and labels of a regression, with ties; neither is constant."""
    n = draw(st.integers(2, 40))
    # Multiples of 1/8: scipy's own rounding, near a constant, is not what is tested here.
    eighths = arrays.arrays(np.float64, n, elements=st.integers(-80, 80).map(lambda i: i / 8))
    varied = eighths.filter(lambda x: bool((x != x[0]).any()))
    return draw(varied), draw(varied)


@given(classes())
def test_accuracy_and_matthews_correlation_are_those_of_scikit_learn(drawn: Classes) -> None:
    predictions, labels = drawn
    assert accuracy(predictions, labels) == pytest.approx(accuracy_score(labels, predictions))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # It warns of a single class.
        theirs = matthews_corrcoef(labels, predictions)
    assert matthews_correlation(predictions, labels) == pytest.approx(theirs)


@given(classes(most=2))
def test_f1_is_that_of_scikit_learn(drawn: Classes) -> None:
    predictions, labels = drawn
    assert f1(predictions, labels) == pytest.approx(f1_score(labels, predictions, zero_division=0))


@given(values())
def test_correlations_are_those_of_scipy(drawn: Values) -> None:
    predictions, labels = drawn
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # Its p-values, of two or three points.
        r, rho = pearsonr(predictions, labels).statistic, spearmanr(predictions, labels).statistic
    assert pearson(predictions, labels) == pytest.approx(r, abs=1e-12)
    assert spearman(predictions, labels) == pytest.approx(rho, abs=1e-12)


@given(values(), st.floats(1e-3, 1e3), st.floats(-1e3, 1e3))
def test_pearson_ignores_scale_and_shift_and_spearman_any_increase(
    drawn: Values, scale: float, shift: float
) -> None:
    predictions, labels = drawn
    r, rho = pearson(predictions, labels), spearman(predictions, labels)
    assert pearson(scale * predictions + shift, labels) == pytest.approx(r, abs=1e-7)
    assert spearman(np.arctan(predictions), labels) == pytest.approx(rho, abs=1e-12)


@pytest.mark.parametrize("size", [1e-300, 1e-160, 1e160, 3e307])
def test_pearson_neither_under_nor_overflows(size: float) -> None:
    x = np.array([0.0, 1.0, 2.0, 5.0])
    y = np.array([1.0, 0.0, 2.0, 3.0])
    assert pearson(size * x, y) == pytest.approx(pearson(x, y))


def test_matthews_correlation_of_two_classes_is_the_correlation_of_their_codes_at_any_size() -> (
    None
):
    random = np.random.default_rng(5)
    labels = random.integers(0, 2, 400_000)
    predictions = np.where(random.random(labels.size) < 0.1, 1 - labels, labels)
    assert matthews_correlation(predictions, labels) == pytest.approx(
        np.corrcoef(predictions, labels)[0, 1], rel=1e-10
    )


def test_a_constant_answer_has_a_score_of_zero_where_the_definition_divides_by_zero() -> None:
    zeros, ones, mixed = np.zeros(4, np.int64), np.ones(4, np.int64), np.array([0, 1, 1, 0])
    assert matthews_correlation(ones, mixed) == 0.0
    assert matthews_correlation(mixed, ones) == 0.0
    assert matthews_correlation(ones, ones) == 0.0
    assert f1(zeros, zeros) == 0.0
    assert f1(zeros, mixed) == 0.0
    assert compute("pearson_and_spearman", zeros.astype(np.float64), mixed.astype(np.float64)) == {
        "pearson": 0.0,
        "spearman": 0.0,
        "pearson_and_spearman": 0.0,
    }
    # 0.1 is no binary fraction: its mean over three is not itself, to the last bit.
    assert pearson(np.full(3, 0.1), np.array([1.0, 2.0, 4.0])) == 0.0


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_predictions_that_are_not_finite_have_no_correlation(broken: float) -> None:
    predictions, labels = np.array([1.0, broken, 3.0]), np.array([1.0, 2.0, 3.0])
    assert pearson(predictions, labels) == 0.0
    assert spearman(predictions, labels) == 0.0


@pytest.mark.parametrize(
    ("metric", "logged"),
    [
        ("accuracy", {"accuracy"}),
        ("f1", {"accuracy", "f1"}),
        ("accuracy_and_f1", {"accuracy", "f1", "accuracy_and_f1"}),
        ("matthews_correlation", {"accuracy", "matthews_correlation"}),
        ("pearson", {"pearson", "spearman", "pearson_and_spearman"}),
        ("spearman", {"pearson", "spearman", "pearson_and_spearman"}),
        ("pearson_and_spearman", {"pearson", "spearman", "pearson_and_spearman"}),
    ],
)
def test_what_is_logged_beside_each_metric(metric: str, logged: set[str]) -> None:
    labels = np.array([0, 1, 1, 0])
    assert set(compute(metric, labels, labels)) == logged
    assert is_regression(metric) is ("pearson" in logged)


@given(classes(most=2))
def test_the_combined_metric_is_the_mean_of_its_two(drawn: Classes) -> None:
    scores = compute("accuracy_and_f1", *drawn)
    assert scores["accuracy_and_f1"] == (scores["accuracy"] + scores["f1"]) / 2


@given(values())
def test_the_combined_correlation_is_the_mean_of_its_two(drawn: Values) -> None:
    scores = compute("pearson_and_spearman", *drawn)
    assert scores["pearson_and_spearman"] == (scores["pearson"] + scores["spearman"]) / 2


@given(classes())
def test_the_majority_baseline_is_the_validation_share_of_the_commonest_training_label(
    drawn: Classes,
) -> None:
    train, validation = drawn
    counted = Counter(train.tolist())
    majority = min(label for label, count in counted.items() if count == max(counted.values()))
    assert majority_baseline("accuracy", train, validation) == np.mean(validation == majority)
    assert majority_baseline("matthews_correlation", train, validation) == 0.0


def test_regression_has_no_majority_baseline() -> None:
    labels = np.array([0.5, 0.5, 3.0])
    for metric in filter(is_regression, TASK_METRICS):
        assert majority_baseline(metric, labels, labels) is None


def test_unlike_sizes_no_examples_and_unknown_metrics_are_refused() -> None:
    with pytest.raises(ValueError, match="equally many"):
        compute("accuracy", np.array([1]), np.array([1, 0]))
    with pytest.raises(ValueError, match="at least one"):
        compute("accuracy", np.array([], np.int64), np.array([], np.int64))
    with pytest.raises(ValueError, match="unknown metric 'acc'"):
        compute("acc", np.array([1]), np.array([1]))


@pytest.mark.shared
@pytest.mark.parametrize(
    ("task", "printed", "exact"),
    [
        ("mrpc", 0.75, (279 / 408 + 2 * 279 / (408 + 279)) / 2),
        ("rte", 0.53, 146 / 277),
        ("cola", 0.00, 0.0),
        ("sst2", 0.51, 444 / 872),
    ],
)
def test_the_majority_baselines_are_those_of_table_2(
    task: str, printed: float, exact: float
) -> None:
    if not GLUE.is_dir():
        pytest.skip("the GLUE files are not beside the repository, in shared/glue")
    found = find_task(task, data_dir=GLUE)
    data = found.source.read()
    baseline = majority_baseline(found.metric, data.train.labels, data.validation.labels)
    assert baseline == pytest.approx(exact)
    assert round(baseline or 0.0, 2) == printed
