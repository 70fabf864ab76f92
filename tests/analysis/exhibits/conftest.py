"""Exhibits of the warehouses of tests."""

from collections.abc import Callable

import pytest

from analysis.exhibits.exhibit import Artefact, Exhibit, Subject
from analysis.warehouse import Warehouse

Show = Callable[..., Exhibit]
"""`show(artefact, warehouse, study, task=None)`: its exhibit, which must not be a gap."""


@pytest.fixture(scope="session")
def show() -> Show:
    def exhibit(
        artefact: Artefact, warehouse: Warehouse, study: str, task: str | None = None
    ) -> Exhibit:
        shown = artefact.of(Subject(warehouse, study), task)
        assert isinstance(shown, Exhibit), shown.reason
        return shown

    return exhibit
