"""No trial is left out without a word."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from analysis.exhibits import trials
from analysis.exhibits.exhibit import Exhibit, Gap, Subject
from analysis.warehouse import Warehouse


def test_trials_left_out_are_listed_with_their_reason(
    show: Callable[..., Exhibit], synthetic_warehouse: Warehouse
) -> None:
    finding = show(trials.left_out, synthetic_warehouse, "demo").finding
    assert finding.data.to_pylist() == [{"task": "rte", "trial": "demo-rte-4-1", "why": "failed"}]


def test_where_none_is_left_out_that_is_said(
    make_warehouse: Callable[..., Warehouse], tmp_path: Path
) -> None:
    warehouse = make_warehouse(tmp_path / "w", {("s", "rte"): np.array([[0.6]])})
    gap = trials.left_out.of(Subject(warehouse, "s"))
    assert isinstance(gap, Gap)
    assert gap.reason == "Every trial has a score: none is left out."
