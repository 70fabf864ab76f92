"""Words that are worked out from numbers."""

from hypothesis import given
from hypothesis import strategies as st

from release.card import size_category

UNITS = {"K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}


def bound(text: str) -> int:
    return int(text[:-1]) * UNITS[text[-1]]


@given(st.integers(min_value=0, max_value=10**12 - 1) | st.sampled_from([999, 1_000, 9_999]))
def test_a_number_of_rows_lies_within_its_category(rows: int) -> None:
    lower, _, upper = size_category(rows).rpartition("<n<")
    if lower:
        assert bound(lower) <= rows < bound(upper)
        assert bound(upper) == 10 * bound(lower)
    else:
        assert size_category(rows) == "n<1K"
        assert rows < 1_000
