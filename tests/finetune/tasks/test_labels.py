"""What is written for a label, and what it means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.tasks.labels import Classes, Values, in_order, label_name


@pytest.mark.parametrize(
    ("written", "name"),
    [(" spam ", "spam"), (1, "1"), (1.0, "1"), (0.5, "0.5"), (True, "true"), (False, "false")],
)
def test_one_class_has_one_name_however_it_is_written(written: object, name: str) -> None:
    assert label_name(written) == name


def test_a_class_may_be_written_as_its_number_unless_names_are_numbers() -> None:
    named = Classes.named(["negative", "positive"])
    assert [named.read(label) for label in ("positive", "1", 0, "2", "-1", None)] == [
        1, 1, 0, None, None, None,
    ]  # fmt: skip
    assert named.allowed == "'negative', 'positive', or 0 to 1"
    stars = Classes.named([1, 2, 3])
    assert [stars.read(label) for label in ("1", 3, "0")] == [0, 2, None]
    assert stars.allowed == "'1', '2', '3'"


@given(st.integers(2, 200))
def test_the_integers_below_k_are_the_numbers_of_their_own_classes(k: int) -> None:
    classes = Classes.named(in_order(str(i) for i in reversed(range(k))))
    assert [classes.read(i) for i in range(k)] == list(range(k))


def test_labels_are_in_order_of_number_where_all_are_numbers_and_of_text_otherwise() -> None:
    assert in_order(["10", "9", "-1", "9"]) == ("-1", "9", "10")
    assert in_order(["10", "9", "x"]) == ("10", "9", "x")


@pytest.mark.parametrize("written", ["nan", "inf", float("nan"), True, None, "", "1,5", [1]])
def test_what_is_no_finite_number_is_no_value(written: object) -> None:
    assert Values().read(written) is None


def test_values_keep_to_their_range() -> None:
    assert [Values(0, 5).read(label) for label in ("0", 5, " 2.5 ", -0.1, "5.01")] == [
        0.0, 5.0, 2.5, None, None,
    ]  # fmt: skip
